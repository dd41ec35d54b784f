/** Sees when what waits for a peer has been taken, on hosts that only tell how much there is: by asking. */

import { systemTimers, type Timers } from "../shared/timers.ts";

/** Something of which octets wait. */
export interface PolledTransport {
  /** How many octets wait now. */
  readonly bufferedAmount: number;
  /** Fewer wait than when it was asked last. */
  onProgress(): void;
}

/** How many ms lie between two looks: the first while there is progress, up to the second while there is none. */
const MIN_INTERVAL = 1;
const MAX_INTERVAL = 64;

/** One timer for all, while there is anything to look at. */
export class DrainPoll {
  private readonly timers: Timers;
  private readonly transports = new Map<PolledTransport, number>();
  private interval = MIN_INTERVAL;
  private timer: ReturnType<typeof setTimeout> | undefined = undefined;

  constructor(timers: Timers = systemTimers) {
    this.timers = timers;
  }

  /** Looks after this one until nothing waits. */
  add(one: PolledTransport, waiting: number): void {
    if (this.transports.has(one)) return;
    this.transports.set(one, waiting);
    if (this.timer !== undefined && this.interval === MIN_INTERVAL) return;
    this.interval = MIN_INTERVAL;
    this.schedule();
  }

  /** Looks after it no longer. */
  delete(one: PolledTransport): void {
    this.transports.delete(one);
  }

  private schedule(): void {
    this.timers.stopTimeout(this.timer);
    this.timer = this.timers.startTimeout(this.poll, this.interval);
  }

  private readonly poll = (): void => {
    this.timer = undefined;
    let progress = false;
    for (const [one, before] of this.transports) {
      const now = one.bufferedAmount;
      if (now === 0) this.transports.delete(one);
      else this.transports.set(one, now);
      if (now >= before) continue;
      progress = true;
      one.onProgress();
    }
    this.interval = progress ? MIN_INTERVAL : Math.min(this.interval * 2, MAX_INTERVAL);
    // One that was added meanwhile has scheduled it.
    if (this.transports.size > 0 && this.timer === undefined) this.schedule();
  };
}

export const drainPoll = new DrainPoll();
