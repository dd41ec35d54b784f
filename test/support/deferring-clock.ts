/** A manual clock whose event-loop ticks are manual, too. */
import { ManualClock } from "../../src/testing/manual-clock.ts";

export class DeferringClock extends ManualClock {
  protected deferred: (() => void)[] = [];

  override defer(run: () => void): void {
    this.deferred.push(run);
  }

  /** Runs all deferred functions. What these defer waits for the next tick. */
  turn(): void {
    const runs = this.deferred;
    this.deferred = [];
    for (const run of runs) run();
  }
}
