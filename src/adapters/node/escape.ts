/**
 * Delivery of refusals: `upgrade` throws them for the framework to answer, but they must not end the process if
 * uncaught.
 */
import { executionAsyncId, executionAsyncResource } from "node:async_hooks";
import { types } from "node:util";
import type { UpgradeError } from "../../errors.ts";
import { errorHandlerOf } from "../../frameworks/express.ts";
import { respondWithError } from "./response.ts";
import { isNode } from "./runtime.ts";
import type { NodeRequest, NodeResponse } from "./types.ts";

/** The request whose listener is being called. */
let running: NodeRequest | undefined;

/** The requests whose listener has returned a promise that is pending. */
const awaited = new WeakSet<NodeRequest>();

/** Calls a listener of `request`. Errors propagate to the caller or reject the returned promise. */
export const runListener = (request: NodeRequest, listener: () => unknown): unknown => {
  const outer = running;
  running = request;
  try {
    const result = listener();
    if (result instanceof Promise) awaited.add(request);
    return result;
  } finally {
    running = outer;
  }
};

/** Called when the promise that the listener returned has settled. */
export const listenerSettled = (request: NodeRequest): void => {
  awaited.delete(request);
};

/**
 * Whether an error thrown here reaches the listener's caller or rejects a promise. Otherwise this is a callback of a
 * timer, a socket or a database driver, and the error would be uncaught.
 */
const isThrowable = (request: NodeRequest): boolean =>
  request === running ||
  (isNode
    ? // Reactions of promises have no id, unless async hooks are enabled: then the promise is their resource.
      executionAsyncId() === 0 || types.isPromise(executionAsyncResource())
    : // Bun and Deno give all callbacks the same id.
      awaited.has(request));

/**
 * Throws the refusal if the framework can catch it. An error that remains uncaught goes to Express's error handlers if
 * there are any, and is answered otherwise. In callbacks, where throwing is impossible, it goes to Express's error
 * handlers.
 *
 * @returns `false` if the caller has to answer now, as with `earlyValidateUpgrade: false`
 */
export const throwOrForward = (refusal: UpgradeError, request: NodeRequest, response: NodeResponse): boolean => {
  const handle = errorHandlerOf(request);
  if (isThrowable(request)) {
    respondIfUncaught(refusal, () => {
      if (response.headersSent) return;
      if (handle === undefined) respondWithError(refusal, response);
      else handle(refusal);
    });
    throw refusal;
  }
  if (handle === undefined || response.headersSent) return false;
  handle(refusal);
  return true;
};

/** The refusals that were thrown, and functions that answer them. */
const thrown = new WeakMap<object, () => void>();

const FATAL = new Set<unknown>(["unhandledRejection", "uncaughtException", "uncaughtExceptionMonitor"]);

let watching = false;

/**
 * Express 4 and minimal routers ignore the promise of an async route. There is no API to mark the rejection of an
 * unknown promise as handled. A listener for `unhandledRejection` would change the behaviour for all other rejections,
 * and could not prevent the application's own listeners from ending the process. So `process.emit` is wrapped when the
 * first refusal is thrown, and only events with our own errors are suppressed.
 */
const respondIfUncaught = (refusal: UpgradeError, answer: () => void): void => {
  thrown.set(refusal, answer);
  if (watching) return;
  watching = true;
  if ("Deno" in globalThis) watchDeno();
  const { emit } = process;
  process.emit = function (this: NodeJS.Process, event: string, ...args: unknown[]): boolean {
    const respond = FATAL.has(event) ? thrown.get(args[0] as object) : undefined;
    if (respond === undefined) return Reflect.apply(emit, this, [event, ...args]);
    respond();
    return true;
  } as typeof emit;
};

/** Deno dispatches a DOM event for each unhandled rejection, in which it can be marked as handled. */
const watchDeno = (): void => {
  const { addEventListener } = globalThis as unknown as {
    addEventListener(type: string, listener: (event: Event & { readonly reason?: object }) => void): void;
  };
  addEventListener("unhandledrejection", (event) => {
    const respond = thrown.get(event.reason as object);
    if (respond === undefined) return;
    event.preventDefault();
    respond();
  });
};
