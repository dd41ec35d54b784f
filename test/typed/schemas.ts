/** The same messages, described with three libraries. */
import { type } from "arktype";
import * as v from "valibot";
import type { StandardSchema } from "websock-js/typed";
import { z } from "zod";

/** A client says a text, which is trimmed. */
export interface Say {
  readonly type: "say";
  readonly text: string;
}

/** The server tells how many have been said. */
export interface Said {
  readonly type: "said";
  readonly text: string;
  readonly count: number;
}

interface Library {
  readonly in: StandardSchema<Say>;
  readonly out: StandardSchema<Said>;
}

export const libraries: Readonly<Record<"zod" | "valibot" | "arktype", Library>> = {
  zod: {
    in: z.object({ type: z.literal("say"), text: z.string().trim().min(1) }),
    out: z.object({ type: z.literal("said"), text: z.string(), count: z.number() }),
  },
  valibot: {
    in: v.object({ type: v.literal("say"), text: v.pipe(v.string(), v.trim(), v.minLength(1)) }),
    out: v.object({ type: v.literal("said"), text: v.string(), count: v.number() }),
  },
  arktype: {
    in: type({ type: "'say'", text: "string.trim" }).narrow(({ text }) => text.length > 0),
    out: type({ type: "'said'", text: "string", count: "number", "+": "delete" }),
  },
};

/** A schema that accepts everything and changes nothing. */
export const anything: StandardSchema<unknown> = {
  "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) },
};

/** The same, but asynchronous: each value takes as long as the promise that `wait` returns for it. */
export const waiting = (wait: (value: unknown) => Promise<unknown>): StandardSchema<unknown> => ({
  "~standard": { version: 1, vendor: "test", validate: (value) => wait(value).then(() => ({ value })) },
});
