/**
 * A server process of the tests of several processes: its argument is a {@link Config}, and its parent sends commands
 * over IPC.
 *
 * @typedef {object} Config
 * @property {"redis" | "ioredis" | "iovalkey" | "nats" | "cluster"} client
 * @property {string} [url] of the engine
 * @property {import("websock-js/pubsub").PubSubOptions} options
 */
import http from "node:http";
import { handler, ok, push, text, upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { Presence, PubSub } from "websock-js/pubsub";

const PREFIX = "processes";

/** Connects again often, as docs/nodes.md recommends. @param {number} times */
const retry = (times) => Math.min(50 * times, 1000);

/** @type {Record<Config["client"], (url: string) => Promise<import("websock-js/pubsub").Backplane>>} */
const BACKPLANES = {
  redis: async (url) => {
    const { createClient } = await import("redis");
    const { redisBackplane } = await import("websock-js/pubsub/redis");
    const client = createClient({ url, socket: { reconnectStrategy: retry } });
    void client.connect();
    return redisBackplane({ client, prefix: PREFIX });
  },
  ioredis: async (url) => {
    const { Redis } = await import("ioredis");
    const { redisBackplane } = await import("websock-js/pubsub/redis");
    return redisBackplane({ client: new Redis(url, { retryStrategy: retry }), prefix: PREFIX });
  },
  iovalkey: async (url) => {
    const { Redis } = await import("iovalkey");
    const { redisBackplane } = await import("websock-js/pubsub/redis");
    return redisBackplane({ client: new Redis(url, { retryStrategy: retry }), prefix: PREFIX });
  },
  nats: async (url) => {
    const { connect } = await import("@nats-io/transport-node");
    const { natsBackplane } = await import("websock-js/pubsub/nats");
    const settings = { servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 250, pingInterval: 10_000 };
    return natsBackplane({ connection: await connect(settings), prefix: PREFIX });
  },
  cluster: async () => {
    const { clusterBackplane } = await import("websock-js/pubsub/cluster");
    return clusterBackplane();
  },
};

const { client, url = "", options } = /** @type {Config} */ (JSON.parse(process.argv[2] ?? "{}"));
const events = [];
const pubsub = new PubSub({
  ...options,
  backplane: await BACKPLANES[client](url),
  onEvent: (event) => {
    events.push({ at: Date.now(), ...event, ...("cause" in event && { cause: String(event.cause) }) });
  },
});
const presence = new Presence(pubsub);

/** The sum of the gaps with a known size that a member was told of, and the number of the others. */
const gaps = { known: 0, unknown: 0 };
let members = 0;

const Room = handler()({
  init: async ({ room, user }, self) => {
    const counts = members++ === 0;
    const onGap = (gap) => (counts ? gap : undefined);
    await pubsub.topic(room).subscribe(self, { onGap }).ready;
    if (user !== "") presence.track(self, room, user, {});
    return push(text(`welcome ${pubsub.node}`), room);
  },
  handleIn: (message, room) => {
    pubsub.topic(room).publish(message);
    return ok(room);
  },
  handleInfo: (gap, room) => {
    if (gap?.missed === undefined) gaps.unknown += gap === undefined ? 0 : 1;
    else gaps.known += gap.missed;
    return ok(room);
  },
});

const server = http.createServer((request) => {
  const params = new URL(request.url, "http://localhost").searchParams;
  upgrade(request, Room, { room: params.get("room") ?? "room", user: params.get("user") ?? "" }, { compress: false });
});
const sockets = attach(server);

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** The longest time between two event-loop ticks, in milliseconds. */
let longestBlock = 0;
let lastTick = performance.now();
setInterval(() => {
  const now = performance.now();
  longestBlock = Math.max(longestBlock, now - lastTick - 10);
  lastTick = now;
}, 10).unref();

const COMMANDS = {
  /** Publishes `<node>:<number>`, `perTick` messages in each event-loop tick, padded to `size` characters. */
  publish: async ({ room = "room", from, count, perTick = 1, size = 0 }) => {
    let accepted = 0;
    for (let i = 0; i < count; ) {
      for (let n = 0; n < perTick && i < count; n++, i++) {
        if (pubsub.topic(room).publish(text(`${pubsub.node}:${from + i} `.padEnd(size, "x")))) accepted++;
      }
      await turn();
    }
    return accepted;
  },
  /** Publishes a message every `ms` milliseconds until told to stop. */
  start: ({ ms, size = 0 }) => {
    let number = 0;
    const timer = setInterval(() => {
      pubsub.topic("room").publish(text(`${pubsub.node}:${++number} `.padEnd(size, "x")));
    }, ms);
    COMMANDS.halt = () => {
      clearInterval(timer);
      return number;
    };
  },
  halt: () => 0,
  state: () => ({
    status: pubsub.status,
    stats: pubsub.stats,
    gaps,
    events,
    longestBlock,
    rss: process.memoryUsage.rss(),
  }),
  resetBlock: () => {
    longestBlock = 0;
  },
  present: ({ room = "room" }) => [...presence.list(room).keys()].sort(),
  subscribeMany: async ({ count }) => {
    // Topics without connections of their own: one connection is a member of all.
    const { connect } = await import("websock-js/testing");
    let own;
    const init = (_, self) => {
      own = self;
      return ok(0);
    };
    await connect({ init, handleIn: (_, state) => ok(state) }, undefined);
    await Promise.all(Array.from({ length: count }, (_, i) => pubsub.topic(`many:${i}`).subscribe(own).ready));
    return count;
  },
  close: async () => {
    await pubsub.close();
    await sockets.drain();
    server.close();
  },
};

process.on("message", async ({ id, command, ...args }) => {
  if (command === undefined) return; // of the backplane for node:cluster
  try {
    process.send({ id, result: await COMMANDS[command](args) });
  } catch (error) {
    process.send({ id, error: String(error?.stack ?? error) });
  }
});

server.listen({ port: 0, host: "127.0.0.1", exclusive: true, backlog: 4096 }, () => {
  process.send({ listening: server.address().port, node: pubsub.node });
});
