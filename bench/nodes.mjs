#!/usr/bin/env node
/** What a message costs that is published on one node and received by a client of another one. See README.md. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import os from "node:os";
import { parseArgs } from "node:util";
import { WebSocket } from "ws";
import { Child, CORE, canPin } from "./lib/child.mjs";
import { median, short, table } from "./lib/stats.mjs";

const MESSAGE = "x".repeat(100);
/** How many messages may be on their way: the next ones are published when these have arrived. */
const WINDOW = 2_000;

/** @type {Record<string, "redis" | "nats">} */
const KINDS = { redis: "redis", ioredis: "redis", nats: "nats", socketio: "redis", crossws: "redis" };

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "2" },
    kinds: { type: "string", default: Object.keys(KINDS).join(",") },
    help: { type: "boolean", default: false },
  },
});

if (flags.help) {
  console.log(`node bench/nodes.mjs [--rounds 3] [--seconds 2] [--kinds redis,socketio]

kinds: ${Object.keys(KINDS).join(", ")}`);
  process.exit(0);
}

/** Starts an engine on a free port, and returns its URL. @param {"redis" | "nats"} engine */
const startEngine = async (engine) => {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = /** @type {net.AddressInfo} */ (probe.address());
  probe.close();
  await once(probe, "close");
  const [file, args] =
    engine === "redis"
      ? ["redis-server", ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]]
      : ["nats-server", ["-a", "127.0.0.1", "-p", `${port}`]];
  const path = `${process.env.PATH}:/usr/sbin`;
  const child = spawn(file, args, { stdio: "ignore", env: { ...process.env, PATH: path } });
  await once(child, "spawn");
  process.once("exit", () => child.kill("SIGKILL"));
  for (;;) {
    const socket = net.connect(port, "127.0.0.1");
    const connected = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "error").then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (connected) return { url: `${engine}://127.0.0.1:${port}`, stop: () => child.kill("SIGKILL") };
  }
};

/**
 * A client in the room of a node, and the number of messages that it has received.
 *
 * @param {string} kind
 * @param {number} port
 */
const openClient = async (kind, port) => {
  const client = { received: 0, onMessage: () => undefined, close: () => socket.terminate() };
  const path = kind === "socketio" ? "socket.io/?EIO=4&transport=websocket" : "";
  const socket = new WebSocket(`ws://127.0.0.1:${port}/${path}`, { perMessageDeflate: false });
  socket.on("message", (data) => {
    const text = String(data);
    // Engine.IO: open, and a ping.
    if (kind === "socketio" && text[0] === "0") socket.send("40");
    if (kind === "socketio" && text === "2") socket.send("3");
    if (text.length < MESSAGE.length || !text.endsWith(kind === "socketio" ? 'x"]' : "x")) return;
    client.received++;
    client.onMessage();
  });
  await once(socket, "open");
  return client;
};

/**
 * @param {string} kind
 * @param {string} url
 * @param {number} perTick how many messages are published in an event-loop tick
 */
const measure = async (kind, url, perTick) => {
  const start = () => new Child("servers/node.mjs", { core: CORE.server, args: [kind, url] });
  const [publisher, receiver] = [start(), start()];
  try {
    const [, port] = await Promise.all([publisher.receive("listening"), receiver.receive("listening")]);
    const client = await openClient(kind, port);
    const publish = (/** @type {number} */ count) => {
      const expected = client.received + count;
      /** @type {Promise<void>} */
      const received = new Promise((resolve) => {
        client.onMessage = () => {
          if (client.received === expected) resolve();
        };
      });
      publisher.send({ count, perTick, data: MESSAGE });
      return received;
    };
    // Until the nodes have found each other, messages are lost.
    while (client.received === 0) {
      publisher.send({ count: 1, perTick: 1, data: MESSAGE });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (let i = 0; i < 10; i++) await publish(WINDOW);
    const cpu = async () => Promise.all([publisher.ask("cpu"), receiver.ask("cpu")]);
    const [before, began] = [await cpu(), performance.now()];
    let messages = 0;
    for (; performance.now() - began < Number(flags.seconds) * 1000; messages += WINDOW) await publish(WINDOW);
    const [after, seconds] = [await cpu(), (performance.now() - began) / 1000];
    client.close();
    const perMessage = after.map((end, i) => ((end - before[i]) / messages) * 1e6);
    return { perSecond: messages / seconds, publisher: perMessage[0] ?? 0, receiver: perMessage[1] ?? 0 };
  } finally {
    await Promise.all([publisher.stop(), receiver.stop()]);
  }
};

console.log(`${os.cpus()[0]?.model}, Node ${process.versions.node}${canPin ? "" : ", not pinned to cores"}\n`);

const kinds = flags.kinds.split(",");
const engines = { redis: await startEngine("redis"), nats: await startEngine("nats") };
/** @type {string[][]} */
const rows = [];
for (const perTick of [1, 20]) {
  /** @type {Map<string, { perSecond: number, publisher: number, receiver: number }[]>} */
  const results = new Map(kinds.map((kind) => [kind, []]));
  for (let round = 0; round < Number(flags.rounds); round++)
    for (let i = 0; i < kinds.length; i++) {
      // Each round begins with another one.
      const kind = kinds[(i + round) % kinds.length] ?? "";
      const { url } = engines[KINDS[kind] ?? "redis"];
      results.get(kind)?.push(await measure(kind, url, perTick));
    }
  const total = (/** @type {{ publisher: number, receiver: number }} */ one) => one.publisher + one.receiver;
  const reference = (results.get("redis") ?? []).map(total);
  for (const [kind, all] of results) {
    const ratios = all.map((one, i) => total(one) / (reference[i] ?? Number.NaN));
    const range = `${Math.min(...ratios).toFixed(1)}–${Math.max(...ratios).toFixed(1)}`;
    rows.push([
      `${perTick} a tick`,
      kind,
      short(median(all.map(({ perSecond }) => perSecond))),
      median(all.map(({ publisher }) => publisher)).toFixed(1),
      median(all.map(({ receiver }) => receiver)).toFixed(1),
      kind === "redis" ? "" : `${median(ratios).toFixed(1)} (${range})`,
    ]);
  }
}
for (const { stop } of Object.values(engines)) stop();
console.log(table(["case", "nodes", "messages/s", "µs of CPU: publisher", "receiver", "both/redis (range)"], rows));
