/**
 * The host's timers, as they were when this module was loaded.
 *
 * Fake timers (of vitest, jest, sinon) replace the globals; a server that looked them up for each call would stop. What is
 * scheduled here belongs to all connections, so it runs in the root context: else the AsyncLocalStorage context of
 * whichever request came first would be entered for all others, and its stores would never be freed.
 */
import { runInRoot } from "./async-context.ts";

type Timeout = ReturnType<typeof globalThis.setTimeout>;
type Interval = ReturnType<typeof globalThis.setInterval>;

/** A host's timers. */
export interface Timers {
  /** Milliseconds since some moment, with fractions, never going back. */
  readonly now: () => number;
  /** Calls `run` in a later tick of the event loop. */
  readonly later: (run: () => void) => void;
  /** Calls `run` after `ms` milliseconds; the timer keeps the process alive. */
  readonly startTimeout: (run: () => void, ms: number) => Timeout;
  readonly stopTimeout: (timer: Timeout | undefined) => void;
  /** Calls `run` every `ms` milliseconds; the timer alone does not keep the process alive. */
  readonly startInterval: (run: () => void, ms: number) => Interval;
  readonly stopInterval: (timer: Interval | undefined) => void;
}

const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, queueMicrotask, performance } = globalThis;

const startTimeout: Timers["startTimeout"] = (run, ms) => runInRoot(() => setTimeout(run, ms));

/** Calls `run` in a later tick of the event loop, in the root context. */
export const later: Timers["later"] =
  typeof setImmediate === "function"
    ? (run) => void runInRoot(() => setImmediate(run))
    : (run) => void startTimeout(run, 0);

/** Calls `run` as a microtask, in the current context. */
export const microtask = (run: () => void): void => queueMicrotask(run);

export const systemTimers: Timers = {
  now: performance.now.bind(performance),
  later,
  startTimeout,
  stopTimeout: (timer) => clearTimeout(timer),
  startInterval: (run, ms) => {
    const timer = runInRoot(() => setInterval(run, ms));
    if (typeof timer === "object") timer.unref?.();
    return timer;
  },
  stopInterval: (timer) => clearInterval(timer),
};
