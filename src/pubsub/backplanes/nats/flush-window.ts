/**
 * Finds out what the server has accepted. NATS acknowledges neither publishes nor subscriptions. But a server answers a
 * flush (PING) after it has processed everything that was sent before. One flush is in flight at a time, and answers
 * for everything that was sent before it.
 */
import { microtask } from "../../../adapters/shared/timers.ts";

/** Is called exactly once. `false`: the connection was lost before the server had answered. */
export type Settled = (accepted: boolean) => void;

export class FlushWindow {
  private readonly flush: () => Promise<void>;
  private flushing: readonly Settled[] | undefined = undefined;
  /** Sent after the flush that is in flight. */
  private next: Settled[] = [];

  constructor(flush: () => Promise<void>) {
    this.flush = flush;
  }

  /** Waits for the server to accept what has been sent until now. */
  add(settled: Settled): void {
    // The flush waits for the microtasks, so that one flush serves everything that is sent in the meantime.
    if (this.next.push(settled) === 1 && this.flushing === undefined) microtask(() => this.start());
  }

  /** The connection is lost, and with it everything that the server has not accepted. */
  lose(): void {
    const lost = [...(this.flushing ?? []), ...this.next];
    this.flushing = undefined;
    this.next = [];
    for (const settled of lost) settled(false);
  }

  private start(): void {
    if (this.flushing !== undefined || this.next.length === 0) return;
    const batch = this.next;
    this.flushing = batch;
    this.next = [];
    const end = (accepted: boolean): void => {
      if (this.flushing !== batch) return; // it was lost
      this.flushing = undefined;
      for (const settled of batch) settled(accepted);
      this.start();
    };
    this.flush().then(
      () => end(true),
      () => end(false),
    );
  }
}
