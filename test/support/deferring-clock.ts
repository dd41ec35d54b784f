/** A manual clock whose event-loop ticks are manual, too. */
import { ManualClock } from "../../src/testing/manual-clock.ts";

export class DeferringClock extends ManualClock {
  protected deferred: (() => void)[] = [];

  override defer(run: () => void): void {
    this.deferred.push(run);
  }

  /**
   * Runs everything that was deferred until now. What that defers waits for the next tick.
   *
   * @returns whether there was anything
   */
  turn(): boolean {
    const runs = this.deferred;
    this.deferred = [];
    for (const run of runs) run();
    return runs.length > 0;
  }
}
