/** The port to a clock. The session never reads the time from the host, so that tests can use a manual clock. */

/** A deadline that never comes. */
export const NEVER = Number.POSITIVE_INFINITY;

export interface Clock {
  /** Monotonic time in milliseconds, from an arbitrary origin. */
  now(): number;
  /**
   * Like {@link now}, but does not advance while the process is suspended or its event loop is blocked. Idle timeouts
   * are measured with it.
   */
  activeNow(): number;
  /**
   * A cheap upper bound of {@link activeNow}, up to half a second ahead of it. For per-message timestamps, where
   * reading the clock is too expensive.
   */
  coarseActiveNow(): number;
  /**
   * Calls `task.tick` at `at` or up to a second later, but never earlier. Replaces an earlier call for the same task.
   * {@link NEVER} is allowed.
   */
  schedule(task: Timed, at: number): void;
  /** Cancels the scheduled tick of `task`. */
  cancel(task: Timed): void;
  /** Calls `run` in a later event-loop tick, after everything that was deferred before. */
  defer(run: () => void): void;
}

/** An object with deadlines. Thousands of them share one timer. */
export interface Timed {
  /** Called when the scheduled time has come. */
  tick(now: number): void;
  /** The clock's private record of the scheduled time, kept here to save a map entry per task. */
  slot: number;
}
