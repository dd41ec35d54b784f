/**
 * What a message costs that is published on one node and received by a client of another. The two nodes share a core,
 * and the engine and the client share the other one: compare the CPU times, and not the messages per second.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { WebSocket } from "ws";
import { Child, CORE, pinned } from "../lib/child.mjs";
import { disturbances } from "../lib/disturbance.mjs";
import { commandFor, MissingRuntime } from "../lib/engines.mjs";
import { circumstancesOf, observe } from "../lib/observe.mjs";
import { loadSeconds } from "./load.mjs";

const MESSAGE = "x".repeat(100);
/** How many messages may be on their way: the next ones are published when these have arrived. */
const WINDOW = 2_000;

/** The engine of each kind of node. @type {Record<string, "redis" | "nats">} */
const ENGINES = {
  redis: "redis",
  ioredis: "redis",
  nats: "nats",
  "socket.io-redis": "redis",
  "crossws-redis": "redis",
};

/** @type {import("./index.mjs").SecondsOf} */
export const secondsOf = (work, context) => loadSeconds(work, context) + 1.5;

/** Starts an engine on a free port, and returns its URL. @param {"redis" | "nats"} engine */
const startEngine = async (engine) => {
  const probe = net.createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = /** @type {net.AddressInfo} */ (probe.address());
  probe.close();
  await once(probe, "close");
  const line =
    engine === "redis"
      ? ["redis-server", "--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
      : ["nats-server", "-a", "127.0.0.1", "-p", `${port}`];
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
  const [file, ...args] = pinned(line, CORE.load);
  const child = spawn(/** @type {string} */ (file), args, { stdio: "ignore", env });
  const missing = new MissingRuntime(`${line[0]} is not installed: run scripts/install-engines.sh`);
  let gone = false;
  child.once("error", () => (gone = true));
  child.once("exit", () => (gone = true));
  while (!gone) {
    const socket = net.connect(port, "127.0.0.1");
    const connected = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (connected) return { url: `${engine}://127.0.0.1:${port}`, stop: () => void child.kill("SIGKILL") };
  }
  throw missing;
};

/**
 * A client in the room of a node, and the number of messages that it has received.
 *
 * @param {string} kind
 * @param {number} port
 */
const openClient = async (kind, port) => {
  const socketIo = kind.startsWith("socket.io");
  const client = { received: 0, onMessage: () => undefined, close: () => socket.terminate() };
  const path = socketIo ? "socket.io/?EIO=4&transport=websocket" : "";
  const socket = new WebSocket(`ws://127.0.0.1:${port}/${path}`, { perMessageDeflate: false });
  socket.on("message", (data) => {
    const text = String(data);
    // Engine.IO: open, and a ping.
    if (socketIo && text[0] === "0") socket.send("40");
    if (socketIo && text === "2") socket.send("3");
    if (text.length < MESSAGE.length || !text.endsWith(socketIo ? 'x"]' : "x")) return;
    client.received++;
    client.onMessage();
  });
  await once(socket, "open");
  return client;
};

/** @type {import("./index.mjs").Measure} */
export const measure = async ({ server: kind, dist }, { perTick = 1 }, { seconds, warmup, engines, together }) => {
  const engine = await startEngine(ENGINES[kind] ?? "redis");
  const start = () =>
    new Child("servers/node.mjs", {
      core: CORE.server,
      args: [kind, engine.url, ...(dist === undefined ? [] : [`--dist=${dist}`])],
      command: commandFor(undefined, engines),
    });
  const nodes = [start(), start()];
  const [publisher, receiver] = /** @type {[Child, Child]} */ (nodes);
  try {
    const [, port] = await Promise.all(nodes.map((node) => node.receive("listening")));
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
    const repeat = async (/** @type {number} */ duration) => {
      const began = performance.now();
      let messages = 0;
      for (; performance.now() - began < duration * 1000; messages += WINDOW) await publish(WINDOW);
      return { messages, seconds: (performance.now() - began) / 1000 };
    };
    // Until the nodes have found each other, messages are lost.
    while (client.received === 0) {
      publisher.send({ count: 1, perTick: 1, data: MESSAGE });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    await repeat(warmup);
    const end = await observe(nodes);
    const { messages, seconds: took } = await repeat(seconds);
    const observed = await end();
    client.close();
    const [ofPublisher = 0, ofReceiver = 0] = observed.cpu.map((spent) => (spent / messages) * 1e6);
    const circumstances = circumstancesOf(observed, took, { together });
    return {
      value: ofPublisher + ofReceiver,
      cpu: ofPublisher + ofReceiver,
      server: circumstances.server,
      marks: disturbances(circumstances),
      detail: { perSecond: messages / took, publisher: ofPublisher, receiver: ofReceiver },
    };
  } finally {
    await Promise.all([publisher.stop(), receiver.stop()]);
    engine.stop();
  }
};
