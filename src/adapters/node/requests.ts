/** The requests of a Node server before they reach its `request` listeners. */
import { EventEmitter } from "node:events";
import { UpgradeError } from "../../errors.ts";
import { markOf, markUpgradable, type Upgradable } from "../../marks.ts";
import type { UpgradeRequest } from "../../options.ts";
import { listenerSettled, runListener } from "./escape.ts";
import { respondWithError } from "./response.ts";
import type { NodeRequest, NodeResponse, NodeServer } from "./types.ts";

/** The upgrade request as `upgrade` and the application's functions get it. */
export const upgradeRequestOf = (request: NodeRequest): UpgradeRequest => ({
  method: request.method ?? "",
  httpVersion: request.httpVersion,
  url: request.url ?? "",
  authority: "authority" in request ? request.authority : request.headers.host,
  header: (name) => {
    const value = request.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  },
});

/**
 * Called with the arguments of each event of one name.
 *
 * @returns a function that handles the event; `undefined` passes the event to the server's listeners
 */
export type Interceptor = (...args: never[]) => (() => void) | undefined;

/**
 * Marks every request, so that `upgrade` finds its host, and answers each uncaught UpgradeError, which would end the
 * process in a plain `node:http` app. Other errors are not affected.
 *
 * Events that an interceptor handles reach no other listener of the server, not even one added later: several libraries
 * destroy every socket that they don't know.
 */
export const guardRequests = (
  server: NodeServer,
  markOfOrdinary: (request: NodeRequest, response: NodeResponse) => Upgradable,
  interceptors: ReadonlyMap<unknown, Interceptor>,
): void => {
  const emit = server.emit as (this: object, event: string, ...args: readonly unknown[]) => boolean;
  const relay = new EventEmitter();
  /** The request that is being emitted, and its handler until that is called. */
  let emitting: { readonly request: unknown; handle: (() => void) | undefined } | undefined;
  const runHandler = (request: unknown): void => {
    if (emitting?.request !== request) return;
    const { handle } = emitting!;
    emitting!.handle = undefined;
    handle?.();
  };
  relay.on("request", (request, response) => callListeners(server, request, response));
  for (const event of interceptors.keys()) relay.on(event as string, runHandler);
  server.emit = function (this: NodeServer, event: string, ...args: unknown[]): boolean {
    // Below, call the `emit` found on the server, which tracing tools may have wrapped.
    if (event === "request") {
      const [request, response] = args as [NodeRequest, NodeResponse];
      if (markOf(request) === undefined) markUpgradable(request, markOfOrdinary(request, response));
      return emit.call(relay, event, ...args);
    }
    const handle = interceptors.get(event)?.(...(args as never[]));
    if (handle === undefined) return emit.call(this, event, ...args);
    const outer = emitting;
    const request = args[0];
    emitting = { request, handle };
    try {
      const emitted = emit.call(relay, event, ...args);
      // If that function is bound to the server, it has called the server's listeners instead of ours.
      runHandler(request);
      return emitted;
    } finally {
      emitting = outer;
    }
  } as typeof server.emit;
};

/** Calls the listeners like `emit`, but tracks the promises that they return. */
const callListeners = (server: NodeServer, request: NodeRequest, response: NodeResponse): void => {
  for (const listener of server.rawListeners("request")) {
    try {
      const result = runListener(request, () => Reflect.apply(listener, server, [request, response]));
      if (!(result instanceof Promise)) continue;
      result.then(
        () => listenerSettled(request),
        (error) => handleRejection(error, server, request, response),
      );
    } catch (error) {
      if (!respondIfUpgradeError(error, response)) throw error;
    }
  }
};

const respondIfUpgradeError = (error: unknown, response: NodeResponse): boolean => {
  if (!(error instanceof UpgradeError)) return false;
  if (!response.headersSent) respondWithError(error, response);
  return true;
};

const handleRejection = (error: unknown, server: NodeServer, request: NodeRequest, response: NodeResponse): void => {
  listenerSettled(request);
  if (respondIfUpgradeError(error, response)) return;
  // Node does the same if `captureRejections` is set. Otherwise this stays an unhandled rejection.
  if (!EventEmitter.captureRejections) throw error;
  const capture = (server as unknown as Record<symbol, (...args: unknown[]) => void>)[
    EventEmitter.captureRejectionSymbol
  ];
  capture?.call(server, error, "request", request, response);
};
