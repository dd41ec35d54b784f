/** Runs a whole route without a server: the framework's own router and middleware, `upgrade`, and the handler behind it. */
import { factsOfRequest } from "../adapters/fetch-request.ts";
import { sharedPathOf } from "../adapters/request-path.ts";
import { answerFromFastify } from "../fastify.ts";
import { type ResolvedOptions, resolveOptions, type UpgradeRequest, type WebSockOptions } from "../options.ts";
import type { Route } from "../route.ts";
import type { Callbacks } from "../session/handler.ts";
import { markUpgradable, type Upgradable } from "../upgrade.ts";
import { selectSubprotocol, validateUpgrade } from "../upgrade-validation.ts";
import { begin, type TestClient } from "./connect.ts";

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
  /** On top of those of a sound handshake. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** What came of it. */
export interface ConnectedRoute<Answer, Info> {
  /** What the app answered. Whatever its status: where the route has upgraded, a server makes a 101 of it. */
  readonly response: Answer;
  /** The client's end of the connection; `undefined` if the route has not upgraded. */
  readonly client: TestClient<Info> | undefined;
}

/** The handshake of RFC 6455 §1.2. */
const HANDSHAKE = {
  host: "localhost",
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
} as const;

/**
 * Sends a request for a WebSocket through an app, and connects a client to the handler that its route upgrades to.
 *
 * ```ts
 * // Hono, h3 and whatever else takes a Request
 * const { client, response } = await connectRoute("/chat/lobby", (request) => app.request(request), {
 *   headers: { cookie: "user=ada" },
 * });
 * // Fastify
 * const { client, response } = await connectRoute("/chat/lobby", (_, injection) => app.inject(injection));
 * ```
 *
 * @param url the path, with or without an origin before it
 * @param send hands the request to the app, and returns its answer
 */
export const connectRoute = async <Answer extends { status: number } | { statusCode: number }, Info = unknown>(
  url: string,
  send: (request: Request, injection: Injection) => Answer | PromiseLike<Answer>,
  { headers }: RouteRequestOptions = {},
): Promise<ConnectedRoute<Answer, Info>> => {
  // Only where routes are tested: not every host that runs handlers in tests has this.
  const { Readable } = await import("node:stream");
  const all = { ...HANDSHAKE, ...headers };
  const { href, pathname, search } = new URL(url, "http://localhost");
  const upgradable = new TestUpgrade(href, new Headers(all));
  const request = new Request(href, { headers: all });
  markUpgradable(request, upgradable);
  class TestRequest extends Readable {}
  markUpgradable(TestRequest.prototype, upgradable);

  const injection: Injection = { method: "GET", url: pathname + search, headers: all, Request: TestRequest };
  const response = await send(request, injection);
  const client = await upgradable.perform<Info>("status" in response ? response.status : response.statusCode);
  return { response, client };
};

interface Decision {
  readonly callbacks: Callbacks;
  readonly arg: unknown;
  readonly options: WebSockOptions | undefined;
  readonly subprotocol: string | undefined;
  readonly route: Route;
}

/** Decides as a server does, and performs when the app has answered. */
class TestUpgrade implements Upgradable {
  readonly isOne = true;
  private readonly facts: UpgradeRequest;
  private decision: Decision | undefined = undefined;

  constructor(url: string, headers: Headers) {
    this.facts = factsOfRequest({ method: "GET", url, headers });
  }

  upgrade(
    _conn: object,
    callbacks: Callbacks,
    arg: unknown,
    options: WebSockOptions | undefined,
    route: Route,
  ): unknown {
    if (this.decision !== undefined) throw new Error("this request is upgraded already");
    const resolved: ResolvedOptions = resolveOptions(options);
    const refusal = validateUpgrade(this.facts, resolved);
    if (refusal !== undefined) throw refusal;
    const subprotocol = selectSubprotocol(this.facts, resolved.subprotocols);
    this.decision = { callbacks, arg, options, subprotocol, route };
    answerFromFastify(route.request, () => undefined);
    return route.result();
  }

  /** A route that has thrown after `upgrade`, or has answered something else, has no connection. */
  async perform<Info>(status: number): Promise<TestClient<Info> | undefined> {
    if (this.decision === undefined || this.decision.route.failed() || status < 200 || status > 299) return undefined;
    const { callbacks, arg, options, subprotocol } = this.decision;
    const { client, initialized } = begin<Info>(callbacks.target, arg, options, {
      subprotocol,
      path: sharedPathOf(this.facts.url),
    });
    await initialized;
    return client;
  }
}
