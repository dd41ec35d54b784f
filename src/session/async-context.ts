/** The port to AsyncLocalStorage, through which a session enters its connection's context. */

/** The AsyncLocalStorage context of one `upgrade` call. */
export interface AsyncContext {
  /** Calls `task` on `target` in this context, synchronously. */
  run<Target, Args extends unknown[]>(
    task: (this: Target, ...args: Args) => unknown,
    target: Target,
    ...args: Args
  ): void;
}
