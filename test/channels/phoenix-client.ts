/** A client that sends and receives the messages of the protocol as arrays. */

import {
  type ChannelFor,
  type Channels,
  type ChannelsOptions,
  type ConnectRequest,
  channels,
} from "websock-js/channels";
import type { PubSub } from "websock-js/pubsub";
import { connect, type TestClient, testPubSub } from "websock-js/testing";
import { nextTick } from "../support/promises.ts";

export type Frame = readonly [
  joinRef: string | null,
  ref: string | null,
  topic: string,
  event: string,
  payload: unknown,
];

export const REQUEST = { url: "/socket/websocket?vsn=2.0.0", headers: {} };

export interface PhoenixClient {
  readonly client: TestClient<never>;
  /** Sends messages: arrays as JSON, bytes as they are. */
  send(...frames: readonly (Frame | Uint8Array)[]): void;
  /** What has been received since the last call, as soon as nothing more arrives. */
  received(): Promise<unknown[]>;
}

type Options = Partial<ChannelsOptions<typeof REQUEST, undefined>>;

/** Resolves when everything that is not waiting for a promise of a test has happened. */
export const quiet = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await nextTick();
};

export const phoenixClient = async <Request extends ConnectRequest>(
  socket: Channels<Request>,
  request: object = REQUEST,
): Promise<PhoenixClient> => {
  const client = (await connect(socket, await socket.connect(request as Request))) as TestClient<never>;
  let seen = 0;
  return {
    client,
    send: (...frames) => {
      for (const frame of frames) client.send(frame instanceof Uint8Array ? frame : JSON.stringify(frame));
    },
    received: async () => {
      await quiet();
      const messages = client.received.slice(seen);
      seen = client.received.length;
      return messages.map(({ data }) => (typeof data === "string" ? JSON.parse(data) : [...data]));
    },
  };
};

/** A server with these channels, and a client of it. */
export const serve = async (
  its: Record<string, ChannelFor<undefined>>,
  options: Options = {},
  pubsub: PubSub = testPubSub(),
) => {
  const socket = channels<typeof REQUEST, undefined>({ pubsub, channels: its, ...options });
  return { socket, pubsub, ...(await phoenixClient(socket)) };
};
