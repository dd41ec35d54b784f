/** A manual clock whose event-loop ticks are manual, too, and which knows whether anything is scheduled. */
import type { Timed } from "../../src/session/clock.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";

/** More ticks than are ever due within one advance of the time. */
const TOO_OFTEN = 10_000;

export class SteppedClock extends ManualClock {
  private scheduled = 0;
  private deferred: (() => void)[] = [];

  /** @throws Error if a task is due again and again, so that time would never advance */
  override schedule(task: Timed, at: number): void {
    if (++this.scheduled > TOO_OFTEN) throw new Error("something is scheduled again and again");
    super.schedule(task, at);
  }

  override advance(ms: number): void {
    this.scheduled = 0;
    super.advance(ms);
  }

  override defer(run: () => void): void {
    this.deferred.push(run);
  }

  /** Runs everything that was deferred until now. What that defers waits for the next tick. */
  turn(): void {
    const runs = this.deferred;
    this.deferred = [];
    for (const run of runs) run();
  }

  /** Whether nothing is deferred or scheduled. */
  get isIdle(): boolean {
    const { moments } = this as unknown as { readonly moments: ReadonlyMap<Timed, number> };
    return this.deferred.length === 0 && moments.size === 0;
  }
}
