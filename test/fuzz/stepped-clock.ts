/** A clock that knows whether anything is scheduled. */
import type { Timed } from "../../src/session/clock.ts";
import { DeferringClock } from "../support/deferring-clock.ts";

/** More tasks than are ever scheduled within one advance of the time. */
const TOO_OFTEN = 10_000;

export class SteppedClock extends DeferringClock {
  private scheduled = 0;

  /** @throws Error if a task is scheduled again without end, so that time would never advance */
  override schedule(task: Timed, at: number): void {
    if (++this.scheduled > TOO_OFTEN) throw new Error("a task is scheduled again without end");
    super.schedule(task, at);
  }

  override advance(ms: number): void {
    this.scheduled = 0;
    super.advance(ms);
  }

  /** Whether nothing is deferred or scheduled. */
  get isIdle(): boolean {
    const { moments } = this as unknown as { readonly moments: ReadonlyMap<Timed, number> };
    return this.deferred.length === 0 && moments.size === 0;
  }
}
