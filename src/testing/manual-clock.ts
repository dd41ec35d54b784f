/** A clock for tests, which only `advance` moves. */

import { later } from "../adapters/shared/timers.ts";
import type { Clock, Timed } from "../session/clock.ts";

/**
 * A clock for tests. Its time moves only by {@link advance}, which runs the timeouts of all connections that use it.
 * Pass it to `attach` as the option `clock`; the client of `connect` has its own.
 *
 * ```ts
 * const clock = new ManualClock();
 * attach(server, { clock });
 * clock.advance(60_000); // closes idle connections
 * ```
 */
export class ManualClock implements Clock {
  private readonly moments = new Map<Timed, number>();
  private time = 0;

  /** The current time in milliseconds. Starts at 0. */
  now(): number {
    return this.time;
  }

  /** For sessions: same as {@link now}. */
  activeNow(): number {
    return this.time;
  }

  /** For sessions: same as {@link now}. */
  coarseActiveNow(): number {
    return this.time;
  }

  /** For sessions: sets the time `at` which `task` is due; `Infinity`: never. */
  schedule(task: Timed, at: number): void {
    if (at === Number.POSITIVE_INFINITY) this.moments.delete(task);
    else this.moments.set(task, at);
  }

  /** For sessions: cancels `task`. */
  cancel(task: Timed): void {
    this.moments.delete(task);
  }

  /** For sessions: runs `run` in a later event-loop tick, without waiting for {@link advance}. */
  defer(run: () => void): void {
    later(run);
  }

  /**
   * Moves the time forward by `ms` milliseconds. Timeouts that become due run synchronously, in chronological order.
   */
  advance(ms: number): void {
    const end = this.time + ms;
    for (let next = this.next(end); next !== undefined; next = this.next(end)) {
      const [task, at] = next;
      this.moments.delete(task);
      this.time = Math.max(this.time, at);
      task.tick(this.time);
    }
    this.time = end;
  }

  private next(end: number): [Timed, number] | undefined {
    let first: [Timed, number] | undefined;
    for (const entry of this.moments)
      if (entry[1] <= end && (first === undefined || entry[1] < first[1])) first = entry;
    return first;
  }
}
