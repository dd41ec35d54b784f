/**
 * Runs properties: briefly in `npm test` (the short mode), at length in `npm run fuzz` (the long mode). Nothing here
 * uses vitest, because the long mode runs without it.
 */
import { Script } from "node:vm";
import fc from "fast-check";

export interface Fuzz {
  /** The group of the property and what it states: `"group: statement"`. */
  readonly name: string;
  /** The number of runs in the short mode. */
  readonly runs: number;
  /** Its share of the long mode's time: larger if there are more inputs to try, smaller if there are few. */
  readonly share: number;
  readonly property: fc.IRawProperty<unknown>;
}

export const fuzz = <Input>(
  name: string,
  { runs, share = 1 }: { readonly runs: number; readonly share?: number },
  property: fc.IProperty<Input> | fc.IAsyncProperty<Input>,
): Fuzz => ({ name, runs, share, property: property as unknown as fc.IRawProperty<unknown> });

/** Where to begin. The seed and the path of a failure reproduce it. */
export interface Replay {
  readonly seed: number;
  readonly path?: string;
}

/** The outcome. `failure` contains the counterexample, its seed and path, and the commands that reproduce it. */
export interface Outcome {
  readonly runs: number;
  readonly failure: string | undefined;
}

const ENDLESS = 1_000_000_000;
/** An asynchronous run that takes longer is considered to hang. In milliseconds. */
const RUN_MS = 10_000;
/** How long a counterexample is shrunk after the time limit has interrupted it. In milliseconds. */
const SHRINKING_MS = 30_000;
/** The most characters of a failure message: a longer counterexample does not help, but its seed does. */
const REPORT_LENGTH = 8_000;

/** Runs a property `runs` times, or for `ms` milliseconds. */
export const tryOut = async (
  { name, property }: Fuzz,
  replay: Replay,
  limit: { readonly runs: number } | { readonly ms: number },
): Promise<Outcome> => {
  const numRuns = "runs" in limit ? limit.runs : ENDLESS;
  const interruptAfterTimeLimit = "runs" in limit ? 3 * SHRINKING_MS : limit.ms;
  const found = await check(property, { ...replay, numRuns, interruptAfterTimeLimit });
  // A failure without a counterexample: the time was up before the first run had finished.
  if (!found.failed || found.counterexample === null) return { runs: found.numRuns, failure: undefined };
  let smaller: fc.RunDetails<unknown> = found;
  if (found.interrupted && found.counterexamplePath !== null) {
    // The time was up before the counterexample was shrunk.
    const path = found.counterexamplePath;
    smaller = await check(property, { seed: replay.seed, path, interruptAfterTimeLimit: SHRINKING_MS });
  }
  // A property that depends on the operating system may not fail a second time.
  return { runs: found.numRuns, failure: await report(name, replay, smaller.failed ? smaller : found) };
};

const check = async (property: Fuzz["property"], parameters: fc.Parameters<unknown>): Promise<fc.RunDetails<unknown>> =>
  fc.check(property, { includeErrorInReport: true, timeout: RUN_MS, ...parameters });

const report = async (name: string, { seed, path }: Replay, details: fc.RunDetails<unknown>): Promise<string> => {
  const from = details.counterexamplePath ?? path;
  const message = (await fc.asyncDefaultReportMessage(details)) ?? "";
  // The counterexample is at the beginning of the message, the error at its end.
  const half = REPORT_LENGTH / 2;
  const short = message.length <= REPORT_LENGTH ? message : `${message.slice(0, half)} … ${message.slice(-half)}`;
  return `${name}
${short}

To reproduce it:  npm run fuzz -- --only "${name}" --seed ${seed}${from ? ` --path ${from}` : ""}
or:               FUZZ_SEED=${seed} ${from ? `FUZZ_PATH=${from} ` : ""}npx vitest run test/fuzz -t "${name}"`;
};

/** A random seed, so that repeated runs try different inputs. */
export const newSeed = (): number => Math.floor(Math.random() * 0x1_0000_0000) | 0;

const KEY = Symbol.for("websock-js.fuzz.within");
const running = globalThis as { [KEY]?: () => void };
const script = new Script(`globalThis[Symbol.for("websock-js.fuzz.within")]()`);

/** A time limit in milliseconds that a run exceeds only if it hangs, even on a slow machine. */
export const A_LONG_TIME = 10_000;

/**
 * Calls `run`, and throws if it does not return within `ms` milliseconds, so that an endless loop becomes a failure
 * with a seed. `ms` must be long enough for a slow machine.
 */
export const within = <T>(ms: number, run: () => T): T => {
  let result!: T;
  running[KEY] = () => {
    result = run();
  };
  script.runInThisContext({ timeout: ms, displayErrors: false });
  return result;
};
