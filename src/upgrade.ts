/** `upgrade`: turns the request of a route into a WebSocket, through the adapter that registered the request. */
import { UnknownAdapterError, UpgradeError } from "./errors.ts";
import { isFetchRequest, routeOf } from "./frameworks/routes.ts";
import type { UpgradeResult } from "./frameworks/upgrade-result.ts";
import { show } from "./known-keys.ts";
import { markOf, type Upgradable } from "./marks.ts";
import { callbacksFor, type UpgradeArguments } from "./upgrade-arguments.ts";
import type { WebSock } from "./websock.ts";

export type { UpgradeResult } from "./frameworks/upgrade-result.ts";
export { markUpgradable, type Upgradable } from "./marks.ts";

/** Upgrades `Request`s that no adapter has marked, on hosts where `attach` is optional (Deno, Cloudflare Workers). */
let unmarked: Upgradable | undefined;

/** Registers the adapter for `Request`s without a mark. */
export const upgradeUnmarked = (upgradable: Upgradable): void => {
  unmarked = upgradable;
};

const upgradableOf = (request: object): Upgradable | undefined =>
  markOf(request) ?? (isFetchRequest(request) ? unmarked : undefined);

/**
 * Accepts the upgrade request of a route: opens a WebSocket whose callbacks are those of `handler`. Call it in the
 * route, after authentication and other middleware, and return what it returns.
 *
 * ```ts
 * // Express, on a server that was passed to attach()
 * app.get("/chat/:room", requireUser, (req) => upgrade(req, Chat, { room: req.params.room, user: req.user }));
 * // Hono
 * app.get("/chat/:room", (c) => upgrade(c, Chat, { room: c.req.param("room") }, { maxMessageSize: 65_536 }));
 * ```
 *
 * The call checks the request. The handshake response is sent when the framework sends the response of the route, with
 * the headers that middleware has set, or immediately where nothing else ends the response (`node:http`, Express).
 * `init` runs after that. If the client has already disconnected, `upgrade` returns normally and `init` never runs.
 *
 * @param conn the request, or the object that the framework passes to the route: the request of `node:http`, Express or
 * a fetch handler; the context of Hono, Koa or Elysia; the event of h3; the request or reply of Fastify
 * @param handler a module, an object or a class instance with the callbacks of {@link WebSock}
 * @param arg the value that `init` receives as its first argument. May be omitted if `init` takes none; pass
 * `undefined` if `options` follow
 * @param options options for this connection, which override the `defaults` of `attach`. Default: those `defaults`
 * @returns the value that the route must return: a `Response` where routes return one, `undefined` on Fastify,
 * otherwise `conn`, which can be ignored
 * @throws UpgradeError if the request is not a valid upgrade request, its origin is not allowed, or the server is
 * shutting down, unless the option `earlyValidateUpgrade` is `false`. Do not catch it: frameworks turn it into the
 * right response. On Node, a call from a bare callback (of a timer, for example), where nothing could catch the error,
 * answers the request instead of throwing
 * @throws UnknownAdapterError if no adapter has registered `conn`, usually because `attach` was not called
 * @throws TypeError for an invalid handler, an unknown or invalid option, and options in the place of `arg`. In a
 * Durable Object, also for a handler that `attach` did not receive
 * @throws Error if the request has already been upgraded or answered
 */
export const upgrade = <Conn extends object, Arg, State, Info = never>(
  conn: Conn,
  handler: WebSock<Arg, State, Info>,
  ...[arg, options]: UpgradeArguments<NoInfer<Arg>>
): UpgradeResult<Conn> => {
  const route = routeOf(conn, (request) => upgradableOf(request) !== undefined);
  if (route === undefined) {
    throw new UnknownAdapterError(
      `upgrade() received ${show(conn)}, which no adapter has registered. ` +
        'On Node, call attach(server) from "websock-js/node" before the server receives requests; ' +
        "on other hosts, call attach() from the host's adapter",
    );
  }
  const callbacks = callbacksFor(handler, arg, options);
  try {
    return upgradableOf(route.request)!.upgrade(conn, callbacks, arg, options, route) as UpgradeResult<Conn>;
  } catch (error) {
    throw error instanceof UpgradeError ? route.refused(error) : error;
  }
};
