/** Promises for tests: one to settle by hand, and one that waits for the event loop. */

/** A promise with its `resolve` function. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

export const deferred = <T = void>(): Deferred<T> => {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
};

/** Resolves in the next event-loop tick. */
export const nextTick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
