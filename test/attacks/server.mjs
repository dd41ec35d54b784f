// The server under attack: a process of its own, on the built package. Its sessions' time stands still until it is told to pass.
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
/** What carries a WebSocket or asks for one: a TCP connection, or a stream of HTTP/2. */
const sockets = new Set();
const errors = new Set();
const clock = new ManualClock();

/** `/ws/echo` is that handler, `/gate/ws/echo` the same when the gate opens, anything else an ordinary page. */
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
/** Is in the set until it closes. */
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
  /** Until the peers are read no more: what they send has become backpressure, and stays so. */
  heldBack: async () => {
    for (let still = 0, octets = -1; still < 200; await turn()) {
      const read = [...connections].reduce((sum, socket) => sum + socket.bytesRead, 0);
      const isHeld = sockets.size > 0 && [...sockets].every((socket) => socket.readableFlowing !== true);
      still = isHeld && read === octets ? still + 1 : 0;
      octets = read;
    }
  },
  /** Until the close frames of so many have arrived. */
  closing: async (count) => {
    while (peers.filter((self) => self.connection.closeCode !== undefined).length < count) await turn();
  },
  /** Until every connection has closed, and everything on it. */
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
