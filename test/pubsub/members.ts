/** Connections that are members of topics, in memory. */
import { text } from "../../src/message.ts";
import type { PubSub, SubscribeOptions } from "../../src/pubsub/index.ts";
import { type HandleResult, ok, push } from "../../src/result.ts";
import { connect, type TestClient } from "../../src/testing/connect.ts";
import type { Self } from "../../src/websock.ts";

export interface Member {
  readonly client: TestClient<string>;
  readonly self: Self<string>;
  readonly texts: () => string[];
}

export const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const textsOf = (client: { readonly received: readonly { readonly data: unknown }[] }): string[] =>
  client.received.map(({ data }) => String(data));

/** A connection that pushes "info:<info>" for each info, and subscribes to `topics` in `init`. */
export const join = async (
  pubsub: PubSub,
  topics: readonly string[] = ["room"],
  options: SubscribeOptions<string> = {},
  limits: { readonly maxBuffered?: number } = {},
  handleInfo: (info: string) => HandleResult<number> | Promise<HandleResult<number>> = (info) =>
    push(text(`info:${info}`), 0),
): Promise<Member> => {
  let self!: Self<string>;
  const client = await connect<undefined, number, string>(
    {
      init: (_, own) => {
        self = own;
        for (const topic of topics) pubsub.topic<string>(topic).subscribe(own, options);
        return ok(0);
      },
      handleIn: (_, state) => ok(state),
      handleInfo,
    },
    undefined,
    limits,
  );
  return { client, self, texts: () => textsOf(client) };
};
