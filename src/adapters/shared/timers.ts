/**
 * The host's timers, saved when this module is loaded.
 *
 * Fake timers (of vitest, jest, sinon) replace the globals, and would stop a server that looked these up for each call.
 * All connections share what is scheduled here, so it runs in the root context. Otherwise the AsyncLocalStorage context
 * of the first request would be used for all others, and its stores would never be freed.
 */
import { runInRoot } from "./async-context.ts";

type Timeout = ReturnType<typeof globalThis.setTimeout>;
type Interval = ReturnType<typeof globalThis.setInterval>;

/** A host's timers. */
export interface Timers {
  /** Milliseconds since an arbitrary time, with fractions. Monotonic. */
  readonly now: () => number;
  /** Calls `run` in a later event-loop tick. */
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

/** Calls `run` in a later event-loop tick, in the root context. */
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
