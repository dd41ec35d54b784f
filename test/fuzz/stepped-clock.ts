/** A manual clock whose turns of the event loop are taken by hand too, and that can tell whether anything is left. */
import type { Timed } from "../../src/session/clock.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";

/** More often than anything is due in one stretch of time. */
const TOO_OFTEN = 10_000;

export class SteppedClock extends ManualClock {
  private scheduled = 0;
  private deferred: (() => void)[] = [];

  /** @throws Error where something is due again and again, and time could never go on */
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

  /** What was deferred until now runs; what it defers waits for the next turn. */
  turn(): void {
    const runs = this.deferred;
    this.deferred = [];
    for (const run of runs) run();
  }

  /** Whether nothing is deferred, and nothing is to happen at any moment. */
  get isIdle(): boolean {
    const { moments } = this as unknown as { readonly moments: ReadonlyMap<Timed, number> };
    return this.deferred.length === 0 && moments.size === 0;
  }
}
