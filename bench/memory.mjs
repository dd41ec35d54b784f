#!/usr/bin/env node
/** What an idle connection costs, next to `ws` and to a bare socket. See README.md. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { Child, CORE, startServer } from "./lib/child.mjs";
import { SERVERS } from "./lib/servers.mjs";
import { median, table } from "./lib/stats.mjs";

/** Ours over `ws`, by what is in use; with compression, each as it comes by default. */
const TARGETS = { plain: 0.85, compressed: 0.05 };

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    connections: { type: "string", default: "5000" },
    against: { type: "string" },
    compressed: { type: "boolean", default: false },
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
const target = flags.compressed ? TARGETS.compressed : TARGETS.plain;
const names = flags.compressed ? ["websock-compress", "ws-compress"] : ["websock", "ws", "net"];
/** `ws` compresses from 1024 octets on, we from 512. */
const size = flags.compressed ? 2048 : 32;
if (flags.against) {
  SERVERS.other = { ...SERVERS.websock, args: [resolve(flags.against)] };
  names.push("other");
}

/** @param {string} name */
const measure = async (name) => {
  const { child: server, port, raw, compressed } = await startServer(name, ["--expose-gc"]);
  try {
    const options = { port, raw, http2: false, compressed, kind: /** @type {const} */ ("text"), size, inFlight: 1 };
    // Once around first: what is loaded and compiled for the first connections is not theirs.
    await withConnections({ ...options, connections: 500 }, async () => {});
    const before = await server.ask("memory");
    return await withConnections({ ...options, connections }, async () => {
      const after = await server.ask("memory");
      const each = (/** @type {"counted" | "all" | "rss"} */ what) => (after[what] - before[what]) / connections;
      return { used: each(flags.compressed ? "all" : "counted"), rss: each("rss") };
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

/** @type {Record<string, { used: number, rss: number }[]>} */
const samples = Object.fromEntries(names.map((name) => [name, []]));
for (let round = 0; round < rounds; round++) {
  for (let i = 0; i < names.length; i++) {
    const name = names[(round + i) % names.length];
    samples[name].push(await measure(name));
  }
}

const rows = names.map((name) => ({
  server: name,
  used: median(samples[name].map(({ used }) => used)),
  rss: median(samples[name].map(({ rss }) => rss)),
}));
const [ours, ws] = rows;
const ratio = ours.used / ws.used;

if (flags.json) {
  console.log(JSON.stringify({ node: process.version, connections, rounds, rows, ratio, target, samples }, null, 2));
} else {
  console.log(
    `\nNode ${process.version.slice(1)}, ${connections} idle connections that have exchanged one ${flags.compressed ? "compressed " : ""}message, medians of ${rounds} rounds\n`,
  );
  console.log(
    table(
      ["server", flags.compressed ? "in use" : "in use (heap + external)", "ours/it", "resident (RSS)", "ours/it"],
      rows.map(({ server, used, rss }, i) => [
        server,
        `${used.toFixed(0)} B`,
        i === 0 ? "" : (ours.used / used).toFixed(3),
        `${rss.toFixed(0)} B`,
        i === 0 ? "" : (ours.rss / rss).toFixed(3),
      ]),
    ),
  );
  console.log(`\nours/ws ${ratio.toFixed(3)}, target ≤ ${target}: ${ratio <= target ? "hit" : "MISSED"}`);
}
