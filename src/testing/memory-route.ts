/**
 * What `connectRoute` needs for every kind of app: its types, and the connection in memory behind an upgraded route.
 */
import type { Decision } from "../adapters/shared/decision.ts";
import { sharedPathOf } from "../adapters/shared/request-path.ts";
import type { UpgradeRequest } from "../options.ts";
import { beginSession, type TestClient } from "./connect.ts";
import { capabilities } from "./memory-transport.ts";

/** An app for the servers of Node. Neither `listen` nor `attach` has to be called for it. */
export type NodeApp =
  /**
   * What would be passed to `http.createServer`: an Express app, `app.callback()` of Koa,
   * `app.getHttpAdapter().getInstance()` of Nest, any `(req, res) => …`.
   */
  | { readonly listener: (request: never, response: never) => unknown }
  /** A server whose `request` listeners are the app: `app.getHttpServer()` of Nest, `app.server` of Fastify. */
  | { readonly server: { emit(event: string, ...args: unknown[]): boolean } };

/** The response of a {@link NodeApp}, as a client reads it. */
export interface RouteResponse {
  /** The HTTP status; 101 if the route has upgraded the request. */
  readonly status: number;
  /** The response headers. */
  readonly headers: Headers;
  /** The response body as text; empty if the route has upgraded the request. */
  readonly body: string;
}

/**
 * The outcome of `connectRoute`.
 *
 * @typeParam Answer the type of the response
 * @typeParam Info the type of the infos that the handler receives
 */
export interface ConnectedRoute<Answer, Info> {
  /**
   * The response of the app. Apps that take a `Request`, and `inject` of Fastify, return their own response object: if
   * the route has upgraded the request, a server would send a 101 instead.
   */
  readonly response: Answer;
  /** The client of the connection; `undefined` if the route has not upgraded the request. */
  readonly client: TestClient<Info> | undefined;
}

/** @internal No options without effect: an app must not get reports for options that only have no effect in tests. */
export const testCapabilities = { ...capabilities, ignores: [] };

/** @internal Runs the handler that `upgrade` was called with, and resolves when `init` has settled. */
export const connected = async <Info>(
  { callbacks, arg, options, subprotocol, asyncContext }: Decision,
  { url }: UpgradeRequest,
): Promise<TestClient<Info>> => {
  const facts = { subprotocol, path: sharedPathOf(url) };
  const { client, initialized } = beginSession<Info>(callbacks, arg, options, facts, asyncContext);
  await initialized;
  return client;
};
