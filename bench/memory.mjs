#!/usr/bin/env node
/** What an idle connection costs, next to `ws` and to a bare socket. See README.md. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { Child, CORE, startServer } from "./lib/child.mjs";
import { SERVERS } from "./lib/servers.mjs";
import { median, table } from "./lib/stats.mjs";

/** Ours over `ws`, by what is in use. */
const TARGET = 0.85;

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    connections: { type: "string", default: "5000" },
    against: { type: "string" },
    json: { type: "boolean", default: false },
  },
});

/** How many sockets one process may have, as far as the system tells. */
const socketLimit = () => {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft) - 100;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
};

const rounds = Number(flags.rounds);
const wanted = Number(flags.connections);
const connections = Math.min(wanted, socketLimit());
if (connections < wanted) console.error(`only ${connections} connections: see ulimit -n`);
const names = ["websock", "ws", "net"];
if (flags.against) {
  SERVERS.other = { ...SERVERS.websock, args: [resolve(flags.against)] };
  names.push("other");
}

/** @param {string} name */
const measure = async (name) => {
  const { child: server, port, raw } = await startServer(name, ["--expose-gc"]);
  try {
    const options = { port, raw, kind: /** @type {const} */ ("text"), size: 32, inFlight: 1 };
    // Once around first: what is loaded and compiled for the first connections is not theirs.
    await withConnections({ ...options, connections: 500 }, async () => {});
    const before = await server.ask("memory");
    return await withConnections({ ...options, connections }, async () => {
      const after = await server.ask("memory");
      return { heap: (after.heap - before.heap) / connections, rss: (after.rss - before.rss) / connections };
    });
  } finally {
    await server.stop();
  }
};

/**
 * @template T
 * @param {Omit<import("./lib/run.mjs").LoadOptions, "warmup" | "seconds">} options
 * @param {() => Promise<T>} run
 */
const withConnections = async (options, run) => {
  const load = new Child("lib/load.mjs", { core: CORE.load });
  try {
    load.send({ command: "open", options });
    await load.receive("result", 120_000);
    return await run();
  } finally {
    await load.stop();
  }
};

/** @type {Record<string, { heap: number, rss: number }[]>} */
const samples = Object.fromEntries(names.map((name) => [name, []]));
for (let round = 0; round < rounds; round++) {
  for (let i = 0; i < names.length; i++) {
    const name = names[(round + i) % names.length];
    samples[name].push(await measure(name));
  }
}

const rows = names.map((name) => ({
  server: name,
  heap: median(samples[name].map(({ heap }) => heap)),
  rss: median(samples[name].map(({ rss }) => rss)),
}));
const [ours, ws] = rows;
const ratio = ours.heap / ws.heap;

if (flags.json) {
  console.log(
    JSON.stringify({ node: process.version, connections, rounds, rows, ratio, target: TARGET, samples }, null, 2),
  );
} else {
  console.log(
    `\nNode ${process.version.slice(1)}, ${connections} idle connections that have exchanged one message, medians of ${rounds} rounds\n`,
  );
  console.log(
    table(
      ["server", "in use (heap + external)", "ours/it", "resident (RSS)", "ours/it"],
      rows.map(({ server, heap, rss }, i) => [
        server,
        `${heap.toFixed(0)} B`,
        i === 0 ? "" : (ours.heap / heap).toFixed(2),
        `${rss.toFixed(0)} B`,
        i === 0 ? "" : (ours.rss / rss).toFixed(2),
      ]),
    ),
  );
  console.log(`\nours/ws ${ratio.toFixed(2)}, target ≤ ${TARGET}: ${ratio <= TARGET ? "hit" : "MISSED"}`);
}
