// The long mode of the properties in test/fuzz: compiles them, and runs them until the time is used up.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";

const HELP = `npm run fuzz -- [options]

  --minutes N    how long (default 5; 0.5 is half a minute)
  --only NAME    only the properties whose names contain NAME
  --seed S       begin with this seed instead of a new one
  --path P       only this run of the seed, as printed by a failure
  --list         list the properties, and run none
  --help
`;

/**
 * A property that sends no message for this time, in milliseconds, is considered to hang: its turns take seconds, and
 * shrinking a counterexample takes half a minute.
 */
const SILENCE_MS = 180_000;
const REPORT_MS = 60_000;

const fail = (message) => {
  process.stderr.write(`${message}\n`);
  process.exit(1);
};

const options = (() => {
  try {
    const string = { type: "string" };
    const boolean = { type: "boolean" };
    const { values } = parseArgs({
      options: { minutes: string, only: string, seed: string, path: string, list: boolean, help: boolean },
    });
    const { minutes = "5", seed } = values;
    if (!(Number(minutes) > 0)) throw new Error(`--minutes must be a number above zero, not "${minutes}"`);
    if (seed !== undefined && !Number.isInteger(Number(seed))) throw new Error(`--seed must be a whole number`);
    if (values.path !== undefined && seed === undefined) throw new Error("--path needs --seed");
    return { ...values, ms: Number(minutes) * 60_000, seed: seed === undefined ? undefined : Number(seed) };
  } catch (error) {
    return fail(`${error.message}\n\n${HELP}`);
  }
})();

if (options.help) {
  process.stdout.write(HELP);
  process.exit();
}

const local = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
execFileSync(process.execPath, [local("node_modules/typescript/bin/tsc"), "-p", local("test/fuzz/tsconfig.json")], {
  stdio: "inherit",
});
const compiled = new URL("../test/fuzz/dist/test/fuzz/", import.meta.url);

if (options.list) {
  const { properties } = await import(new URL("index.js", compiled).href);
  for (const { name } of properties) console.log(name);
  process.exit();
}

const started = performance.now();
const runs = new Map();
let current;
let heard = started;

const report = () => {
  const total = [...runs.values()].reduce((sum, count) => sum + count, 0);
  const minutes = ((performance.now() - started) / 60_000).toFixed(1);
  console.log(`${total.toLocaleString("en")} runs of ${runs.size} properties in ${minutes} min`);
};

const finish = (failure) => {
  for (const [name, count] of runs) console.log(`${count.toLocaleString("en").padStart(12)}  ${name}`);
  report();
  if (failure !== undefined) fail(`\nFAILED  ${failure}`);
  console.log("no failures");
  process.exit();
};

const worker = new Worker(new URL("long.js", compiled), { workerData: options });
worker.on("message", ({ kind, name, seed, runs: count, failure }) => {
  heard = performance.now();
  if (kind === "begin") current = { name, seed };
  else if (kind === "finished") finish();
  else {
    runs.set(name, (runs.get(name) ?? 0) + count);
    if (failure !== undefined) finish(failure);
  }
});
worker.on("error", (error) => finish(`${current?.name} (seed ${current?.seed}): ${error.stack}`));
setInterval(() => {
  if (performance.now() - heard < SILENCE_MS) return;
  finish(`${current?.name}: hangs with seed ${current?.seed}`);
}, 1_000);
setInterval(report, REPORT_MS);
process.on("SIGINT", () => finish());
