/** This process as a node: with `REDIS_URL`, its `PubSub` is connected to the other nodes. */
import { type Backplane, PubSub } from "websock-js/pubsub";

interface Connection {
  readonly backplane: Backplane;
  readonly close: () => void;
}

const connectTo = async (url: string): Promise<Connection> => {
  const { createClient } = await import("redis");
  const { redisBackplane } = await import("websock-js/pubsub/redis");
  const client = createClient({ url, socket: { reconnectStrategy: (retries) => Math.min(50 * retries, 1000) } });
  client.on("error", (error) => console.error(error.message));
  await client.connect();
  return { backplane: redisBackplane({ client, prefix: "channels" }), close: () => client.destroy() };
};

const url = process.env.REDIS_URL;
const connection = url === undefined ? undefined : await connectTo(url);

export const pubsub = new PubSub({ ...(connection && { backplane: connection.backplane }) });

/** Tells the other nodes that this one ends, and disconnects. */
export const leaveNodes = async (): Promise<void> => {
  await pubsub.close();
  connection?.close();
};
