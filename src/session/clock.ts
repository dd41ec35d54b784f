/** Time as the session sees it. The core never asks the wall clock: tests move a manual one by hand. */
export interface Clock {
  /** Milliseconds since some moment, never going back. */
  now(): number;
  /**
   * The time in which a peer could be heard, as what is heard of it is judged by: as {@link now}, but it stands still while
   * the process does not run.
   */
  activeNow(): number;
  /** The same, or up to half a second later: for what is noted so often that asking costs. */
  coarseActiveNow(): number;
  /** Has `task` ticked at `at`, or up to a second later; never before. One moment a task: the newest call counts. */
  schedule(task: Timed, at: number): void;
  /** Forgets `task`. */
  cancel(task: Timed): void;
  /** Runs `run` in a later turn of the event loop, after all that was deferred before. */
  defer(run: () => void): void;
}

/** Something with deadlines. A thousand of them share one timer. */
export interface Timed {
  /** The scheduled moment has come. */
  tick(now: number): void;
  /** Where the clock keeps its note of the scheduled moment; for the clock alone. */
  slot: number;
}
