/** The load for Socket.IO: its own client, over WebSocket only, with default options. */
import { io } from "socket.io-client";

/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** @param {import("./loads.mjs").LoadOptions} options */
const run = async ({ port, messages: { kind, size = 32 }, connections = 1, inFlight = 1, warmup = 1, seconds = 1 }) => {
  let [messages, sending] = [0, true];
  const payload = kind === "text" ? "x".repeat(size) : Buffer.alloc(size, 1);
  const sockets = Array.from({ length: connections }, () => io(`http://127.0.0.1:${port}`, OPTIONS));
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once("connect", () => resolve(null)))));
  for (const socket of sockets) {
    socket.on("m", (data) => {
      if (data.length !== size || (kind === "text" && data !== payload)) fail("an answer differs from what was sent");
      messages++;
      if (sending) socket.emit("m", payload);
    });
    for (let i = 0; i < inFlight; i++) socket.emit("m", payload);
  }
  await sleep(warmup * 1000);
  process.send?.({ began: true });
  const before = { at: performance.now(), messages, cpu: cpu() };
  await sleep(seconds * 1000);
  const took = (performance.now() - before.at) / 1000;
  const result = { messages: messages - before.messages, seconds: took, cpu: cpu() - before.cpu };
  sending = false;
  process.send?.({ ended: true });
  process.send?.({ result });
};

const OPTIONS = { transports: ["websocket"], forceNew: true };

/** @param {unknown} error */
const fail = (error) => process.send?.({ error: String(error) });

process.on("message", (/** @type {any} */ { ask, options }) => {
  if (ask === "exit") process.exit(0);
  run(options).catch(fail);
});
process.on("disconnect", () => process.exit(0));
