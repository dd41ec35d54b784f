#!/usr/bin/env node
/** How fast messages are echoed, next to `ws`, to a bare socket, or to another build. See README.md. */
import os from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { findBuild } from "./lib/builds.mjs";
import { CASES } from "./lib/cases.mjs";
import { canPin } from "./lib/child.mjs";
import { nodeVersion } from "./lib/engines.mjs";
import { compare, medianOf, problemsOf, stopOnInterrupt, takeTurns } from "./lib/rounds.mjs";
import { measure } from "./lib/run.mjs";
import { SERVERS } from "./lib/servers.mjs";
import { percent, short, table } from "./lib/stats.mjs";

/** The criterion of README.md: the least ratio of our throughput to that of the other build. */
const AGAINST_TARGET = 0.97;

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
    help: { type: "boolean", default: false },
  },
});

if (flags.help) {
  console.log(`node bench/echo.mjs [--rounds 5] [--seconds 2] [--warmup 1] [--only 32B-16 ...] [--servers websock,ws]
  [--against <dist folder, built checkout or commit>] [--together] [--node <20, 22, 24, 26 or a binary>]
  [--runtimes <folder>] [--cpu-prof <folder>] [--json]

--only selects the cases whose names contain all of its words: "text,16". It may be repeated.
--against compares with another build, and with other servers only if --servers names them.
--together measures all servers of a case at the same time, and compares messages per second of CPU time.

cases: ${CASES.map(({ id, extra }) => (extra ? `(${id})` : id)).join(", ")}
servers: ${Object.keys(SERVERS).join(", ")}`);
  process.exit(0);
}

/** @param {"rounds" | "seconds" | "warmup"} name */
const number = (name) => {
  const value = Number(flags[name]);
  if (!(value > 0)) throw new TypeError(`--${name} must be a number above 0`);
  return value;
};

const rounds = number("rounds");
const times = { seconds: number("seconds"), warmup: number("warmup") };
const cases = CASES.filter(({ id, extra }) =>
  flags.only
    ? flags.only.some((only) => (extra ? id === only : only.split(",").every((word) => id.includes(word))))
    : !extra,
);
if (cases.length === 0) throw new TypeError(`no such case; there are ${CASES.map(({ id }) => id).join(", ")}`);
const engines = { node: flags.node, runtimes: flags.runtimes };
const node = nodeVersion(engines);
const other = flags.against === undefined ? undefined : findBuild(flags.against);
const named = flags.servers?.split(",");
const stopped = stopOnInterrupt();

/**
 * @param {import("./lib/cases.mjs").Case} work
 * @returns {import("./lib/rounds.mjs").Participant[]}
 */
const participantsOf = ({ servers: [ours, ...others] }) => [
  { label: ours, server: ours },
  ...(other ? [{ label: `${ours}@${other.name}`, server: ours, dist: other.dist }] : []),
  ...others
    .filter((name) => (named === undefined ? other === undefined : named.includes(name)))
    .map((name) => ({ label: name, server: name })),
];

/** @param {import("./lib/cases.mjs").Case} work */
const runCase = async (work) => {
  const profile = flags["cpu-prof"];
  const [ours] = work.servers;
  const rows = await takeTurns(
    participantsOf(work),
    rounds,
    (row, round) => {
      const execArgv =
        profile && row.label === ours
          ? ["--cpu-prof", `--cpu-prof-dir=${resolve(profile)}`, `--cpu-prof-name=${work.id}-${round}.cpuprofile`]
          : [];
      return measure(row, work, { ...times, execArgv, engines });
    },
    { stopped, together: flags.together, onRound: () => void (flags.json || process.stderr.write(".")) },
  );
  if (!flags.json) process.stderr.write(` ${work.id}\n`);
  return { work, rows };
};

/** @param {Awaited<ReturnType<typeof runCase>>} result */
const judge = ({ work, rows }) =>
  rows.map((row) => {
    const { label, server, dist, problem, missing } = row;
    const is = (/** @type {keyof import("./lib/run.mjs").Sample} */ what) => medianOf(row, (sample) => sample[what]);
    const against = row === rows[0] ? undefined : compare(rows[0], row, ({ rate }) => rate);
    const againstPerCpu = row === rows[0] ? undefined : compare(rows[0], row, ({ perCpu }) => perCpu);
    const decisive = flags.together ? againstPerCpu : against;
    const target = row === rows[0] ? undefined : dist === undefined ? work.targets[server] : AGAINST_TARGET;
    return {
      label,
      dist,
      problem,
      missing,
      rate: is("rate"),
      perCpu: is("perCpu"),
      serverCpu: is("server"),
      loadCpu: is("load"),
      against,
      againstPerCpu,
      target,
      hit: target === undefined || decisive === undefined ? undefined : decisive.ratio >= target,
    };
  });

const judged = [];
for (const work of cases) {
  if (stopped()) break;
  const result = await runCase(work);
  judged.push({
    case: work.id,
    title: work.title,
    connections: work.connections,
    servers: judge(result),
    samples: Object.fromEntries(result.rows.map(({ label, samples }) => [label, samples])),
  });
}

const machine = { node, cpu: os.cpus()[0]?.model, cores: os.cpus().length, pinned: canPin };
const problems = judged.flatMap(({ case: id, servers }) => problemsOf(servers, `${id}: `));
if (stopped()) problems.push("interrupted: the results are those of the rounds before");
const rows = judged.flatMap(({ servers }) => servers);
const failed = rows.some(({ problem, missing }) => problem !== undefined && !missing);

/** @param {number | undefined} ratio */
const fixed = (ratio) => ratio?.toFixed(2) ?? "";

if (flags.json) {
  console.log(
    JSON.stringify({ machine, rounds, ...times, against: other, stopped: stopped(), problems, cases: judged }, null, 2),
  );
} else {
  console.log(`
Node ${node.slice(1)}, ${machine.cores} × ${machine.cpu}, ${canPin ? "server and load each pinned to a core" : "not pinned"}
${rounds} rounds of ${times.seconds} s after ${times.warmup} s of warmup: medians; "ours/it" is the median of the rounds' ratios
`);
  console.log(
    table(
      ["case", "server", "msg/s", "ours/it", "target", "", "msg/s of CPU", "ours/it of CPU", "server CPU", "load CPU"],
      judged.flatMap(({ case: id, servers }) =>
        servers.map((row, i) => [
          i === 0 ? id : "",
          row.label,
          row.rate === undefined ? "–" : short(row.rate),
          fixed(row.against?.ratio),
          row.target === undefined ? "" : `≥ ${row.target}`,
          row.hit === undefined ? "" : row.hit ? "hit" : "MISSED",
          row.perCpu === undefined ? "–" : short(row.perCpu),
          fixed(row.againstPerCpu?.ratio),
          row.serverCpu === undefined ? "–" : percent(row.serverCpu),
          row.loadCpu === undefined ? "–" : percent(row.loadCpu),
        ]),
      ),
    ),
  );
  if (other !== undefined) {
    console.log(
      `\nAgainst ${other.name} (${other.dist}): the ratio of our messages per second to its, in each round\n`,
    );
    console.log(
      table(
        ["case", "median of ratios", "ratio of medians", "quartiles", "range", "rounds", "of CPU: median", "quartiles"],
        judged.flatMap(({ case: id, servers }) =>
          servers
            .filter(({ dist }) => dist !== undefined)
            .map(({ against, againstPerCpu }) => [
              id,
              ...(against === undefined
                ? ["–", "–", "–", "–", "0"]
                : [
                    against.ratio.toFixed(3),
                    against.ofMedians.toFixed(3),
                    spread(against.low, against.high),
                    spread(against.min, against.max),
                    String(against.rounds),
                  ]),
              againstPerCpu?.ratio.toFixed(3) ?? "–",
              againstPerCpu === undefined ? "–" : spread(againstPerCpu.low, againstPerCpu.high),
            ]),
        ),
      ),
    );
  }
  if (problems.length > 0) console.log(`\nIncomplete:\n${problems.map((problem) => `- ${problem}`).join("\n")}`);
  const targets = rows.filter(({ hit }) => hit !== undefined);
  console.log(`\n${targets.filter(({ hit }) => hit).length} of ${targets.length} targets hit`);
}

/**
 * @param {number} low
 * @param {number} high
 */
function spread(low, high) {
  return `${low.toFixed(3)} … ${high.toFixed(3)}`;
}

// A runtime that is not installed is no failure; a server that does not start, or dies, is one.
if (failed) process.exitCode = 1;
