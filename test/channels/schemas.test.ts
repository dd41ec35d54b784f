/** Payloads are checked by schemas, and have their types. */
import { type } from "arktype";
import * as valibot from "valibot";
import { describe, expect, expectTypeOf, test } from "vitest";
import { accept, channel, reply, type StandardSchema } from "websock-js/channels";
import { z } from "zod";
import { type Frame, quiet, serve } from "./phoenix-client.ts";

/** A schema of objects with one string, synchronous or not. */
const withText = (isAsync: boolean): StandardSchema<unknown, { text: string }> => ({
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) => {
      const { text } = (value ?? {}) as { text?: unknown };
      const result = typeof text === "string" ? { value: { text: text.trim() } } : { issues: [{ message: "no text" }] };
      return isAsync ? Promise.resolve(result) : result;
    },
  },
});

const JOIN: Frame = ["1", "1", "room:1", "phx_join", { text: " me " }];
const frames = (ref: string, status: string, response: unknown) => [
  "1",
  ref,
  "room:1",
  "phx_reply",
  { status, response },
];

describe.each([
  ["synchronous", false],
  ["asynchronous", true],
])("a schema that is %s", (_name, isAsync) => {
  const Room = channel()({
    params: withText(isAsync),
    events: { say: withText(isAsync), wave: "unchecked" },
    join: (payload) => {
      expectTypeOf(payload).toEqualTypeOf<{ text: string }>();
      return accept(payload.text, payload);
    },
    handleIn: {
      say: (payload, state) => {
        expectTypeOf(payload).toEqualTypeOf<{ text: string }>();
        expectTypeOf(state).toEqualTypeOf<string>();
        return reply("ok", { said: payload.text }, payload.text);
      },
      wave: (payload, state) => {
        expectTypeOf(payload).toEqualTypeOf<unknown>();
        return reply("ok", { waved: payload, state }, state);
      },
    },
  });

  test("passes on what it returns", async () => {
    const { send, received } = await serve({ "room:*": Room });
    send(JOIN, ["1", "2", "room:1", "say", { text: " hi " }], ["1", "3", "room:1", "wave", 1]);
    expect(await received()).toEqual([
      frames("1", "ok", { text: "me" }),
      frames("2", "ok", { said: "hi" }),
      frames("3", "ok", { waved: 1, state: "hi" }),
    ]);
  });

  test("answers an invalid payload with an error, and so a join", async () => {
    const { client, send, received } = await serve({ "room:*": Room });
    send(["1", "1", "room:1", "phx_join", {}]);
    await quiet();
    send(JOIN);
    send(
      ["1", "2", "room:1", "say", { text: 1 }],
      ["1", "3", "room:1", "say", null],
      ["1", "4", "room:1", "toString", {}],
    );
    expect(await received()).toEqual([
      frames("1", "error", { reason: "invalid payload" }),
      frames("1", "ok", { text: "me" }),
      frames("2", "error", { reason: "invalid payload" }),
      frames("3", "error", { reason: "invalid payload" }),
      frames("4", "error", { reason: "unknown event" }),
    ]);
    expect(client.errors).toEqual([]);
  });
});

test("a schema that throws ends the channel", async () => {
  const broken: StandardSchema = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: () => {
        throw new Error("expected");
      },
    },
  };
  const Room = channel()({
    events: { say: broken },
    join: () => accept(0),
    handleIn: (_event, _payload, n) => reply("ok", {}, n),
  });
  const { client, send, received } = await serve({ "room:*": Room });
  send(JOIN, ["1", "2", "room:1", "say", {}]);
  expect(await received()).toEqual([
    frames("1", "ok", {}),
    ["1", "1", "room:1", "phx_error", { reason: "channel_crash" }],
  ]);
  expect(client.errors).toHaveLength(1);
});

test.each([
  ["zod", z.object({ text: z.string().trim().min(1) })],
  ["valibot", valibot.object({ text: valibot.pipe(valibot.string(), valibot.trim(), valibot.minLength(1)) })],
  ["arktype", type({ text: "string.trim" }).narrow(({ text }) => text.length > 0)],
] as const)("a schema of %s", async (_name, schema) => {
  const Room = channel()({
    events: { say: schema as StandardSchema<unknown, { text: string }> },
    join: () => accept(0),
    handleIn: { say: ({ text }, n) => reply("ok", { text }, n) },
  });
  const { send, received } = await serve({ "room:*": Room });
  send(JOIN, ["1", "2", "room:1", "say", { text: " hi " }], ["1", "3", "room:1", "say", { text: 1 }]);
  expect(await received()).toEqual([
    frames("1", "ok", {}),
    frames("2", "ok", { text: "hi" }),
    frames("3", "error", { reason: "invalid payload" }),
  ]);
});

test("the output of a schema of each library is the type of the payload", () => {
  channel()({
    events: {
      zod: z.object({ n: z.string().transform(Number) }),
      valibot: valibot.object({ n: valibot.number() }),
      arktype: type({ n: "number" }),
    },
    join: () => accept(0),
    handleIn: {
      zod: (payload, n) => {
        expectTypeOf(payload).toEqualTypeOf<{ n: number }>();
        return reply("ok", {}, n);
      },
      valibot: (payload, n) => {
        expectTypeOf(payload).toEqualTypeOf<{ n: number }>();
        return reply("ok", {}, n);
      },
      arktype: (payload, n) => {
        expectTypeOf(payload).toEqualTypeOf<{ n: number }>();
        return reply("ok", {}, n);
      },
    },
  });
});
