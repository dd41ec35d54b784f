/** Our servers. `--host` names what they run on; options are the defaults, except for compression. */
import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe } from "node:diagnostics_channel";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import { selfSigned } from "../../scripts/certificate.mjs";
import { ours } from "../lib/ours.mjs";
import { answer, answerJson, argument, chosen, compress, program, serve } from "../lib/serve.mjs";

/** @typedef {any} Self */
/** @typedef {any} Message */

/** What somebody has subscribed to: the events of connections, or everything that has a metric. */
const telemetry = argument("telemetry");
if (telemetry === "channels")
  for (const event of ["upgrade", "open", "close"]) subscribe(`websock-js:${event}`, () => {});
if (telemetry === "opentelemetry") await (await import("../lib/opentelemetry.mjs")).measure();

const host = argument("host") ?? "http1";
const adapter = /** @type {"node" | "ws" | "bun" | "deno"} */ (["ws", "bun", "deno"].includes(host) ? host : "node");
const pubsub = ["chat", "chat-except", "topics", "infos"].includes(program);
const channels = host === "channels";
const { attach, ok, push, text, upgrade, PubSub, phoenix } = await ours(adapter, {
  pubsub: pubsub || channels,
  channels,
});

const echo = { init: () => ok(undefined), handleIn: (/** @type {Message} */ message) => push(message, undefined) };

/** A class whose instances are handlers. */
class Echo {
  init() {
    return ok(this);
  }
  /** @param {Message} message */
  handleIn(message) {
    return push(message, this);
  }
}

/** A room whose members receive what each of them sends. */
const chat = () => {
  const room = new PubSub().topic("room");
  const except = program === "chat-except";
  return {
    init: (/** @type {undefined} */ _, /** @type {Self} */ self) => {
      room.subscribe(self);
      return ok(self);
    },
    handleIn: (/** @type {Message} */ message, /** @type {Self} */ self) => {
      if (except) room.publish(message, { except: self });
      else room.publish(message);
      return ok(self);
    },
  };
};

/** The same with a loop of `self.push` instead of a topic (`--chat=loop`). */
const chatLoop = () => {
  /** @type {Set<Self>} */
  const all = new Set();
  return {
    init: (/** @type {undefined} */ _, /** @type {Self} */ self) => {
      all.add(self);
      return ok(self);
    },
    handleIn: (/** @type {Message} */ message, /** @type {Self} */ self) => {
      for (const each of all) each.push(message);
      return ok(self);
    },
    terminate: (/** @type {unknown} */ _, /** @type {Self} */ self) => all.delete(self),
  };
};

/**
 * A room of Phoenix channels, which each connection has joined. The load cannot join, so the server does it, without a
 * reply.
 */
const channelRoom = () => {
  const { accept, channel, noreply, reply } = phoenix;
  const room = phoenix.channels({
    pubsub: new PubSub(),
    channels: {
      "room:*": channel()({
        join: () => accept(0),
        handleIn: {
          echo: (/** @type {unknown} */ payload, /** @type {number} */ count) => reply("ok", payload, count + 1),
          said: (/** @type {unknown} */ payload, /** @type {number} */ count, /** @type {any} */ socket) => {
            socket.broadcast("said", payload);
            return noreply(count + 1);
          },
        },
      }),
    },
  });
  const join = { opcode: "text", data: '["1",null,"room:1","phx_join",{}]' };
  return {
    init: async (/** @type {undefined} */ _, /** @type {Self} */ self) => {
      const result = room.init(await room.connect({ url: "/?vsn=2.0.0", headers: {} }), self);
      room.handleIn(join, result[1], self);
      return result;
    },
    handleIn: (/** @type {Message} */ message, /** @type {unknown} */ state, /** @type {Self} */ self) =>
      room.handleIn(message, state, self),
  };
};

/** Answers the same bytes as {@link channelRoom}, without parsing JSON. */
const barePush = {
  init: () => ok(undefined),
  handleIn: (/** @type {Message} */ { data }) => {
    const event = data.indexOf(',"echo",');
    const answer = `${data.slice(0, event)},"phx_reply",{"status":"ok","response":${data.slice(event + 8, -1)}}]`;
    return push(text(answer), undefined);
  },
};

/** A connection that can subscribe to many topics. */
const topics = () => {
  const all = new PubSub();
  /** @type {Self} */
  let member;
  /** @type {unknown[]} */
  const kept = [];
  questions.subscribe = (count) => {
    while (kept.length < count) {
      const topic = all.topic(`topic ${kept.length}`);
      topic.subscribe(member);
      kept.push(topic);
    }
  };
  return {
    init: (/** @type {undefined} */ _, /** @type {Self} */ self) => {
      member = self;
      return ok(undefined);
    },
    handleIn: (/** @type {Message} */ message) => push(message, undefined),
  };
};

/** Every connection handles each info that is broadcast. `--infos`: by `topic.broadcast`, or a loop of `self.send`. */
const infos = () => {
  const room = new PubSub().topic("room");
  /** @type {Self[]} */
  const members = [];
  let missing = 0;
  /** @type {() => void} */
  let done = () => undefined;
  const send =
    argument("infos") === "loop"
      ? (/** @type {unknown} */ info) => {
          for (const self of members) self.send(info);
        }
      : (/** @type {unknown} */ info) => room.broadcast(info);
  questions.broadcast = async (seconds) => {
    const began = performance.now();
    let count = 0;
    for (; performance.now() - began < seconds * 1000; count++) {
      missing = members.length;
      /** @type {Promise<void>} */
      const all = new Promise((resolve) => {
        done = resolve;
      });
      send(count);
      await all;
    }
    return { infos: count * members.length, seconds: (performance.now() - began) / 1000 };
  };
  return {
    init: (/** @type {undefined} */ _, /** @type {Self} */ self) => {
      members.push(self);
      room.subscribe(self);
      return ok(undefined);
    },
    handleIn: (/** @type {Message} */ message) => push(message, undefined),
    handleInfo: () => {
      if (--missing === 0) done();
      return ok(undefined);
    },
  };
};

/** @type {import("../lib/serve.mjs").Questions} */
const questions = {};

/** The handlers by the last character of the path. @type {Record<string, any>} */
const handlers = chosen({
  echo: () => ({ "/": echo }),
  // Different functions, which keep different states.
  five: () => ({
    0: echo,
    1: {
      init: () => ok(0),
      handleIn: (/** @type {Message} */ message, /** @type {number} */ count) => push(message, count + 1),
    },
    2: { init: () => ok([]), handleIn: (/** @type {Message} */ m, /** @type {unknown[]} */ s) => push([m], s) },
    3: new Echo(),
    4: {
      init: (/** @type {undefined} */ _, /** @type {Self} */ self) => ok({ self }),
      handleIn(/** @type {Message} */ message, /** @type {{ self: Self }} */ state) {
        return push(message, state);
      },
    },
  }),
  json: () => ({
    "/": {
      init: () => ok(undefined),
      handleIn: (/** @type {Message} */ message) => push(text(answerJson(message.data)), undefined),
    },
  }),
  async: () => ({
    "/": {
      init: () => ok(undefined),
      handleIn: async (/** @type {Message} */ message) => {
        await undefined;
        return push(message, undefined);
      },
    },
  }),
  chat: () => ({ "/": channels ? channelRoom() : argument("chat") === "loop" ? chatLoop() : chat() }),
  push: () => ({ "/": channels ? channelRoom() : barePush }),
  "chat-except": () => ({ "/": chat() }),
  topics: () => ({ "/": topics() }),
  infos: () => ({ "/": infos() }),
})();

const defaults = { compress: compress === "each" ? { threshold: 0 } : compress === "default" };
const only = handlers["/"];
/** @type {(request: any) => unknown} */
const route = only ? (request) => upgrade(request, only) : (request) => upgrade(request, handlers[request.url.at(-1)]);

/** @type {Record<string, () => unknown>} */
const hosts = {
  http1: () => onNode(http.createServer(route)),
  channels: () => onNode(http.createServer(route)),
  /** Every upgrade runs in an AsyncLocalStorage context of its own, as with tracing or request-scoped logging. */
  als: () => {
    const storage = new AsyncLocalStorage();
    let requests = 0;
    onNode(http.createServer((request) => storage.run({ id: ++requests }, () => route(request))));
  },
  /** Upgraded in a route of Express, after five middleware functions. */
  express: async () => {
    const { default: express } = await import("express");
    const app = express();
    for (let i = 0; i < 5; i++) app.use((_req, res, next) => void next(res.setHeader(`x-${i}`, "1") && undefined));
    app.get("/", route);
    onNode(http.createServer(app));
  },
  tls: () => onNode(https.createServer(selfSigned(), route)),
  http2: () => onNode(http2.createServer(route)),
  ws: async () => {
    const { WebSocketServer } = await import("ws");
    const server = http.createServer(route);
    attach(new WebSocketServer({ server }), { defaults });
    serve(server, questions);
  },
  bun: () => {
    const { port } = Bun.serve(attach({ hostname: "127.0.0.1", port: 0, fetch: route }, { defaults }));
    answer(port, questions);
  },
  deno: () => {
    Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: ({ port }) => answer(port, questions) },
      attach(route, { defaults }),
    );
  },
};

/** @param {import("node:net").Server} server */
function onNode(server) {
  attach(server, { defaults });
  serve(server, questions);
}

await hosts[host]?.();
