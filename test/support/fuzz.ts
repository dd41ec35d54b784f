/**
 * Properties that are stated once, tried briefly by `npm test` and at length by `npm run fuzz`. They use nothing of
 * vitest, because the long mode does without it.
 */
import { Script } from "node:vm";
import fc from "fast-check";

export interface Fuzz {
  /** `"group: what holds"`. */
  readonly name: string;
  /** How often the short mode tries it. */
  readonly runs: number;
  /** Its share of the long mode's time: more where there is more to try, less where a run is nothing. */
  readonly share: number;
  readonly property: fc.IRawProperty<unknown>;
}

export const fuzz = <Input>(
  name: string,
  { runs, share = 1 }: { readonly runs: number; readonly share?: number },
  property: fc.IProperty<Input> | fc.IAsyncProperty<Input>,
): Fuzz => ({ name, runs, share, property: property as unknown as fc.IRawProperty<unknown> });

/** Where to begin, so that a failure can be had again. */
export interface Replay {
  readonly seed: number;
  readonly path?: string;
}

/** What came of it; `failure` has the seed, the path, the counterexample, and how to have it again. */
export interface Outcome {
  readonly runs: number;
  readonly failure: string | undefined;
}

const ENDLESS = 1_000_000_000;
/** A run that waits so long for something waits for ever. */
const RUN_MS = 10_000;
/** Made smaller for so long at most. */
const SHRINKING_MS = 30_000;
/** A counterexample that is longer is no help; its seed is. */
const REPORT_LENGTH = 8_000;

/** Tries a property `runs` times, or as long as `ms` allows. */
export const tryOut = async (
  { name, property }: Fuzz,
  replay: Replay,
  limit: { readonly runs: number } | { readonly ms: number },
): Promise<Outcome> => {
  const numRuns = "runs" in limit ? limit.runs : ENDLESS;
  const interruptAfterTimeLimit = "runs" in limit ? 3 * SHRINKING_MS : limit.ms;
  const found = await check(property, { ...replay, numRuns, interruptAfterTimeLimit });
  // Without a counterexample the time was up before the first run was over.
  if (!found.failed || found.counterexample === null) return { runs: found.numRuns, failure: undefined };
  let smaller: fc.RunDetails<unknown> = found;
  if (found.interrupted && found.counterexamplePath !== null) {
    // The time was up before it was made small.
    const path = found.counterexamplePath;
    smaller = await check(property, { seed: replay.seed, path, interruptAfterTimeLimit: SHRINKING_MS });
  }
  // Where the operating system has a say, it may not fail twice.
  return { runs: found.numRuns, failure: await report(name, replay, smaller.failed ? smaller : found) };
};

const check = async (property: Fuzz["property"], parameters: fc.Parameters<unknown>): Promise<fc.RunDetails<unknown>> =>
  fc.check(property, { includeErrorInReport: true, timeout: RUN_MS, ...parameters });

const report = async (name: string, { seed, path }: Replay, details: fc.RunDetails<unknown>): Promise<string> => {
  const from = details.counterexamplePath ?? path;
  const message = (await fc.asyncDefaultReportMessage(details)) ?? "";
  // The counterexample is at its beginning, the error at its end.
  const half = REPORT_LENGTH / 2;
  const short = message.length <= REPORT_LENGTH ? message : `${message.slice(0, half)} … ${message.slice(-half)}`;
  return `${name}
${short}

Again:  npm run fuzz -- --only "${name}" --seed ${seed}${from ? ` --path ${from}` : ""}
or:     FUZZ_SEED=${seed} ${from ? `FUZZ_PATH=${from} ` : ""}npx vitest run test/fuzz -t "${name}"`;
};

/** A seed that nobody has tried: what runs again and again should not see the same again and again. */
export const newSeed = (): number => Math.floor(Math.random() * 0x1_0000_0000) | 0;

const KEY = Symbol.for("websock-js.fuzz.within");
const running = globalThis as { [KEY]?: () => void };
const script = new Script(`globalThis[Symbol.for("websock-js.fuzz.within")]()`);

/** Far more than one run takes of anything that comes to an end, on any machine. */
export const A_LONG_TIME = 10_000;

/**
 * Calls `run`, and throws if it does not return within `ms`: a loop without end becomes a failure with a seed. Set it
 * so generously that a slow machine is no reason.
 */
export const within = <T>(ms: number, run: () => T): T => {
  let result!: T;
  running[KEY] = () => {
    result = run();
  };
  script.runInThisContext({ timeout: ms, displayErrors: false });
  return result;
};
