#!/usr/bin/env node
/** Measures workloads on servers, and compares ours with the others. See README.md. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findBuild } from "./lib/builds.mjs";
import { versionOf } from "./lib/engines.mjs";
import { report } from "./lib/report.mjs";
import { summarize } from "./lib/results.mjs";
import { problemsOf, stopOnInterrupt, takeTurns } from "./lib/rounds.mjs";
import { machine, versions } from "./lib/versions.mjs";
import { WORKLOADS } from "./lib/workloads.mjs";
import { compileLoad } from "./load/compile.mjs";
import { MEASURES } from "./measures/index.mjs";

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    warmup: { type: "string", default: "1" },
    only: { type: "string", multiple: true },
    servers: { type: "string" },
    against: { type: "string" },
    together: { type: "boolean", default: false },
    node: { type: "string" },
    runtimes: { type: "string" },
    "cpu-prof": { type: "string" },
    json: { type: "boolean", default: false },
    save: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

/** @param {"rounds" | "seconds" | "warmup"} name */
const number = (name) => {
  const value = Number(flags[name]);
  if (!(value > 0)) throw new TypeError(`--${name} must be a number above 0`);
  return value;
};

const rounds = number("rounds");
const times = { seconds: number("seconds"), warmup: number("warmup") };
const selected = WORKLOADS.filter(
  ({ id }) => flags.only?.some((only) => only.split(",").every((word) => id.includes(word))) ?? true,
);
if (selected.length === 0) throw new TypeError(`no such workload; --help lists them`);
const named = flags.servers?.split(",");
const { runtimes } = flags;
// Node 24 unless another one is named, or it is not installed.
const node = flags.node ?? (versionOf("node-24", { runtimes }) === undefined ? undefined : "24");
const engines = { node, runtimes };
const context = { ...times, engines, together: flags.together, round: 0 };

/** @param {import("./lib/workloads.mjs").Workload} work */
const serversOf = ({ servers: [ours = "", ...others] }) => [
  ours,
  ...others.filter((name) => (named === undefined ? flags.against === undefined : named.includes(name))),
];

/** About how long a workload takes, in seconds. @param {import("./lib/workloads.mjs").Workload} work */
const secondsOf = (work) => {
  const participants = serversOf(work).length + (flags.against === undefined ? 0 : 1);
  return rounds * MEASURES[work.kind].secondsOf(work, context) * (flags.together ? 1 : participants);
};

/** @param {number} seconds */
const duration = (seconds) =>
  seconds < 100
    ? `${seconds.toFixed(0)} s`
    : seconds < 6_000
      ? `${(seconds / 60).toFixed(0)} min`
      : `${(seconds / 3600).toFixed(1)} h`;

/** @param {import("./lib/workloads.mjs").Workload} work */
const describe = (work) => {
  const servers = `${" ".repeat(38)}${work.servers.join(", ")}`;
  return `  ${work.id.padEnd(26)} ${duration(secondsOf(work)).padStart(7)}  ${work.title}\n${servers}`;
};

if (flags.help) {
  console.log(`npm run bench -- [--only <words>]... [--servers ws,net] [--rounds 5] [--seconds 2] [--warmup 1]
  [--node <20, 22, 24, 26 or a binary>] [--runtimes <folder>] [--json] [--save]
  [--against <dist folder, built checkout or commit>] [--together] [--cpu-prof <folder>]

--only      the workloads whose names contain all of its words: "64KiB,text". It may be repeated.
--servers   of the others, only these
--node      what runs the servers; default: 24 from runtimes/, or this Node
--json      prints the results as JSON, with all samples
--save      writes each workload's results to bench/results, for npm run bench:charts
--against   compares with another build, and with other servers only if --servers names them
--together  measures all servers of a workload at the same time, and compares messages per second of CPU time
--cpu-prof  writes profiles of our server to this folder

Workloads and servers (of ours, the first), and about how long they take with the other flags given:
${selected.map(describe).join("\n")}

Together: ${duration(selected.reduce((sum, work) => sum + secondsOf(work), 0))}`);
  process.exit(0);
}

const other = flags.against === undefined ? undefined : findBuild(flags.against);
const stopped = stopOnInterrupt();
const log = (/** @type {string} */ text) => void (flags.json || process.stderr.write(text));

/**
 * @param {import("./lib/workloads.mjs").Workload} work
 * @returns {import("./lib/rounds.mjs").Participant[]}
 */
const participantsOf = (work) => {
  const [ours = "", ...others] = serversOf(work);
  return [
    { label: ours, server: ours },
    ...(other ? [{ label: `${ours}@${other.name}`, server: ours, dist: other.dist }] : []),
    ...others.map((name) => ({ label: name, server: name })),
  ];
};

/** @param {import("./lib/workloads.mjs").Workload} work */
const runWorkload = async (work) => {
  const profile = flags["cpu-prof"];
  log(`${work.id} (about ${duration(secondsOf(work))}) `);
  const rows = await takeTurns(
    participantsOf(work),
    rounds,
    (row, round) => {
      const execArgv =
        profile && row.label === work.servers[0]
          ? ["--cpu-prof", `--cpu-prof-dir=${resolve(profile)}`, `--cpu-prof-name=${work.id}-${round}.cpuprofile`]
          : [];
      return MEASURES[work.kind].measure(row, work, { ...context, round, execArgv });
    },
    { stopped, together: flags.together, onRound: () => log(".") },
  );
  log("\n");
  return {
    workload: work,
    taken: new Date().toISOString(),
    rounds,
    ...times,
    machine: machine(),
    versions: versions(engines),
    rows: summarize(work, rows, { together: flags.together }),
  };
};

const { problem: noCompiler } = compileLoad();
if (noCompiler) log(`${noCompiler}. The load in JavaScript is used instead: it is the limit for fast servers.\n`);
log(`${selected.length} workloads, about ${duration(selected.reduce((sum, work) => sum + secondsOf(work), 0))}\n`);

const results = [];
for (const work of selected) {
  if (stopped()) break;
  const result = await runWorkload(work);
  results.push(result);
  if (!flags.save || stopped()) continue;
  const folder = fileURLToPath(new URL("results", import.meta.url));
  if (!existsSync(folder)) mkdirSync(folder);
  writeFileSync(join(folder, `${work.id}.json`), `${JSON.stringify(result, null, 1)}\n`);
}

const rows = results.flatMap((result) => result.rows);
const problems = results.flatMap(({ workload, rows }) => problemsOf(rows, `${workload.id}: `));
if (stopped()) problems.push("interrupted: the results are those of the rounds before");

if (flags.json) {
  console.log(JSON.stringify({ results, against: other, stopped: stopped(), problems }, null, 2));
} else {
  const { cpu, cores, kernel, pinned } = machine();
  console.log(`
${cores} × ${cpu}, ${kernel}, ${pinned ? "server and load each pinned to a core" : "not pinned"}
${Object.entries(versions(engines))
  .flatMap(([name, version]) => (version === undefined ? [] : [`${name} ${version}`]))
  .join(", ")}
${rounds} rounds of ${times.seconds} s after ${times.warmup} s of warmup: medians
"ours/it" is the median of the rounds' ratios${flags.together ? ", per second of CPU time" : ""}

${report(results)}`);
  if (problems.length > 0) console.log(`\nIncomplete:\n${problems.map((problem) => `- ${problem}`).join("\n")}`);
  const count = (/** @type {string} */ verdict) => rows.filter((row) => row.verdict === verdict).length;
  const judged = rows.filter(({ verdict }) => verdict !== undefined);
  console.log(
    `\n${count("hit")} of ${judged.length} targets hit, ${count("required")} more reach what is required, ` +
      `${count("MISSED")} missed, ${count("disturbed")} not judged because the measurement was disturbed`,
  );
}

// A runtime that is not installed is no failure; a server that does not start, or dies, is one.
if (rows.some(({ problem, missing }) => problem !== undefined && !missing)) process.exitCode = 1;
