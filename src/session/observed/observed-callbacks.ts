/** Times the callbacks of an observed connection. */

import type { ConnectionEvent } from "../../diagnostics.ts";
import { isPromiseLike } from "../../promise-like.ts";
import type { Callback, CallbackName, Callbacks } from "../handler.ts";
import type { CallbackCounts } from "./counts.ts";
import type { SessionObserver } from "./observer.ts";

/** What a connection's {@link ObservedCallbacks} need to know. */
export interface Observation {
  readonly observer: SessionObserver;
  readonly callbackCounts: CallbackCounts;
  /** The number of messages that were passed to `handleIn`, or dropped. */
  readonly handled: () => number;
  /** Names the connection. */
  readonly about: () => ConnectionEvent;
}

/** The same callbacks, observed. Those that the handler does not have are `undefined`. */
export class ObservedCallbacks implements Callbacks {
  readonly target: Callbacks["target"];
  readonly init: Callback;
  readonly queuedHandleIn: Callback;
  readonly handleControl: Callback | undefined;
  readonly handleInfo: Callback | undefined;
  readonly terminate: Callback | undefined;
  /** Not timed: nothing of the application runs in it. */
  readonly finish: Callback | undefined;
  readonly name: string | undefined;
  private readonly inner: Callbacks["target"];
  private readonly observation: Observation;
  private readonly counts: CallbackCounts;

  /** @param framed whether the transport reports chunks */
  constructor(callbacks: Callbacks, observation: Observation, framed: boolean) {
    this.inner = callbacks.target;
    this.observation = observation;
    this.counts = observation.callbackCounts;
    this.name = callbacks.name;
    const handleIn = this.wrap("handleIn", callbacks.handleIn)!;
    const isGrouped = framed && observation.observer.trace === undefined;
    this.target = isGrouped ? this : { handleIn };
    this.queuedHandleIn = handleIn;
    this.init = this.wrap("init", callbacks.init)!;
    this.handleControl = this.wrap("handleControl", callbacks.handleControl);
    this.handleInfo = this.wrap("handleInfo", callbacks.handleInfo);
    this.terminate = this.wrap("terminate", callbacks.terminate);
    this.finish = callbacks.finish?.bind(callbacks.target);
  }

  /**
   * For messages of a chunk that are handled when they arrive. A method with few branches, so that the JIT can inline
   * it into `Session.onText`, and the handler into it.
   */
  handleIn(message: unknown, state: unknown, self: unknown): unknown {
    const result = this.inner.handleIn(message, state, self);
    return Array.isArray(result) ? result : this.leaveGroup(result);
  }

  private wrap(name: CallbackName, callback: Callback | undefined): Callback | undefined {
    return callback && ((...args) => this.call(name, callback, args));
  }

  private call(name: CallbackName, callback: Callback, args: unknown[]): unknown {
    // Pings and pongs are handled in their order: if one is queued, this call is for a queued one.
    if (name === "handleControl" && this.counts.queuedControls > 0) this.counts.queuedControls--;
    const { about, observer } = this.observation;
    const run = (): unknown => this.time(name === "handleIn" ? 1 : 0, callback, args);
    if (observer.trace === undefined) return run();
    const { opcode } = (name === "handleIn" || name === "handleControl" ? args[0] : {}) as { opcode?: string };
    return observer.trace({ callback: name, opcode, ...about() }, run);
  }

  private time(messages: number, callback: Callback, args: unknown[]): unknown {
    const start = this.counts.start(messages, this.observation.handled);
    let result: unknown;
    try {
      result = callback.apply(this.inner, args);
    } catch (error) {
      this.counts.finish(start);
      throw error;
    }
    if (isPromiseLike(result)) return this.untilSettled(result, start);
    this.counts.finish(start);
    return result;
  }

  /** The last callback of a group has returned a promise, or an invalid result. */
  private leaveGroup(result: unknown): unknown {
    return isPromiseLike(result)
      ? this.untilSettled(result, this.counts.startedInGroup(this.observation.handled))
      : result;
  }

  private untilSettled(result: PromiseLike<unknown>, start: number): Promise<unknown> {
    const settled = (): void => this.counts.finish(start);
    // `then` of a thenable is called only once: it may start the work again each time.
    const promise = Promise.resolve(result);
    promise.then(settled, settled);
    return promise;
  }
}
