/** The requests of a Node server, on their way to its `request` listeners. */
import { EventEmitter } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { UpgradeError } from "../errors.ts";
import { markUpgradable, type Upgradable } from "../upgrade.ts";

/** Answers with what the error says, on top of the headers that middleware has set. */
export const answerUpgradeError = (error: UpgradeError, response: ServerResponse): void => {
  const body = `${error.message}\n`;
  response.statusCode = error.status;
  for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value);
  // The error's own `Connection` must not hide that we close.
  if (!response.shouldKeepAlive) response.appendHeader("connection", "close");
  response.setHeader("content-type", "text/plain; charset=utf-8");
  response.setHeader("content-length", Buffer.byteLength(body));
  response.end(body);
};

/**
 * Marks every request, so that `upgrade` finds its adapter, and answers an UpgradeError that nobody else did: in a bare
 * `node:http` app it would end the process. Any other error stays what it was.
 */
export const guardRequests = (server: Server, ordinary: Upgradable): void => {
  const { emit } = server;
  const guard = new EventEmitter();
  guard.on("request", (request, response) => callListeners(server, request, response));
  server.emit = function (this: Server, event: string, ...args: unknown[]): boolean {
    if (event !== "request") return Reflect.apply(emit, this, [event, ...args]);
    markUpgradable(args[0] as IncomingMessage, ordinary);
    // Through `emit` as we found it: tracing hangs on that.
    return Reflect.apply(emit, guard, [event, ...args]);
  } as typeof server.emit;
};

/** As `emit` does, but it sees what the listeners return. */
const callListeners = (server: Server, request: IncomingMessage, response: ServerResponse): void => {
  for (const listener of server.rawListeners("request")) {
    try {
      const result: unknown = Reflect.apply(listener, server, [request, response]);
      if (result instanceof Promise) result.catch((error) => onRejection(error, server, request, response));
    } catch (error) {
      if (!answered(error, response)) throw error;
    }
  }
};

const answered = (error: unknown, response: ServerResponse): boolean => {
  if (!(error instanceof UpgradeError)) return false;
  if (!response.headersSent) answerUpgradeError(error, response);
  return true;
};

const onRejection = (error: unknown, server: Server, request: IncomingMessage, response: ServerResponse): void => {
  if (answered(error, response)) return;
  // What Node does where rejections are captured; elsewhere it stays an unhandled one.
  if (!EventEmitter.captureRejections) throw error;
  const capture = (server as unknown as Record<symbol, (...args: unknown[]) => void>)[
    EventEmitter.captureRejectionSymbol
  ];
  capture?.call(server, error, "request", request, response);
};
