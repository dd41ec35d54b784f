/** `connectRoute`: runs a route without a network, including router, middleware, `upgrade` and handler. */

import { FetchUpgrade } from "../adapters/fetch/upgrade.ts";
import type { Decision } from "../adapters/shared/decision.ts";
import { Host } from "../adapters/shared/host.ts";
import { codedTypeError } from "../error-codes.ts";
import type { Route } from "../frameworks/route.ts";
import type { UpgradeRequest, WebSockOptions } from "../options.ts";
import { portableByteOps } from "../protocol/byte-ops.ts";
import type { Callbacks } from "../session/handler.ts";
import { markUpgradable } from "../upgrade.ts";
import type { TestClient } from "./connect.ts";
import { type ConnectedRoute, connected, type NodeApp, type RouteResponse, testCapabilities } from "./memory-route.ts";

/** An upgrade request in the form that `inject` of Fastify takes. */
export interface Injection {
  /** The method of an upgrade request. */
  readonly method: "GET";
  /** The path and query. */
  readonly url: string;
  /** The headers of the handshake and of the options. */
  readonly headers: Record<string, string>;
  /** The base class of the request object, which marks it for `upgrade`. */
  readonly Request: object;
}

/** Options of {@link connectRoute}. */
export interface RouteRequestOptions {
  /** Headers, by lower-case name, that are added to those of a valid handshake or replace them. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The `defaults` of `attach`. Default: none. */
  readonly defaults?: WebSockOptions;
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
 * Sends an upgrade request through an app, without a network. If the route upgrades the request, the client of the
 * returned object is connected to its handler.
 *
 * ```ts
 * // Express, Koa, Nest, node:http: the listener for http.createServer, or the server of the framework
 * const { client, response } = await connectRoute("/chat/lobby", { listener: app }, { headers: { cookie: "user=ada" } });
 * const inNest = await connectRoute("/chat/lobby", { server: nest.getHttpServer() });
 * // Hono, h3 and other apps that take a Request
 * const inHono = await connectRoute("/chat/lobby", (request) => app.request(request));
 * // Fastify
 * const inFastify = await connectRoute("/chat/lobby", (_, injection) => app.inject(injection));
 * ```
 *
 * The request is validated as on a server, and the client is that of `connect`. `{ listener }` and `{ server }` need
 * Node: the request goes through the HTTP parser of Node, and the response through its HTTP client.
 *
 * @param url the path, or a full URL. `https:` makes the request secure (`req.secure` in Express)
 * @param app a {@link NodeApp}, or a function that passes the request to the app and returns the response
 * @param options headers of the request, and the `defaults` of `attach`
 * @returns a promise of the response and the client
 * @throws TypeError if `app` is neither of these, and for an invalid URL
 * @throws any error that the app throws or rejects with, except the refusal of an upgrade in a {@link NodeApp}, which
 * is answered
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
    throw codedTypeError(
      "WEBSOCK_INVALID_ARGUMENT",
      `connectRoute() expects { listener: app }, { server } or (request, injection) => answer, not ${String(app)}`,
    );
  }
  // Imported on demand: some hosts that run such tests have no node:http.
  const { connectNodeApp } = await import("./connect-node-app.ts");
  return connectNodeApp(address, app, all, defaults);
}

const connectSent = async <Answer extends { status: number } | { statusCode: number }>(
  { href, pathname, search }: URL,
  send: Send<Answer>,
  headers: Record<string, string>,
  defaults: WebSockOptions | undefined,
): Promise<ConnectedRoute<Answer, unknown>> => {
  // Imported on demand: some hosts that run such tests have no node:stream.
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

const testHost = (defaults: WebSockOptions | undefined): Host =>
  new Host(testCapabilities, portableByteOps, undefined, { onError: () => undefined, ...(defaults && { defaults }) });

/** Decides on the upgrade like the adapter of a fetch-style host, and runs the connection in memory. */
class TestUpgrade extends FetchUpgrade {
  readonly isUpgradeRequest = true;
  private client: Promise<TestClient<unknown>> | undefined = undefined;

  constructor(host: Host, request: Request, headers: Headers) {
    // Some runtimes remove the headers of the handshake from a `Request` that is constructed by an application.
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
    route.decided(() => undefined);
    return result;
  }

  protected perform(decision: Decision, upgradeRequest: UpgradeRequest, _headers: Headers): undefined {
    this.client = connected(decision, upgradeRequest);
  }

  /** Call when the app has responded with `status`. Returns the client if the upgrade was performed. */
  async connect<Info>(status: number): Promise<TestClient<Info> | undefined> {
    this.respond(new Response(null, { status: status >= 200 ? status : 500 }));
    return this.client as Promise<TestClient<Info>> | undefined;
  }
}
