/** Sees when what waits for a peer has been taken, on hosts that only tell how much there is: by asking. */

import { systemTimers, type Timers } from "../shared/timers.ts";

/** Something of which octets wait. */
export interface Draining {
  /** How many octets wait now. */
  readonly waiting: number;
  /** Fewer wait than when it was asked last. */
  onLess(): void;
}

/** How many ms lie between two looks: the first while there is progress, up to the second while there is none. */
const QUICK = 1;
const SLOW = 64;

/** One timer for all, while there is anything to look at. */
export class DrainPoll {
  private readonly timers: Timers;
  private readonly waiting = new Map<Draining, number>();
  private interval = QUICK;
  private timer: ReturnType<typeof setTimeout> | undefined = undefined;

  constructor(timers: Timers = systemTimers) {
    this.timers = timers;
  }

  /** Looks after this one until nothing waits. */
  add(one: Draining, waiting: number): void {
    if (this.waiting.has(one)) return;
    this.waiting.set(one, waiting);
    if (this.timer !== undefined && this.interval === QUICK) return;
    this.interval = QUICK;
    this.schedule();
  }

  /** Looks after it no longer. */
  delete(one: Draining): void {
    this.waiting.delete(one);
  }

  private schedule(): void {
    this.timers.stopTimeout(this.timer);
    this.timer = this.timers.startTimeout(this.look, this.interval);
  }

  private readonly look = (): void => {
    this.timer = undefined;
    let progress = false;
    for (const [one, before] of this.waiting) {
      const now = one.waiting;
      if (now === 0) this.waiting.delete(one);
      else this.waiting.set(one, now);
      if (now >= before) continue;
      progress = true;
      one.onLess();
    }
    this.interval = progress ? QUICK : Math.min(this.interval * 2, SLOW);
    // One that was added meanwhile has scheduled it.
    if (this.waiting.size > 0 && this.timer === undefined) this.schedule();
  };
}

export const drainPoll = new DrainPoll();
