/**
 * The loop of the long mode: every property in turn, each time with a new seed. Runs in a thread: see scripts/fuzz.mjs.
 */
import "../support/fast-check.ts";
import { parentPort, workerData } from "node:worker_threads";
import { newSeed, tryOut } from "../support/fuzz.ts";
import { properties } from "./index.ts";

export interface LongOptions {
  readonly ms: number;
  readonly seed: number | undefined;
  /** Only this run of the seed, as printed by a failure. */
  readonly path: string | undefined;
  /** A part of the names of the properties to run. */
  readonly only: string | undefined;
}

export type LongMessage =
  | { readonly kind: "begin"; readonly name: string; readonly seed: number }
  | { readonly kind: "end"; readonly name: string; readonly runs: number; readonly failure: string | undefined }
  | { readonly kind: "finished" };

/** How long a property with a share of 1 runs before the next one. */
const TURN_MS = 1_000;

const say = (message: LongMessage): void => parentPort!.postMessage(message);

const { ms, seed: first = newSeed(), path, only = "" } = workerData as LongOptions;
const chosen = properties.filter(({ name }) => name.includes(only));
if (chosen.length === 0) throw new Error(`no property has a name that contains "${only}"`);
const end = performance.now() + ms;
const shares = chosen.reduce((sum, { share }) => sum + share, 0);
const turn = Math.min(TURN_MS, ms / shares);

for (let seed = first, failed = false; !failed && performance.now() < end; seed = (seed + 1) | 0) {
  for (const fuzz of chosen) {
    if (failed || performance.now() >= end) break;
    say({ kind: "begin", name: fuzz.name, seed });
    const { runs, failure } = await (path === undefined
      ? tryOut(fuzz, { seed }, { ms: turn * fuzz.share })
      : tryOut(fuzz, { seed, path }, { runs: 1 }));
    say({ kind: "end", name: fuzz.name, runs, failure });
    failed = failure !== undefined;
  }
  if (path !== undefined) break;
}
say({ kind: "finished" });
parentPort!.close();
