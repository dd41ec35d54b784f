/** The requests of a Node server, on their way to its `request` listeners. */
import { EventEmitter } from "node:events";
import type { Server as HttpServer, IncomingMessage } from "node:http";
import type { Http2SecureServer, Http2Server, Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Server as HttpsServer } from "node:https";
import { UpgradeError } from "../errors.ts";
import type { UpgradeRequest } from "../options.ts";
import { markUpgradable, type Upgradable } from "../upgrade.ts";
import { answerUpgradeError, type NodeResponse } from "./node-response.ts";

export type NodeServer = HttpServer | HttpsServer | Http2Server | Http2SecureServer;

export type NodeRequest = IncomingMessage | Http2ServerRequest;

/** What `upgrade` and the application's functions are told of a request. */
export const factsOf = (request: NodeRequest): UpgradeRequest => ({
  method: request.method ?? "",
  httpVersion: request.httpVersion,
  url: request.url ?? "",
  authority: "authority" in request ? request.authority : request.headers.host,
  header: (name) => {
    const value = request.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  },
});

/** Is asked about every CONNECT over HTTP/2. `true`: it took it. */
export type TakeConnect = (request: Http2ServerRequest, response: Http2ServerResponse) => boolean;

/**
 * Marks every request, so that `upgrade` finds its adapter, and answers an UpgradeError that nobody else did: in a bare
 * `node:http` app it would end the process. Any other error stays what it was.
 */
export const guardRequests = (server: NodeServer, ordinary: Upgradable, takeConnect: TakeConnect | undefined): void => {
  const { emit } = server;
  const guard = new EventEmitter();
  guard.on("request", (request, response) => callListeners(server, request, response));
  server.emit = function (this: NodeServer, event: string, ...args: unknown[]): boolean {
    if (event === "connect" && takeConnect !== undefined && "stream" in (args[0] as NodeRequest)) {
      // Before the server's own `connect` listeners: without any, Node would answer 405.
      if (takeConnect(args[0] as Http2ServerRequest, args[1] as Http2ServerResponse)) return true;
    }
    if (event !== "request") return Reflect.apply(emit, this, [event, ...args]);
    markUpgradable(args[0] as NodeRequest, ordinary);
    // Through `emit` as we found it: tracing hangs on that.
    return Reflect.apply(emit, guard, [event, ...args]);
  } as typeof server.emit;
};

/** As `emit` does, but it sees what the listeners return. */
const callListeners = (server: NodeServer, request: NodeRequest, response: NodeResponse): void => {
  for (const listener of server.rawListeners("request")) {
    try {
      const result: unknown = Reflect.apply(listener, server, [request, response]);
      if (result instanceof Promise) result.catch((error) => onRejection(error, server, request, response));
    } catch (error) {
      if (!answered(error, response)) throw error;
    }
  }
};

const answered = (error: unknown, response: NodeResponse): boolean => {
  if (!(error instanceof UpgradeError)) return false;
  if (!response.headersSent) answerUpgradeError(error, response);
  return true;
};

const onRejection = (error: unknown, server: NodeServer, request: NodeRequest, response: NodeResponse): void => {
  if (answered(error, response)) return;
  // What Node does where rejections are captured; elsewhere it stays an unhandled one.
  if (!EventEmitter.captureRejections) throw error;
  const capture = (server as unknown as Record<symbol, (...args: unknown[]) => void>)[
    EventEmitter.captureRejectionSymbol
  ];
  capture?.call(server, error, "request", request, response);
};
