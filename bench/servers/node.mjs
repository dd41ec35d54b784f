/**
 * One of two nodes: publishes to a room, or has clients in it. Arguments: what connects the nodes (`redis`, `ioredis`,
 * `nats`, `socket.io-redis` or `crossws-redis`), and the URL of the engine.
 */
import http from "node:http";
import process from "node:process";
import { ours } from "../lib/ours.mjs";
import { serve } from "../lib/serve.mjs";

const [kind = "", url = ""] = process.argv.slice(2);

/** What publishes a message to the room on all nodes. @type {(text: string) => unknown} */
let publish;

const redisClient = async () => {
  const { createClient } = await import("redis");
  const client = createClient({ url });
  await client.connect();
  return client;
};

/** What connects our nodes. @type {Record<string, (exports: any) => Promise<unknown>>} */
const backplanes = {
  redis: async ({ redisBackplane }) => redisBackplane({ client: await redisClient(), prefix: "bench" }),
  ioredis: async ({ redisBackplane }) => {
    const { Redis } = await import("ioredis");
    return redisBackplane({ client: new Redis(url), prefix: "bench" });
  },
  nats: async ({ natsBackplane }) => {
    const { connect } = await import("@nats-io/transport-node");
    return natsBackplane({ connection: await connect({ servers: url, maxReconnectAttempts: -1 }), prefix: "bench" });
  },
};

/** @type {Record<string, () => Promise<http.Server>>} */
const servers = {
  ours: async () => {
    const exports = await ours("node", { pubsub: true, backplane: kind === "nats" ? "nats" : "redis" });
    const { attach, ok, text, upgrade, PubSub } = exports;
    const room = new PubSub({ backplane: await backplanes[kind]?.(exports) }).topic("room");
    publish = (data) => room.publish(text(data));
    const handler = {
      init: async (/** @type {undefined} */ _, /** @type {any} */ self) => {
        await room.subscribe(self).ready;
        return ok(0);
      },
      handleIn: (/** @type {any} */ _, /** @type {number} */ state) => ok(state),
    };
    const server = http.createServer((request) => upgrade(request, handler));
    attach(server, { defaults: { compress: false } });
    return server;
  },
  /** Socket.IO with its Redis adapter, which sends each message in a `PUBLISH` of its own. */
  "socket.io-redis": async () => {
    const { Server } = await import("socket.io");
    const { createAdapter } = await import("@socket.io/redis-adapter");
    const client = await redisClient();
    const subscriber = client.duplicate();
    await subscriber.connect();
    const server = http.createServer();
    const io = new Server(server, { adapter: createAdapter(client, subscriber) });
    io.on("connection", (socket) => socket.join("room"));
    publish = (data) => io.to("room").emit("m", data);
    return server;
  },
  /** crossws with its driver `sync` for Redis. */
  "crossws-redis": async () => {
    const { default: crossws } = await import("crossws/adapters/node");
    const { redis } = await import("crossws/sync");
    const sync = redis({ client: /** @type {any} */ (await redisClient()), channel: "bench" });
    const { handleUpgrade, publish: toAll } = crossws({ sync, hooks: { open: (peer) => peer.subscribe("room") } });
    publish = (data) => toAll("room", data);
    const server = http.createServer();
    server.on("upgrade", handleUpgrade);
    return server;
  },
};

const server = await (servers[kind] ?? servers.ours)?.();
serve(/** @type {http.Server} */ (server));

const turn = () => new Promise((resolve) => setImmediate(resolve));

process.on("message", async (/** @type {any} */ { count, perTick, data }) => {
  if (count === undefined) return;
  for (let i = 0; i < count; ) {
    for (let n = 0; n < perTick && i < count; n++, i++) publish(data);
    await turn();
  }
});
