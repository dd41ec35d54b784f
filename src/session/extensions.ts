/** What few connections need while they are open: waiters for `self.drained()`, and listeners. */

/** Is notified about the life of a session. Its methods must not throw, and call no application code. */
export interface SessionListener {
  /** `init` has returned, and its messages are sent. */
  onOpen(): void;
  /** Something else is about to be sent, or the end to be decided: what was published before is sent first. */
  flush(): void;
  /** The end is decided. `terminate` has not been called yet. */
  onEnd(): void;
  /** Bytes have been flushed to the peer. */
  onDrain?(): void;
}

/** An object of its own, so that a session without any of this needs only one field. */
export class Extensions {
  drainWaiters: ((drained: boolean) => void)[] = [];
  readonly listeners: SessionListener[] = [];

  flush(): void {
    for (const listener of this.listeners) listener.flush();
  }

  onDrain(belowMark: boolean): void {
    if (belowMark) this.settleDrainWaiters(true);
    for (const listener of this.listeners) listener.onDrain?.();
  }

  settleDrainWaiters(drained: boolean): void {
    const waiters = this.drainWaiters;
    this.drainWaiters = [];
    for (const resolve of waiters) resolve(drained);
  }
}
