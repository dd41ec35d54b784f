/**
 * What `isolate` costs and gains, as ratios to the same handler in the main thread:
 *
 *     npm run -s build && node bench/isolate.mjs [--rounds=5] [--seconds=2] [--only=echo|burn|p99|kills]
 *
 * - `echo`: messages per second, 32 B, 64 connections, 16 in flight each, one worker. Target: at least 0.25
 * - `burn`: messages per second of a handler that needs 1 ms of CPU time for each, two workers. Target: at least 1.6, on
 *   two cores
 * - `p99`: latency of an echo on another route (100 connections, 1 000 messages/s, open loop) while that handler burns,
 *   to the latency beside two processes that are busy with `nice -n 19`. Target: at most 2
 * - `kills`: latency of an isolated echo while the worker of another handler is ended by heap bombs, one after the other,
 *   to the latency without them. Target: at most 2
 *
 * Nothing is pinned: the threads need both cores. The ratio of each round is of two measurements one after the other,
 * so on a machine with other work use many rounds, and read the quartiles.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { WebSocket } from "ws";
import { Child } from "./lib/child.mjs";
import { percentile } from "./lib/histogram.mjs";
import { argument } from "./lib/serve.mjs";
import { startLoad } from "./load/loads.mjs";

const rounds = Number(argument("rounds") ?? 5);
const seconds = Number(argument("seconds") ?? 2);
const only = argument("only");

const TEXT = { kind: /** @type {const} */ ("text"), size: 32 };

/** @param {string[]} args */
const start = async (...args) => {
  const server = new Child("servers/isolate.mjs", { core: undefined, args });
  return { server, port: await server.receive("listening") };
};

/**
 * @param {string[]} args of the server
 * @param {Partial<import("./load/loads.mjs").LoadOptions>} options
 */
const throughput = async (args, options) => {
  const { server, port } = await start(...args);
  const load = startLoad({
    mode: "closed",
    protocol: "websocket",
    port,
    messages: TEXT,
    paths: 1,
    seconds,
    ...options,
  });
  await load.began;
  const before = await server.ask("cpu");
  await load.ended;
  const cpu = (await server.ask("cpu")) - before;
  const result = await load.result;
  await load.stop();
  await server.stop();
  return { rate: result.messages / result.seconds, perCpu: result.messages / cpu };
};

/** The 99th percentile of the latency of an echo in the main thread, in microseconds. @param {boolean} burns */
const latency = async (burns) => {
  const { server, port } = await start("--handler=isolated", "--workers=2", "--burn=1");
  const echo = { mode: /** @type {const} */ ("open"), rate: 1000, connections: 100, messages: TEXT, seconds };
  const busy = burns
    ? []
    : [0, 1].map(() => spawn("nice", ["-n", "19", process.execPath, "-e", "for (;;);"], { stdio: "ignore" }));
  const burning = burns
    ? startLoad({
        mode: "closed",
        protocol: "websocket",
        port,
        messages: TEXT,
        paths: 1,
        connections: 8,
        inFlight: 4,
        seconds: seconds + 1,
      })
    : undefined;
  await burning?.began;
  const load = startLoad({ protocol: "websocket", port, ...echo });
  const result = await load.result;
  await load.stop();
  await burning?.result;
  await burning?.stop();
  for (const process of busy) process.kill();
  await server.stop();
  return (percentile(result.latencies ?? [], 0.99) ?? Number.NaN) / 1000;
};

/** The same of an isolated echo, and how many workers were ended. @param {boolean} kills */
const latencyBeside = async (kills) => {
  const { server, port } = await start("--handler=isolated");
  const load = startLoad({
    mode: "open",
    protocol: "websocket",
    port,
    paths: 1,
    rate: 1000,
    connections: 100,
    messages: TEXT,
    seconds,
  });
  let [count, isOver] = [0, false];
  const killing = (async () => {
    while (kills && !isOver) {
      const victim = new WebSocket(`ws://127.0.0.1:${port}/victim`);
      victim.on("open", () => victim.send("bomb"));
      const [code] = await once(victim, "close");
      if (code === 1011) count++;
      else await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  const result = await load.result;
  isOver = true;
  await killing;
  await load.stop();
  await server.stop();
  return { p99: (percentile(result.latencies ?? [], 0.99) ?? Number.NaN) / 1000, count };
};

/** @param {number[]} values */
const quartiles = (values) => {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (/** @type {number} */ share) => /** @type {number} */ (sorted[Math.round(share * (sorted.length - 1))]);
  return `${at(0.5).toFixed(2)} (quartiles ${at(0.25).toFixed(2)} to ${at(0.75).toFixed(2)})`;
};

/**
 * @param {string} name
 * @param {string} what
 * @param {() => Promise<readonly number[]>} measure the ratio, and others for information
 */
const report = async (name, what, measure) => {
  if (only !== undefined && only !== name) return;
  const all = [];
  for (let round = 0; round < rounds; round++) all.push(await measure());
  const columns = /** @type {readonly number[]} */ (all[0]).map((_, i) =>
    all.map((row) => /** @type {number} */ (row[i])),
  );
  console.log(`${name}: ${what.replaceAll(/%(\d)/g, (_, i) => quartiles(/** @type {number[]} */ (columns[i])))}`);
};

const ECHO = { connections: 64, inFlight: 16 };
await report("echo", "isolated to direct: %0; per CPU time: %1; direct %2/s", async () => {
  const direct = await throughput(["--handler=direct"], ECHO);
  const isolated = await throughput(["--handler=isolated"], ECHO);
  return [isolated.rate / direct.rate, isolated.perCpu / direct.perCpu, direct.rate];
});

const BURN = { connections: 8, inFlight: 4 };
await report("burn", "isolated to direct: %0; direct %1/s", async () => {
  const direct = await throughput(["--handler=direct", "--burn=1"], BURN);
  const isolated = await throughput(["--handler=isolated", "--workers=2", "--burn=1"], BURN);
  return [isolated.rate / direct.rate, direct.rate];
});

await report("p99", "burning to beside nice: %0; beside nice %1 µs, burning %2 µs", async () => {
  const beside = await latency(false);
  const burning = await latency(true);
  return [burning / beside, beside, burning];
});

await report("kills", "with kills to quiet: %0; quiet %1 µs, with kills %2 µs; workers ended %3", async () => {
  const quiet = await latencyBeside(false);
  const killing = await latencyBeside(true);
  return [killing.p99 / quiet.p99, quiet.p99, killing.p99, killing.count];
});
