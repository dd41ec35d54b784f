/** Times the callbacks of an observed connection. */
import type { Callback, CallbackName, Callbacks } from "../handler.ts";
import { isPromiseLike } from "../promise-like.ts";
import type { CallbackCounts } from "./counts.ts";
import type { ObservedConnection, SessionObserver } from "./observer.ts";

/** What a connection's {@link ObservedCallbacks} need to know. */
export interface Observation {
  readonly observer: SessionObserver;
  readonly callbackCounts: CallbackCounts;
  /** Names the connection. */
  readonly about: () => ObservedConnection;
}

/** The same callbacks, observed. Those that the handler does not have are `undefined`. */
export class ObservedCallbacks implements Callbacks {
  readonly target: Callbacks["target"];
  readonly init: Callback;
  readonly handleControl: Callback | undefined;
  readonly handleInfo: Callback | undefined;
  readonly terminate: Callback | undefined;
  readonly name: string | undefined;
  private readonly callbacks: Callbacks;
  private readonly observation: Observation;
  private readonly counts: CallbackCounts;
  /** Whether somebody wants to know of each call. */
  private readonly traced: boolean;

  constructor(callbacks: Callbacks, observation: Observation) {
    this.target = this;
    this.callbacks = callbacks;
    this.observation = observation;
    this.counts = observation.callbackCounts;
    this.traced = observation.observer.trace !== undefined;
    this.name = callbacks.name;
    this.init = this.wrap("init", callbacks.init)!;
    this.handleControl = this.wrap("handleControl", callbacks.handleControl);
    this.handleInfo = this.wrap("handleInfo", callbacks.handleInfo);
    this.terminate = this.wrap("terminate", callbacks.terminate);
  }

  /** A method, and not a closure, so that the JIT can inline it into `Session.onText`. */
  handleIn(message: unknown, state: unknown, self: unknown): unknown {
    if (this.traced) return this.call("handleIn", this.callbacks.handleIn, [message, state, self]);
    const { counts } = this;
    const start = counts.start();
    let result: unknown;
    try {
      result = this.callbacks.target.handleIn(message, state, self);
    } catch (error) {
      counts.finish(start);
      throw error;
    }
    if (!Array.isArray(result) && isPromiseLike(result)) return this.untilSettled(result, start);
    counts.finish(start);
    return result;
  }

  private wrap(name: CallbackName, callback: Callback | undefined): Callback | undefined {
    return callback && ((...args) => this.call(name, callback, args));
  }

  private call(name: CallbackName, callback: Callback, args: unknown[]): unknown {
    const { about, observer } = this.observation;
    const run = (): unknown => this.time(callback, args);
    if (observer.trace === undefined) return run();
    const { opcode } = (name === "handleIn" || name === "handleControl" ? args[0] : {}) as { opcode?: string };
    return observer.trace({ callback: name, opcode, ...about() }, run);
  }

  private time(callback: Callback, args: unknown[]): unknown {
    const start = this.counts.start();
    let result: unknown;
    try {
      result = callback.apply(this.callbacks.target, args);
    } catch (error) {
      this.counts.finish(start);
      throw error;
    }
    if (isPromiseLike(result)) return this.untilSettled(result, start);
    this.counts.finish(start);
    return result;
  }

  private untilSettled(result: PromiseLike<unknown>, start: number): Promise<unknown> {
    const settled = this.counts.suspend(start);
    // `then` of a thenable is called only once: it may start the work again each time.
    const promise = Promise.resolve(result);
    promise.then(settled, settled);
    return promise;
  }
}
