/**
 * Sends each message of a client to all clients. Arguments: what sends it (`topic`, `loop`, `ws`, `crossws` or `uws`),
 * `except` (not to the sender), and `deflate` (with compression).
 */
import http from "node:http";
import { ours } from "../lib/ours.mjs";
import { answer, serve } from "../lib/serve.mjs";

const [kind = "", ...how] = process.argv.slice(2);
const except = how.includes("except");
const deflate = how.includes("deflate");

/** Messages are compressed separately, whatever their size, at level 6. */
const wsDeflate = {
  threshold: 0,
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  zlibDeflateOptions: { level: 6, memLevel: 8 },
};

/** @type {Record<string, () => unknown>} */
const servers = {
  /** A topic of ours. */
  topic: async () => {
    const { attach, ok, upgrade, PubSub } = await ours("node", { pubsub: true });
    const room = new PubSub().topic("room");
    const handler = {
      init: (/** @type {undefined} */ _, /** @type {any} */ self) => {
        room.subscribe(self);
        return ok(self);
      },
      handleIn: (/** @type {any} */ message, /** @type {any} */ self) => {
        if (except) room.publish(message, { except: self });
        else room.publish(message);
        return ok(self);
      },
    };
    const server = http.createServer((request) => upgrade(request, handler));
    attach(server, { defaults: { compress: deflate && { threshold: 0 } } });
    serve(server);
  },
  /** Ours, with a loop of `self.push` instead of a topic. */
  loop: async () => {
    const { attach, ok, upgrade } = await ours("node");
    /** @type {Set<any>} */
    const all = new Set();
    const handler = {
      init: (/** @type {undefined} */ _, /** @type {any} */ self) => {
        all.add(self);
        return ok(self);
      },
      handleIn: (/** @type {any} */ message, /** @type {any} */ self) => {
        for (const each of all) if (!except || each !== self) each.push(message);
        return ok(self);
      },
      terminate: (/** @type {any} */ _, /** @type {any} */ self) => all.delete(self),
    };
    const server = http.createServer((request) => upgrade(request, handler));
    attach(server, { defaults: { compress: deflate && { threshold: 0 } } });
    serve(server);
  },
  /** The loop over all clients that the documentation of `ws` shows. */
  ws: async () => {
    const { WebSocketServer } = await import("ws");
    const server = http.createServer();
    const sockets = new WebSocketServer({ server, perMessageDeflate: deflate && wsDeflate });
    sockets.on("connection", (socket) => {
      socket.on("message", (data, binary) => {
        for (const each of sockets.clients) if (!except || each !== socket) each.send(data, { binary });
      });
    });
    serve(server);
  },
  /** `publish` of crossws. It never includes the sender, who is sent the message separately. */
  crossws: async () => {
    const { default: crossws } = await import("crossws/adapters/node");
    const { handleUpgrade } = crossws({
      serverOptions: { perMessageDeflate: deflate && wsDeflate },
      hooks: {
        open: (peer) => peer.subscribe("room"),
        message: (peer, message) => {
          const text = message.text();
          peer.publish("room", text);
          if (!except) peer.send(text);
        },
      },
    });
    const server = http.createServer();
    server.on("upgrade", handleUpgrade);
    serve(server);
  },
  /** `publish` of uWebSockets.js, from the folder that the environment variable UWS names. */
  uws: async () => {
    const { default: uws } = await import(`${process.env.UWS}/uws.js`);
    const app = uws.App();
    app.ws("/*", {
      compression: deflate ? uws.SHARED_COMPRESSOR : uws.DISABLED,
      maxBackpressure: 2 ** 30,
      open: (/** @type {any} */ socket) => socket.subscribe("room"),
      message: (/** @type {any} */ socket, /** @type {ArrayBuffer} */ data, /** @type {boolean} */ binary) => {
        if (except) socket.publish("room", data, binary, deflate);
        else app.publish("room", data, binary, deflate);
      },
    });
    app.listen("127.0.0.1", 0, (/** @type {any} */ listening) => answer(uws.us_socket_local_port(listening)));
  },
};

await servers[kind]?.();
