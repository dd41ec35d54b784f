/** Polls the number of buffered bytes, on a host without an event for it. */

import { systemTimers, type Timers } from "../shared/timers.ts";

/** A transport that is polled while it has buffered bytes. */
export interface PolledTransport {
  /** The current number of buffered bytes. */
  readonly bufferedAmount: number;
  /** Called when the number has decreased since the last poll. */
  onProgress(): void;
}

/** Interval in ms. It starts at the minimum and doubles, up to the maximum, while no transport makes progress. */
const MIN_INTERVAL = 1;
const MAX_INTERVAL = 64;

/** One timer for all transports, running only while there is something to poll. */
export class DrainPoll {
  private readonly timers: Timers;
  private readonly transports = new Map<PolledTransport, number>();
  private interval = MIN_INTERVAL;
  private timer: ReturnType<typeof setTimeout> | undefined = undefined;

  constructor(timers: Timers = systemTimers) {
    this.timers = timers;
  }

  /** Polls a transport until it has no buffered bytes. */
  add(transport: PolledTransport, bufferedAmount: number): void {
    if (this.transports.has(transport)) return;
    this.transports.set(transport, bufferedAmount);
    if (this.timer !== undefined && this.interval === MIN_INTERVAL) return;
    this.interval = MIN_INTERVAL;
    this.schedule();
  }

  /** Stops polling a transport. */
  delete(transport: PolledTransport): void {
    this.transports.delete(transport);
  }

  private schedule(): void {
    this.timers.stopTimeout(this.timer);
    this.timer = this.timers.startTimeout(this.poll, this.interval);
  }

  private readonly poll = (): void => {
    this.timer = undefined;
    let progress = false;
    for (const [transport, before] of this.transports) {
      const now = transport.bufferedAmount;
      if (now === 0) this.transports.delete(transport);
      else this.transports.set(transport, now);
      if (now >= before) continue;
      progress = true;
      transport.onProgress();
    }
    this.interval = progress ? MIN_INTERVAL : Math.min(this.interval * 2, MAX_INTERVAL);
    // `add` may have been called in `onProgress`.
    if (this.transports.size > 0 && this.timer === undefined) this.schedule();
  };
}

export const drainPoll = new DrainPoll();
