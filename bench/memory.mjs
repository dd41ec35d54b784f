#!/usr/bin/env node
/** What an idle connection costs, next to `ws`, to a bare socket, or to another build. See README.md. */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { findBuild } from "./lib/builds.mjs";
import { Child, CORE, startServer } from "./lib/child.mjs";
import { nodeVersion } from "./lib/engines.mjs";
import { medianOf, problemsOf, stopOnInterrupt, takeTurns } from "./lib/rounds.mjs";
import { causeOf } from "./lib/run.mjs";
import { table } from "./lib/stats.mjs";

/** The largest ratios of our memory in use to that of `ws`; with compression, each with its defaults. */
const TARGETS = { plain: 0.85, compressed: 0.05 };
/** The criterion of README.md: how many bytes more than in the other build an idle connection may need. */
const AGAINST_TARGET = 64;

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    connections: { type: "string", default: "5000" },
    against: { type: "string" },
    node: { type: "string" },
    runtimes: { type: "string" },
    compressed: { type: "boolean", default: false },
    context: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (flags.help) {
  console.log(`node bench/memory.mjs [--rounds 3] [--connections 5000] [--compressed] [--context]
  [--against <dist folder, built checkout or commit>] [--node <20, 22, 24, 26 or a binary>] [--runtimes <folder>] [--json]

--context: every upgrade runs in an AsyncLocalStorage context of its own
--against compares only with another build`);
  process.exit(0);
}

/** How many sockets one process may open, if the operating system tells it. */
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
if (!(rounds > 0 && wanted > 0)) throw new TypeError("--rounds and --connections must be numbers above 0");
const connections = Math.min(wanted, socketLimit());
if (connections < wanted) console.error(`only ${connections} connections: see ulimit -n`);
const engines = { node: flags.node, runtimes: flags.runtimes };
const node = nodeVersion(engines);
const other = flags.against === undefined ? undefined : findBuild(flags.against);
const target = flags.compressed ? TARGETS.compressed : TARGETS.plain;
const [ours, ...others] = flags.compressed
  ? ["websock-compress", "ws-compress"]
  : [flags.context ? "websock-als" : "websock", ...(flags.context ? ["websock"] : []), "ws", "net"];
const participants = [
  { label: ours, server: ours },
  ...(other
    ? [{ label: `${ours}@${other.name}`, server: ours, dist: other.dist }]
    : others.map((name) => ({ label: name, server: name }))),
];
/** By default, `ws` compresses messages of 1024 bytes or more, and we those of 512 or more. */
const size = flags.compressed ? 2048 : 32;

/** @param {import("./lib/rounds.mjs").Participant} participant */
const measure = async ({ server: name, dist }) => {
  const {
    child: server,
    port,
    raw,
    compressed,
  } = await startServer(name, {
    engines,
    execArgv: ["--expose-gc"],
    dist,
  });
  try {
    const options = { port, raw, http2: false, compressed, kind: /** @type {const} */ ("text"), size, inFlight: 1 };
    // The first connections are not measured: they cause code to be loaded and compiled.
    await withConnections({ ...options, connections: 500 }, async () => {});
    const before = await server.ask("memory");
    return await withConnections({ ...options, connections }, async () => {
      const after = await server.ask("memory");
      const each = (/** @type {"counted" | "all" | "rss"} */ what) => (after[what] - before[what]) / connections;
      return { used: each(flags.compressed ? "all" : "counted"), rss: each("rss") };
    });
  } catch (error) {
    throw await causeOf(error, server);
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

const results = await takeTurns(participants, rounds, measure, { stopped: stopOnInterrupt() });
const rows = results.map((row) => {
  const used = row.samples.filter((sample) => sample !== undefined).map((sample) => sample.used);
  return {
    label: row.label,
    problem: row.problem,
    used: medianOf(row, (sample) => sample.used),
    rss: medianOf(row, (sample) => sample.rss),
    range: used.length === 0 ? undefined : { min: Math.min(...used), max: Math.max(...used) },
    samples: row.samples,
  };
});
const [first, second] = rows;
const ws = rows.find(({ label }) => label === "ws" || label === "ws-compress");
const ratio = first.used !== undefined && ws?.used !== undefined ? first.used / ws.used : undefined;
const more = other && first.used !== undefined && second.used !== undefined ? first.used - second.used : undefined;
const verdict =
  other === undefined
    ? ratio === undefined
      ? "ours/ws: not measured"
      : `ours/ws ${ratio.toFixed(3)}, target ≤ ${target}: ${ratio <= target ? "hit" : "MISSED"}`
    : more === undefined
      ? "against the other build: not measured"
      : `${more < 0 ? "−" : "+"}${Math.abs(more).toFixed(0)} B per connection, target ≤ +${AGAINST_TARGET} B: ${more <= AGAINST_TARGET ? "hit" : "MISSED"}`;
const problems = problemsOf(rows);

if (flags.json) {
  console.log(
    JSON.stringify(
      { node, connections, rounds, rows, against: other, ratio, target, more, verdict, problems },
      null,
      2,
    ),
  );
} else {
  const share = (/** @type {"used" | "rss"} */ what, /** @type {number} */ i) => {
    const its = rows[i][what];
    return i === 0 || first[what] === undefined || its === undefined ? "" : (first[what] / its).toFixed(3);
  };
  const bytes = (/** @type {number | undefined} */ value) => (value === undefined ? "–" : `${value.toFixed(0)} B`);
  console.log(
    `\nNode ${node.slice(1)}, ${connections} idle connections that have exchanged one ${flags.compressed ? "compressed " : ""}message, medians of ${rounds} rounds\n`,
  );
  console.log(
    table(
      [
        "server",
        flags.compressed ? "in use" : "in use (heap + external)",
        "range",
        "ours/it",
        "resident (RSS)",
        "ours/it",
      ],
      rows.map(({ label, used, rss, range }, i) => [
        label,
        bytes(used),
        range === undefined ? "–" : `${range.min.toFixed(0)} … ${range.max.toFixed(0)}`,
        share("used", i),
        bytes(rss),
        share("rss", i),
      ]),
    ),
  );
  if (problems.length > 0) console.log(`\nIncomplete:\n${problems.map((problem) => `- ${problem}`).join("\n")}`);
  console.log(`\n${verdict}`);
}
if (results.some(({ problem, missing }) => problem !== undefined && !missing)) process.exitCode = 1;
