/** Runs a whole route without a port: the framework's own router and middleware, `upgrade`, and the handler behind it. */

import { FetchUpgrade } from "../adapters/fetch/upgrade.ts";
import type { Decision } from "../adapters/shared/decision.ts";
import { Host } from "../adapters/shared/host.ts";
import { sharedPathOf } from "../adapters/shared/request-path.ts";
import { answerFromFastify } from "../frameworks/fastify.ts";
import type { Route } from "../frameworks/routes.ts";
import type { UpgradeRequest, WebSockOptions } from "../options.ts";
import { portableOctets } from "../protocol/byte-ops.ts";
import type { Callbacks } from "../session/handler.ts";
import { markUpgradable } from "../upgrade.ts";
import { beginSession, type TestClient } from "./connect.ts";
import { capabilities } from "./memory-transport.ts";

/** What Fastify's `inject` takes. */
export interface Injection {
  readonly method: "GET";
  readonly url: string;
  readonly headers: Record<string, string>;
  /** What the request of the test inherits from; `upgrade` knows the test by it. */
  readonly Request: object;
}

/** Options of {@link connectRoute}. */
export interface RouteRequestOptions {
  /** On top of those of a valid handshake, by lower-case name. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What the server gives to `attach` as `defaults`. */
  readonly defaults?: WebSockOptions;
}

/**
 * An app for Node's servers: what would be given to `http.createServer`, or the server that a framework has made. It needs
 * neither `listen` nor `attach`.
 */
export type NodeApp =
  /** Express's app, Koa's `app.callback()`, Nest's `app.getHttpAdapter().getInstance()`, any `(req, res) => …`. */
  | { readonly listener: (request: never, response: never) => unknown }
  /** The server whose `request` listeners are the app: Nest's `app.getHttpServer()`, Fastify's `app.server`. */
  | { readonly server: { emit(event: string, ...args: unknown[]): boolean } };

/** What a {@link NodeApp} has answered: what a client reads from the wire. */
export interface RouteResponse {
  /** 101 where the route has upgraded. */
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** What came of it. */
export interface ConnectedRoute<Answer, Info> {
  /**
   * What the app answered. Apps that take a `Request`, and Fastify's `inject`, return their own answer: where the route has
   * upgraded, a server makes a 101 of it, whatever its status.
   */
  readonly response: Answer;
  /** The client's end of the connection; `undefined` if the route has not upgraded. */
  readonly client: TestClient<Info> | undefined;
}

/** The handshake of RFC 6455 §1.2. */
const HANDSHAKE = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
} as const;

type Send<Answer> = (request: Request, injection: Injection) => Answer | PromiseLike<Answer>;

/**
 * Sends a request for a WebSocket through an app, and connects a client to the handler that its route upgrades to.
 *
 * ```ts
 * // Express, Koa, Nest, node:http: what http.createServer takes, or the framework's own server
 * const { client, response } = await connectRoute("/chat/lobby", { listener: app }, { headers: { cookie: "user=ada" } });
 * const { client, response } = await connectRoute("/chat/lobby", { server: nest.getHttpServer() });
 * // Hono, h3 and whatever else takes a Request
 * const { client, response } = await connectRoute("/chat/lobby", (request) => app.request(request));
 * // Fastify
 * const { client, response } = await connectRoute("/chat/lobby", (_, injection) => app.inject(injection));
 * ```
 *
 * Only the network is missing. The upgrade is decided as on a server, and behind it is the client of `connect`.
 * `{ listener }` and `{ server }` need Node: there the request goes through Node's own parser, and what the app writes
 * comes back through Node's own client.
 *
 * @param url the path, or a whole URL; `https:` makes the request a secure one
 * @param app what answers the request: a function that hands it to the app and returns the answer, or a {@link NodeApp}
 * @param options the request's headers, and the server's defaults
 * @throws TypeError if `app` is none of these
 * @throws what the listener throws, or rejects with, apart from an `UpgradeError`, which the server answers
 */
export function connectRoute<Info = unknown>(
  url: string,
  app: NodeApp,
  options?: RouteRequestOptions,
): Promise<ConnectedRoute<RouteResponse, Info>>;
export function connectRoute<Answer extends { status: number } | { statusCode: number }, Info = unknown>(
  url: string,
  app: Send<Answer>,
  options?: RouteRequestOptions,
): Promise<ConnectedRoute<Answer, Info>>;
export async function connectRoute(
  url: string,
  app: NodeApp | Send<{ status: number } | { statusCode: number }>,
  { headers, defaults }: RouteRequestOptions = {},
): Promise<ConnectedRoute<unknown, unknown>> {
  const address = new URL(url, "http://localhost");
  const all = { host: address.host, ...HANDSHAKE, ...headers };
  if (typeof app === "function") return connectSent(address, app, all, defaults);
  if (typeof app !== "object" || app === null || !("listener" in app || "server" in app)) {
    throw new TypeError(
      `connectRoute() expects { listener: app }, { server } or (request, injection) => answer, not ${String(app)}`,
    );
  }
  // Loaded only here: not every host that runs handlers in tests has node:http.
  const { connectNodeApp } = await import("./connect-node-app.ts");
  return connectNodeApp(address, app, all, defaults);
}

const connectSent = async <Answer extends { status: number } | { statusCode: number }>(
  { href, pathname, search }: URL,
  send: Send<Answer>,
  headers: Record<string, string>,
  defaults: WebSockOptions | undefined,
): Promise<ConnectedRoute<Answer, unknown>> => {
  // Only where routes are tested: not every host that runs handlers in tests has this.
  const { Readable } = await import("node:stream");
  const request = new Request(href, { headers });
  const upgrade = new TestUpgrade(testHost(defaults), request, new Headers(headers));
  markUpgradable(request, upgrade);
  class TestRequest extends Readable {}
  markUpgradable(TestRequest.prototype, upgrade);

  const injection: Injection = { method: "GET", url: pathname + search, headers, Request: TestRequest };
  const response = await send(request, injection);
  return { response, client: await upgrade.connect("status" in response ? response.status : response.statusCode) };
};

/** The options of a host that ignores none: what the memory has no use for is no mistake of the app's. */
export const testCapabilities = { ...capabilities, ignores: [] };

const testHost = (defaults: WebSockOptions | undefined): Host =>
  new Host(testCapabilities, portableOctets, undefined, { onError: () => undefined, ...(defaults && { defaults }) });

/** Decides as every fetch-style server does. What it decides on runs in memory. */
class TestUpgrade extends FetchUpgrade {
  readonly isOne = true;
  private client: Promise<TestClient<unknown>> | undefined = undefined;

  constructor(host: Host, request: Request, headers: Headers) {
    // Some runtimes hide the handshake's headers in a request that is made by hand.
    super(host, { method: "GET", url: request.url, headers } as Request);
  }

  override upgrade(
    conn: object,
    callbacks: Callbacks,
    arg: unknown,
    options: WebSockOptions | undefined,
    route: Route,
  ): unknown {
    const result = super.upgrade(conn, callbacks, arg, options, route);
    answerFromFastify(route.request, () => undefined);
    return result;
  }

  protected perform(decision: Decision, facts: UpgradeRequest, _headers: Headers): undefined {
    this.client = connected(decision, facts);
  }

  /** The app has answered with this status: a client, if that leaves the upgrade as it was decided. */
  async connect<Info>(status: number): Promise<TestClient<Info> | undefined> {
    this.answer(new Response(null, { status: status >= 200 ? status : 500 }));
    return this.client as Promise<TestClient<Info>> | undefined;
  }
}

/** Runs what was decided on, and resolves when `init` has settled. */
export const connected = async <Info>(
  { callbacks, arg, options, subprotocol, asyncContext }: Decision,
  { url }: UpgradeRequest,
): Promise<TestClient<Info>> => {
  const facts = { subprotocol, path: sharedPathOf(url) };
  const { client, initialized } = beginSession<Info>(callbacks, arg, options, facts, asyncContext);
  await initialized;
  return client;
};
