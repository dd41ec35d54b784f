/** Runs cases against a target, several in parallel. */
import type { Run, WireCase, WireClass } from "./case.ts";
import { Failure, type Outcome, Unimplemented, worse } from "./outcome.ts";
import { Peer } from "./peer.ts";
import { Refused, type WireTarget } from "./target.ts";

/** The result of one case. */
export interface WireResult {
  readonly id: string;
  readonly className: string;
  readonly title: string;
  readonly outcome: Outcome;
  /** Why the outcome is not `ok`. */
  readonly reasons: readonly string[];
  /** Duration in milliseconds. */
  readonly ms: number;
}

/** Options of {@link runCases}. */
export interface WireRunOptions {
  /** Ids, with `*` as a wildcard: `"6.*"`. Default: every case. */
  readonly only?: readonly string[];
  /** A case fails after this many milliseconds without any progress. Default: 10 000. */
  readonly timeout?: number;
  /** How many milliseconds to wait for an answer that should come immediately, but may come later. Default: 2 000. */
  readonly patience?: number;
  /** How many cases run in parallel. Default: 8. */
  readonly concurrency?: number;
  /** Called with each result, in the order of the ids. */
  readonly onResult?: (result: WireResult) => void;
}

const matcher = (globs: readonly string[]): ((id: string) => boolean) => {
  const patterns = globs.map((glob) =>
    glob
      .split("*")
      .map((part) => part.replaceAll(/[^\w]/g, "\\$&"))
      .join(".*"),
  );
  return (id) => patterns.some((pattern) => new RegExp(`^${pattern}$`).test(id));
};

/**
 * Selects cases by id, without those for a version of HTTP that the target does not have.
 *
 * @param only ids, with `*` as a wildcard: `"6.*"`. Default: every case
 */
export const selectCases = (
  classes: readonly WireClass[],
  target: WireTarget,
  only: readonly string[] = ["*"],
): WireCase[] => {
  const matches = matcher(only);
  const has = { "HTTP/1.1": target.request !== undefined, "HTTP/2": target.connect !== undefined };
  return classes
    .flatMap(({ cases }) => cases)
    .filter(({ id, over }) => matches(id) && (over === undefined || has[over]));
};

/** Runs one case. Never rejects. */
export const runCase = async (
  { id, title, className, run }: WireCase,
  target: WireTarget,
  { timeout = 10_000, patience = 2_000 }: WireRunOptions = {},
): Promise<WireResult> => {
  let outcome: Outcome = "ok";
  const reasons = new Set<string>();
  const peers: Peer[] = [];
  const note = (found: Outcome, reason: string): void => {
    outcome = worse(outcome, found);
    reasons.add(reason);
  };
  const context: Run = {
    target,
    timeout,
    patience,
    note,
    open: async (offer, on) => {
      const peer = await Peer.open(context, offer, on);
      peers.push(peer);
      return peer;
    },
  };
  const start = performance.now();
  try {
    await run(context);
  } catch (error) {
    if (error instanceof Unimplemented) note("unimplemented", error.message);
    else if (error instanceof Failure || error instanceof Refused) note("failed", error.message);
    else note("failed", `an error in the suite: ${(error as Error).stack}`);
  } finally {
    for (const peer of peers) peer.destroy();
  }
  return { id, className, title, outcome, reasons: [...reasons], ms: Math.round(performance.now() - start) };
};

/** Runs the cases, and resolves with their results, in order. Rejects only if `onResult` throws. */
export const runCases = async (
  cases: readonly WireCase[],
  target: WireTarget,
  options: WireRunOptions = {},
): Promise<WireResult[]> => {
  const { concurrency = 8, onResult } = options;
  const results: WireResult[] = [];
  let reported = 0;
  const waiting = cases.entries();
  const work = async (): Promise<void> => {
    for (const [i, one] of waiting) {
      results[i] = await runCase(one, target, options);
      for (; results[reported] !== undefined; reported++) onResult?.(results[reported]!);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return results;
};
