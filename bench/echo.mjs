#!/usr/bin/env node
/** How fast messages are echoed, next to `ws` and to a bare socket. See README.md. */
import os from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { CASES } from "./lib/cases.mjs";
import { canPin } from "./lib/child.mjs";
import { measure } from "./lib/run.mjs";
import { SERVERS } from "./lib/servers.mjs";
import { median, percent, short, table } from "./lib/stats.mjs";

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    warmup: { type: "string", default: "1" },
    only: { type: "string", multiple: true },
    servers: { type: "string" },
    against: { type: "string" },
    "cpu-prof": { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (flags.help) {
  console.log(`node bench/echo.mjs [--rounds 5] [--seconds 2] [--warmup 1] [--only 32B-16 ...] [--servers websock,ws]
  [--against <another checkout, built>] [--cpu-prof <folder>] [--json]

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
const options = { seconds: number("seconds"), warmup: number("warmup") };
const cases = CASES.filter(({ id, extra }) =>
  flags.only ? flags.only.some((part) => (extra ? id === part : id.includes(part))) : !extra,
);
if (cases.length === 0) throw new TypeError(`no such case; there are ${CASES.map(({ id }) => id).join(", ")}`);
if (flags.against) SERVERS.other = { ...SERVERS.websock, args: [resolve(flags.against)] };

/** @param {import("./lib/cases.mjs").Case} work */
const serversOf = (work) => [
  ...work.servers.filter((name, i) => i === 0 || !flags.servers || flags.servers.split(",").includes(name)),
  ...(flags.against ? ["other"] : []),
];

const profile = flags["cpu-prof"];

/** @param {import("./lib/cases.mjs").Case} work */
const runCase = async (work) => {
  const names = serversOf(work);
  /** @type {Record<string, import("./lib/run.mjs").Sample[]>} */
  const samples = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    // Another one begins each time: whatever drifts, drifts for all.
    for (let i = 0; i < names.length; i++) {
      const name = names[(round + i) % names.length];
      const execArgv =
        profile && name === work.servers[0]
          ? ["--cpu-prof", `--cpu-prof-dir=${resolve(profile)}`, `--cpu-prof-name=${work.id}-${round}.cpuprofile`]
          : [];
      samples[name].push(await measure(name, work, { ...options, execArgv }));
    }
    if (!flags.json) process.stderr.write(".");
  }
  if (!flags.json) process.stderr.write(` ${work.id}\n`);
  return { work, samples };
};

/** @param {Awaited<ReturnType<typeof runCase>>} result */
const judge = ({ work, samples }) => {
  const [ours] = work.servers;
  return Object.keys(samples).map((name) => {
    /** @param {"rate" | "perCpu"} what */
    const ratio = (what) => median(samples[ours].map((sample, i) => sample[what] / samples[name][i][what]));
    const of = (/** @type {keyof import("./lib/run.mjs").Sample} */ what) =>
      median(samples[name].map((sample) => sample[what]));
    const target = work.targets[name];
    return {
      server: name,
      rate: of("rate"),
      perCpu: of("perCpu"),
      serverCpu: of("server"),
      loadCpu: of("load"),
      ...(name === ours ? {} : { ratio: ratio("rate"), ratioPerCpu: ratio("perCpu") }),
      ...(target === undefined ? {} : { target, hit: ratio("rate") >= target }),
    };
  });
};

const results = [];
for (const work of cases) results.push(await runCase(work));

const machine = { node: process.version, cpu: os.cpus()[0]?.model, cores: os.cpus().length, pinned: canPin };
const judged = results.map(({ work, samples }) => ({
  case: work.id,
  title: work.title,
  connections: work.connections,
  servers: judge({ work, samples }),
}));

if (flags.json) {
  console.log(JSON.stringify({ machine, rounds, ...options, cases: judged, samples: results }, null, 2));
} else {
  console.log(`
Node ${machine.node.slice(1)}, ${machine.cores} × ${machine.cpu}, ${canPin ? "server and load on a core each" : "not pinned"}
${rounds} rounds of ${options.seconds} s after ${options.warmup} s of warmup: medians; "ours/it" is the median of the rounds' ratios
`);
  console.log(
    table(
      ["case", "server", "msg/s", "ours/it", "target", "", "msg/s of CPU", "ours/it of CPU", "server CPU", "load CPU"],
      judged.flatMap(({ case: id, servers }) =>
        servers.map((row, i) => [
          i === 0 ? id : "",
          row.server,
          short(row.rate),
          row.ratio?.toFixed(2) ?? "",
          row.target === undefined ? "" : `≥ ${row.target}`,
          row.hit === undefined ? "" : row.hit ? "hit" : "MISSED",
          short(row.perCpu),
          row.ratioPerCpu?.toFixed(2) ?? "",
          percent(row.serverCpu),
          percent(row.loadCpu),
        ]),
      ),
    ),
  );
  const targets = judged.flatMap(({ servers }) => servers.filter(({ hit }) => hit !== undefined));
  console.log(`\n${targets.filter(({ hit }) => hit).length} of ${targets.length} targets hit`);
}
