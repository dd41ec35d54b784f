/**
 * What `isolate` costs and gains, as ratios to the same handler in the main thread:
 *
 *     npm run -s build && node bench/isolate.mjs [--rounds=5] [--seconds=2] [--only=echo|burn|p99]
 *
 * - `echo`: messages per second, 32 B, 64 connections, 16 in flight each, one worker. Target: at least 0.25
 * - `burn`: messages per second of a handler that needs 1 ms of CPU time for each, two workers. Target: at least 1.6, on
 *   two cores
 * - `p99`: latency of an echo on another route (100 connections, 1 000 messages/s, open loop) while that handler burns,
 *   to the latency beside two processes that are busy with `nice -n 19`. Target: at most 2
 *
 * Nothing is pinned: the threads need both cores. The ratio of each round is of two measurements one after the other,
 * so on a machine with other work use many rounds, and read the quartiles.
 */
import { spawn } from "node:child_process";
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
