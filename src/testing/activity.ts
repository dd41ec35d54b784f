/** Knows whether a connection in memory has anything left to do: what `TestClient.settled` waits for. */
import { later } from "../adapters/shared/timers.ts";
import type { Callback, Callbacks } from "../session/handler.ts";
import { isPromiseLike } from "../session/session.ts";
import { ManualClock } from "./manual-clock.ts";

export class Activity {
  private pending = 0;
  private over = false;
  private waiters: (() => void)[] = [];

  /**
   * Resolves when nothing is pending. What is pending may be followed by more: a callback that settles makes way for the
   * next message, whose callback may return a promise in turn. Each step of that takes microtasks only, so a whole turn of
   * the event loop with nothing pending means that nothing follows.
   */
  async settled(): Promise<void> {
    do {
      if (this.isPending) await new Promise<void>((resolve) => this.waiters.push(resolve));
      await new Promise<void>((resolve) => later(resolve));
    } while (this.isPending);
  }

  /** The connection has ended: the session waits for no callback any more, even if one never settles. */
  end(): void {
    this.over = true;
    this.wakeUp();
  }

  /** The same callbacks; the promises that they return are pending until they settle. */
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

  /** A clock on which deferred work is pending until it has run. */
  get clock(): ManualClock {
    const activity = this;
    return new (class extends ManualClock {
      override defer(run: () => void): void {
        activity.pending++;
        super.defer(() => {
          try {
            run();
          } finally {
            activity.leave();
          }
        });
      }
    })();
  }

  private awaited(result: unknown): unknown {
    if (!isPromiseLike(result)) return result;
    // A thenable may start its work when `then` is called: that must happen once.
    const promise = Promise.resolve(result);
    this.pending++;
    promise.then(this.leave, this.leave);
    return promise;
  }

  private get isPending(): boolean {
    return this.pending > 0 && !this.over;
  }

  private readonly leave = (): void => {
    this.pending--;
    if (this.pending === 0) this.wakeUp();
  };

  private wakeUp(): void {
    for (const resolve of this.waiters.splice(0)) resolve();
  }
}
