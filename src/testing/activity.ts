/** Tracks the pending work of a connection in memory, for `TestClient.settled`. */
import { later } from "../adapters/shared/timers.ts";
import type { Callback, Callbacks } from "../session/handler.ts";
import { isPromiseLike } from "../session/promise-like.ts";
import { ManualClock } from "./manual-clock.ts";

/** Counts pending callbacks and deferred work. */
export class Activity {
  private pending = 0;
  private ended = false;
  private waiters: (() => void)[] = [];

  /**
   * Resolves when nothing is pending. A callback that settles may start the callback of the next message, which may
   * return a promise again. Each of these steps takes microtasks only, so one event-loop tick without pending work
   * means that no more will follow.
   */
  async settled(): Promise<void> {
    do {
      if (this.isPending) await new Promise<void>((resolve) => this.waiters.push(resolve));
      await new Promise<void>((resolve) => later(resolve));
    } while (this.isPending);
  }

  /** Call when the connection has ended: the session no longer waits for callbacks, even for one that never settles. */
  end(): void {
    this.ended = true;
    this.wakeUp();
  }

  /** Wraps callbacks, so that a promise that one returns counts as pending until it settles. */
  watch(callbacks: Callbacks): Callbacks {
    const watched = (callback: Callback): Callback => {
      return (...args) => this.awaited(callback.apply(callbacks.target, args));
    };
    const optional = (callback: Callback | undefined): Callback | undefined => callback && watched(callback);
    const handleIn = watched(callbacks.handleIn);
    return {
      ...callbacks,
      target: { handleIn },
      init: watched(callbacks.init),
      handleIn,
      handleControl: optional(callbacks.handleControl),
      handleInfo: optional(callbacks.handleInfo),
      terminate: optional(callbacks.terminate),
    };
  }

  /** A clock whose deferred work counts as pending until it has run. */
  get clock(): ManualClock {
    const activity = this;
    return new (class extends ManualClock {
      override defer(run: () => void): void {
        activity.pending++;
        super.defer(() => {
          try {
            run();
          } finally {
            activity.finished();
          }
        });
      }
    })();
  }

  private awaited(result: unknown): unknown {
    if (!isPromiseLike(result)) return result;
    // A thenable may start its work when `then` is called, so call it only once.
    const promise = Promise.resolve(result);
    this.pending++;
    promise.then(this.finished, this.finished);
    return promise;
  }

  private get isPending(): boolean {
    return this.pending > 0 && !this.ended;
  }

  private readonly finished = (): void => {
    this.pending--;
    if (this.pending === 0) this.wakeUp();
  };

  private wakeUp(): void {
    for (const resolve of this.waiters.splice(0)) resolve();
  }
}
