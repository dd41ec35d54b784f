/** A clock that stands still until it is told to go on. */

import { later } from "../adapters/shared/timers.ts";
import type { Clock, Timed } from "../session/clock.ts";

/**
 * Time for tests: nothing passes but what {@link advance} lets pass.
 *
 * ```ts
 * const clock = new ManualClock();
 * attach(server, { clock });
 * clock.advance(60_000); // idle connections are closed now
 * ```
 */
export class ManualClock implements Clock {
  private readonly moments = new Map<Timed, number>();
  private time = 0;

  now(): number {
    return this.time;
  }

  activeNow(): number {
    return this.time;
  }

  coarseActiveNow(): number {
    return this.time;
  }

  schedule(task: Timed, at: number): void {
    if (at === Number.POSITIVE_INFINITY) this.moments.delete(task);
    else this.moments.set(task, at);
  }

  cancel(task: Timed): void {
    this.moments.delete(task);
  }

  /** Turns of the event loop are real: only time is not. */
  defer(run: () => void): void {
    later(run);
  }

  /** Lets `ms` pass; what is due on the way happens in its order. */
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
