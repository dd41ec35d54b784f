/** The port to AsyncLocalStorage, through which a session enters its connection's context. */

/** The AsyncLocalStorage context of one `upgrade` call. */
export interface AsyncContext {
  /** Calls `task` on `target` in this context, synchronously. No rest parameter, because it would allocate an array. */
  run<Target, A, B, C>(task: (this: Target, a: A, b: B, c: C) => unknown, target: Target, a?: A, b?: B, c?: C): void;
}
