/** The requests of a Node server, on their way to its `request` listeners. */
import { EventEmitter } from "node:events";
import { UpgradeError } from "../../errors.ts";
import { markOf, markUpgradable, type Upgradable } from "../../marks.ts";
import type { UpgradeRequest } from "../../options.ts";
import { listenerSettled, runListener } from "./escape.ts";
import { respondWithError } from "./response.ts";
import type { NodeRequest, NodeResponse, NodeServer } from "./types.ts";

/** What `upgrade` and the application's functions are told of a request. */
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
 * Is asked about every event of one name, with what the server emits.
 *
 * @returns what we do about it, if it is ours; `undefined` leaves it to the server's listeners
 */
export type Interceptor = (...args: never[]) => (() => void) | undefined;

/**
 * Marks every request, so that `upgrade` finds its adapter, and answers an UpgradeError that nobody else did: in a bare
 * `node:http` app it would end the process. Any other error stays what it was.
 *
 * Events that `takers` takes reach none of the server's listeners, whenever they were added: several of them destroy every
 * socket that they don't know.
 */
export const guardRequests = (
  server: NodeServer,
  ordinary: (request: NodeRequest, response: NodeResponse) => Upgradable,
  takers: ReadonlyMap<unknown, Interceptor>,
): void => {
  const { emit } = server;
  const guard = new EventEmitter();
  const taken = new WeakMap<object, () => void>();
  const runTaken = (request: object): void => {
    const take = taken.get(request);
    taken.delete(request);
    take?.();
  };
  guard.on("request", (request, response) => callListeners(server, request, response));
  for (const event of takers.keys()) guard.on(event as string, (request) => runTaken(request));
  server.emit = function (this: NodeServer, event: string, ...args: unknown[]): boolean {
    if (event === "request") {
      const [request, response] = args as [NodeRequest, NodeResponse];
      if (markOf(request) === undefined) markUpgradable(request, ordinary(request, response));
    } else {
      const take = takers.get(event)?.(...(args as never[]));
      if (take === undefined) return Reflect.apply(emit, this, [event, ...args]);
      taken.set(args[0] as object, take);
    }
    // Through `emit` as we found it: tracing hangs on that.
    const emitted = Reflect.apply(emit, guard, [event, ...args]);
    // One that is bound to the server has called the listeners of that, instead of ours.
    runTaken(args[0] as object);
    return emitted;
  } as typeof server.emit;
};

/** As `emit` does, but it sees what the listeners return. */
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
  // What Node does where rejections are captured; elsewhere it stays an unhandled one.
  if (!EventEmitter.captureRejections) throw error;
  const capture = (server as unknown as Record<symbol, (...args: unknown[]) => void>)[
    EventEmitter.captureRejectionSymbol
  ];
  capture?.call(server, error, "request", request, response);
};
