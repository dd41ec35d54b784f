// The server that is attacked. It runs in a process of its own, with the built package. The clock of its sessions is
// advanced only by the command `advance`.
import http from "node:http";
import http2 from "node:http2";
import { setImmediate as turn } from "node:timers/promises";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { ManualClock } from "websock-js/testing";
import { answer, measurements } from "../support/measured.mjs";
import { Gate, handlersFor, Tally } from "./handlers.mjs";

const { version, options, tls } = JSON.parse(process.argv[2]);

const tally = new Tally();
const gate = new Gate();
const peers = [];
const handlers = handlersFor(tally, gate, peers);
/** TCP connections. */
const connections = new Set();
/** What carries WebSockets and upgrade requests: TCP connections, or HTTP/2 streams. */
const sockets = new Set();
const errors = new Set();
const clock = new ManualClock();

/** `/ws/echo` upgrades with the handler `echo`, `/gate/ws/echo` after the gate has opened; other paths are pages. */
const listener = async (request, response) => {
  tally.add(`${request.method} ${request.url.replace(/\?.*/, "")}`);
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  const [, gated, name] = /^(\/gate)?\/ws\/([\w-]+)$/.exec(pathname) ?? [];
  if (gated !== undefined) await gate.opened;
  if (name !== undefined) {
    upgrade(request, handlers[name], undefined, JSON.parse(searchParams.get("options") ?? "{}"));
    return;
  }
  request.resume().once("end", () => response.end(`page ${pathname}`));
};
const server =
  version === "HTTP/1.1"
    ? http.createServer(options, listener)
    : tls === undefined
      ? http2.createServer(options, listener)
      : http2.createSecureServer({ ...options, ...tls }, listener);
if (version === "HTTP/2" && options.timeout !== undefined) server.setTimeout(options.timeout);
const attachment = attach(server, {
  clock,
  onError: (error, context) => errors.add(`${context?.callback}: ${error.name}: ${error.message}`),
});
/** Keeps an object in the set until it closes, and counts its closing under this name. */
const watch = (set, one, name) => {
  if (set.has(one)) return;
  set.add(one);
  one.once("close", () => {
    set.delete(one);
    tally.add(name);
  });
};
server.on("connection", (socket) => {
  watch(connections, socket, "connection closed");
  if (version === "HTTP/1.1") watch(sockets, socket, "socket closed");
});
if (version === "HTTP/2") server.on("stream", (stream) => watch(sockets, stream, "socket closed"));

const turns = async (count) => {
  for (let i = 0; i < count; i++) await turn();
};

answer({
  ...measurements,
  start: async () => {
    await turns(5);
    tally.counts = {};
    errors.clear();
    await measurements.start();
  },
  reaches: (name, count) => tally.reaches(name, count),
  /** Resolves when nothing has been read from any peer for 200 event-loop ticks, because reading is paused. */
  heldBack: async () => {
    for (let still = 0, before = -1; still < 200; await turn()) {
      const read = [...connections].reduce((sum, socket) => sum + socket.bytesRead, 0);
      const isHeld = sockets.size > 0 && [...sockets].every((socket) => socket.readableFlowing !== true);
      still = isHeld && read === before ? still + 1 : 0;
      before = read;
    }
  },
  /** Resolves when `count` close frames have arrived on connections whose callbacks never settle. */
  closing: async (count) => {
    while (peers.filter((self) => self.connection.closeCode !== undefined).length < count) await turn();
  },
  /** Resolves when all connections and streams have closed. */
  deserted: async () => {
    while (sockets.size + connections.size > 0) {
      const name = sockets.size > 0 ? "socket closed" : "connection closed";
      await tally.reaches(name, (tally.counts[name] ?? 0) + 1);
    }
    await turns(5);
  },
  advance: async (ms) => {
    clock.advance(ms);
    await turns(2);
  },
  open: () => gate.open(),
  shutDown: () => {
    attachment.close().then(() => {
      tally.add("shut down");
      server.close(() => tally.add("server closed"));
    });
  },
  connections: () => attachment.connections,
  /** What happened to the sessions, and which requests reached the app. */
  events: () => {
    const events = Object.entries(tally.counts).filter(([name]) => !/^(socket|connection) closed$/.test(name));
    const isRequest = ([name]) => name.includes(" /");
    return {
      happens: Object.fromEntries(events.filter((event) => !isRequest(event))),
      requests: Object.fromEntries(events.filter(isRequest)),
    };
  },
  errors: () => [...errors].sort(),
});
server.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));
