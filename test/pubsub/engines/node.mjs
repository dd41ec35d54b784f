/**
 * A node in a process of its own: its argument is a {@link Config}, and its parent sends commands over IPC. Nothing
 * listens for the errors of the client.
 *
 * @typedef {object} Config
 * @property {"redis" | "ioredis" | "iovalkey" | "nats"} client
 * @property {number} port of the engine
 * @property {string} prefix
 * @property {string} [password]
 * @property {number} [maxReconnectAttempts] of the client of NATS. Default: no limit
 * @property {import("websock-js/pubsub").PubSubOptions} options
 */
import { ok, push, text } from "websock-js";
import { PubSub } from "websock-js/pubsub";
import { natsBackplane } from "websock-js/pubsub/nats";
import { redisBackplane } from "websock-js/pubsub/redis";
import { connect } from "websock-js/testing";

const { client, port, prefix, password, maxReconnectAttempts = -1, options } = JSON.parse(process.argv[2] ?? "{}");

const ofRedis = (client, close) => ({
  backplane: redisBackplane({ client, prefix }),
  ping: () => client.ping(),
  listen: () => void client.on("error", () => undefined),
  close,
});

const likeIORedis = (Redis) => {
  const client = new Redis({ port, password, retryStrategy: () => 50, disconnectTimeout: 50 });
  return ofRedis(client, () => client.disconnect());
};

const OPEN = {
  redis: async () => {
    const { createClient } = await import("redis");
    const client = createClient({ password, socket: { port, reconnectStrategy: 50 } });
    // The backplane is told why it fails, too.
    client.connect().catch(() => undefined);
    return ofRedis(client, () => client.destroy());
  },
  ioredis: async () => likeIORedis((await import("ioredis")).Redis),
  iovalkey: async () => likeIORedis((await import("iovalkey")).Redis),
  nats: async () => {
    const { connect } = await import("@nats-io/transport-node");
    const connection = await connect({
      servers: `127.0.0.1:${port}`,
      waitOnFirstConnect: true,
      maxReconnectAttempts,
      reconnectTimeWait: 50,
      pingInterval: 10_000,
    });
    return {
      backplane: natsBackplane({ connection, prefix }),
      ping: () => connection.flush(),
      listen: () => undefined,
      close: () => connection.close(),
    };
  },
};

const app = await OPEN[client]();
const events = [];
const pubsub = new PubSub({
  ...options,
  backplane: app.backplane,
  onEvent: (event) =>
    events.push({ ...event, at: Date.now(), ...("cause" in event && { cause: String(event.cause) }) }),
});

let self;
const member = await connect(
  {
    init: (_, own) => {
      self = own;
      return ok(0);
    },
    handleIn: (_, state) => ok(state),
    handleInfo: (info, state) => push(text(`info:${info}`), state),
  },
  undefined,
);
const subscribe = () =>
  pubsub.topic("room").subscribe(self, { onGap: ({ cause, missed }) => `${cause} ${missed}` }).ready;

/** What is published all the time, and what comes of it. */
const flood = { published: 0, delivered: 0, late: 0, maxRss: 0, longestPause: 0 };
let timer;
let collector;

const COMMANDS = {
  ready: subscribe,
  state: () => ({
    status: pubsub.status,
    backplane: pubsub.stats.backplane,
    events,
    texts: member.received.map(({ data }) => data),
    flood,
  }),
  publish: ({ content }) => pubsub.topic("room").publish(text(content)),
  /** Publishes numbered messages of `size` characters to the room: `bytesPerSecond`, or less on a slow machine. */
  flood: ({ bytesPerSecond, size }) => {
    const INTERVAL = 10;
    const count = Math.round((bytesPerSecond * INTERVAL) / 1_000 / size);
    let before = performance.now();
    timer = setInterval(() => {
      const now = performance.now();
      flood.longestPause = Math.max(flood.longestPause, now - before);
      before = now;
      for (let i = 0; i < count; i++) pubsub.topic("room").publish(text(`${++flood.published} `.padEnd(size, "x")));
      const { published } = flood;
      setImmediate(() => {
        setImmediate(() => {
          flood.delivered += member.received.filter(({ data }) => !data.startsWith("info:")).length;
          member.received.length = 0;
          if (flood.delivered < published) flood.late++;
          flood.maxRss = Math.max(flood.maxRss, process.memoryUsage.rss());
        });
      });
    }, INTERVAL);
    // What is not used any more does not count.
    collector = setInterval(() => global.gc(), 200);
  },
  resetFlood: () => {
    global.gc();
    flood.maxRss = 0;
    flood.longestPause = 0;
    return process.memoryUsage.rss();
  },
  halt: () => {
    clearInterval(timer);
    clearInterval(collector);
    return flood.published;
  },
  close: () => pubsub.close(),
  ping: async () => {
    await app.ping();
    return true;
  },
  /** From now on, something listens for the errors of the client. */
  listen: () => app.listen(),
  closeClient: async () => {
    await app.close();
  },
  /** Nothing of this script keeps the process alive any longer. */
  release: () => {
    setImmediate(() => process.disconnect());
  },
};

process.on("message", async ({ id, command, args }) => {
  try {
    process.send({ id, result: await COMMANDS[command](args) });
  } catch (error) {
    process.send({ id, error: String(error?.stack ?? error) });
  }
});
process.send({ isStarted: true });
