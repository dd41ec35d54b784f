/** The timers that are global at the moment of each call: those of `vi.useFakeTimers()`, while they are installed. */
import type { Timers } from "../../src/adapters/shared/timers.ts";

export const replacedTimers: Timers = {
  now: () => performance.now(),
  later: (run) => void setImmediate(run),
  startTimeout: (run, ms) => setTimeout(run, ms),
  stopTimeout: (timer) => clearTimeout(timer),
  startInterval: (run, ms) => setInterval(run, ms),
  stopInterval: (timer) => clearInterval(timer),
};
