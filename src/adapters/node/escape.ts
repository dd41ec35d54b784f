/**
 * Where the refusal of a request goes. `upgrade` throws it, because frameworks make the right response of it; but an error
 * that nobody catches ends the process, and then a plain GET of the route would.
 */
import { executionAsyncId, executionAsyncResource } from "node:async_hooks";
import { types } from "node:util";
import type { UpgradeError } from "../../errors.ts";
import { errorHandlerOf } from "../../frameworks/express.ts";
import { respondWithError } from "./response.ts";
import { isNode } from "./runtime.ts";
import type { NodeRequest, NodeResponse } from "./types.ts";

/** The request whose listeners are running. */
let running: NodeRequest | undefined;

/** The requests whose listeners have returned a promise that is pending. */
const awaited = new WeakSet<NodeRequest>();

/** Runs a listener of `request`. What it throws goes to the caller, or into the promise that is returned. */
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

/** The promise that the listener has returned is settled. */
export const listenerSettled = (request: NodeRequest): void => {
  awaited.delete(request);
};

/**
 * Whether what is thrown now reaches the listener's caller or becomes the rejection of a promise. Else we are in a callback
 * of a timer, a socket or a database driver: the error would pass through their code, and nobody is there to catch it.
 */
const isThrowable = (request: NodeRequest): boolean =>
  request === running ||
  (isNode
    ? // Reactions of promises have no id, unless async hooks are enabled: then the promise is their resource.
      executionAsyncId() === 0 || types.isPromise(executionAsyncResource())
    : awaited.has(request));

/**
 * Throws the refusal where somebody may catch it. If nobody does, and in a callback, Express's error handlers get it;
 * everywhere else it is answered.
 *
 * @returns `false` if it is to be answered now, as with `earlyValidateUpgrade: false`
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

/** The refusals that were thrown, and how to answer them. */
const thrown = new WeakMap<object, () => void>();

const FATAL = new Set<unknown>(["unhandledRejection", "uncaughtException", "uncaughtExceptionMonitor"]);

let watching = false;

/**
 * Express 4, and routers that only call their routes, drop the promise of an async route. No API marks the rejection of a promise that we
 * never see as handled, and a listener for `unhandledRejection` would change what happens to the rejections of others, and
 * could not keep the application's own listeners from ending the process. So we look at what the process emits, from the
 * first refusal on, and take out our own errors alone.
 */
const respondIfUncaught = (refusal: UpgradeError, answer: () => void): void => {
  thrown.set(refusal, answer);
  if (watching) return;
  watching = true;
  if ("Deno" in globalThis) watchDeno();
  const { emit } = process;
  process.emit = function (this: NodeJS.Process, event: string, ...args: unknown[]): boolean {
    const answerIt = FATAL.has(event) ? thrown.get(args[0] as object) : undefined;
    if (answerIt === undefined) return Reflect.apply(emit, this, [event, ...args]);
    answerIt();
    return true;
  } as typeof emit;
};

/** Deno tells of each by an event of the web, and takes an answer for each of them. */
const watchDeno = (): void => {
  const { addEventListener } = globalThis as unknown as {
    addEventListener(type: string, listener: (event: Event & { readonly reason?: object }) => void): void;
  };
  addEventListener("unhandledrejection", (event) => {
    const answerIt = thrown.get(event.reason as object);
    if (answerIt === undefined) return;
    event.preventDefault();
    answerIt();
  });
};
