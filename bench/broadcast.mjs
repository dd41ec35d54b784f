#!/usr/bin/env node
/** What `topic.broadcast` to the `handleInfo` of 1 000 connections costs, next to a loop of `self.send`. See README.md. */
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { ours } from "./lib/ours.mjs";
import { median, short, table } from "./lib/stats.mjs";

const MEMBERS = 1_000;
const ROUNDS = 21;
const BROADCASTS = 200;

const { attach, ok, upgrade, PubSub } = await ours("node", { pubsub: true });
const room = new PubSub().topic("room");
/** @type {any[]} */
const members = [];
let handled = 0;
/** @type {() => void} */
let done = () => undefined;
const handler = {
  init: (/** @type {undefined} */ _, /** @type {any} */ self) => {
    members.push(self);
    room.subscribe(self);
    return ok(undefined);
  },
  handleIn: () => ok(undefined),
  handleInfo: () => {
    if (++handled === MEMBERS) done();
    return ok(undefined);
  },
};
const server = http.createServer((request) => upgrade(request, handler));
attach(server);
await once(server.listen(0, "127.0.0.1"), "listening");
const { port } = /** @type {net.AddressInfo} */ (server.address());
for (let i = 0; i < MEMBERS; i++) {
  const socket = net.connect(port, "127.0.0.1");
  socket.write(
    "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  await once(socket, "data");
}

/** @type {Record<string, (info: unknown) => void>} */
const ways = {
  "topic.broadcast": (info) => room.broadcast(info),
  "a loop of self.send": (info) => {
    for (const self of members) self.send(info);
  },
};

/** Infos per second of CPU time. @param {(info: unknown) => void} send */
const measure = async (send) => {
  const before = process.cpuUsage();
  for (let i = 0; i < BROADCASTS; i++) {
    handled = 0;
    const all = new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
      done = resolve;
    });
    send(i);
    await all;
  }
  const { user, system } = process.cpuUsage(before);
  return (MEMBERS * BROADCASTS * 1e6) / (user + system);
};

/** @type {Record<string, number[]>} */
const results = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
for (let round = 0; round < ROUNDS; round++)
  for (const [name, send] of Object.entries(ways)) results[name]?.push(await measure(send));
const [broadcast = [], loop = []] = Object.values(results);
const ratios = broadcast.map((speed, i) => speed / /** @type {number} */ (loop[i])).sort((a, b) => a - b);
console.log(
  table(
    ["", "infos per second of CPU"],
    Object.entries(results).map(([name, speeds]) => [name, short(median(speeds))]),
  ),
);
const quartile = (/** @type {number} */ share) => ratios[Math.floor(ratios.length * share)]?.toFixed(2);
console.log(
  `\nratio: ${median(ratios).toFixed(2)} (${quartile(0.25)} … ${quartile(0.75)}, ${ROUNDS} rounds; target ≥ 0.9)`,
);
process.exit();
