/** This process as a node of the chat: its number, and its `PubSub`, which is connected to the other nodes. */
import { EventEmitter } from "node:events";
import { type Backplane, PubSub } from "websock-js/pubsub";
import { type Engine, engine, nodes } from "./options.ts";

export const node = Number(process.env.CHAT_NODE ?? 1);

interface Connection {
  readonly backplane: Backplane;
  readonly close: () => unknown;
}

/** The clients reconnect by themselves, without long delays, and never give up. */
const connectTo: Record<Engine, (url: string) => Promise<Connection>> = {
  cluster: async () => {
    const { clusterBackplane } = await import("websock-js/pubsub/cluster");
    return { backplane: clusterBackplane(), close: () => undefined };
  },
  redis: async (url) => {
    const { createClient } = await import("redis");
    const { redisBackplane } = await import("websock-js/pubsub/redis");
    const client = createClient({ url, socket: { reconnectStrategy: (retries) => Math.min(50 * retries, 1000) } });
    client.on("error", () => undefined); // without a listener, an error would end the process; the PubSub reports it
    await client.connect();
    return { backplane: redisBackplane({ client, prefix: "chat" }), close: () => client.destroy() };
  },
  nats: async (url) => {
    const { connect } = await import("@nats-io/transport-node");
    const { natsBackplane } = await import("websock-js/pubsub/nats");
    const retry = { waitOnFirstConnect: true, maxReconnectAttempts: -1, reconnectTimeWait: 250, pingInterval: 10_000 };
    const connection = await connect({ servers: url, ...retry });
    return { backplane: natsBackplane({ connection, prefix: "chat" }), close: () => connection.close() };
  },
};

const connection = nodes === 1 ? undefined : await connectTo[engine](process.env.ENGINE_URL ?? "");

/** `up`: the other nodes can be reached (again). `gap`: messages of another node have not arrived. */
export const events = new EventEmitter<{ up: []; gap: [] }>();

export const pubsub = new PubSub({
  ...(connection && { backplane: connection.backplane }),
  // A node that was killed cannot say goodbye: its people stay in the lists of the others for `down` milliseconds.
  beat: 1_500,
  down: 6_000,
  onEvent: (event) => {
    if (event.type === "up" || event.type === "gap") events.emit(event.type);
    else if (event.type !== "closed") console.error(`node ${node}:`, event);
  },
});

/** Says goodbye to the other nodes, and disconnects. */
export const leaveNodes = async (): Promise<void> => {
  await pubsub.close();
  await connection?.close();
};
