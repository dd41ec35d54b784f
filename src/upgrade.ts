/** `upgrade`: from an ordinary route to a WebSocket, whichever adapter brought the request in. */
import { UnknownAdapterError, UpgradeError } from "./errors.ts";
import { isFetchRequest, routeOf } from "./frameworks/routes.ts";
import { show } from "./known-keys.ts";
import { markOf, type Upgradable } from "./marks.ts";
import { callbacksFor, type UpgradeArguments } from "./upgrade-arguments.ts";
import type { WebSock } from "./websock.ts";

export { markUpgradable, type Upgradable } from "./marks.ts";

/** Upgrades every `Request` that nobody has marked, on hosts where requests need no `attach` to come in. */
let unmarked: Upgradable | undefined;

/** For the adapters of such hosts. */
export const upgradeUnmarked = (upgradable: Upgradable): void => {
  unmarked = upgradable;
};

const upgradableOf = (request: object): Upgradable | undefined =>
  markOf(request) ?? (isFetchRequest(request) ? unmarked : undefined);

/** What a route returns: a `Response` where routes return one, `undefined` where a value would be sent. */
export type UpgradeResult<Conn> = Conn extends
  | Request // fetch-style, srvx
  | { readonly req: Request } // h3
  | { readonly req: { readonly raw: Request } } // Hono
  | { readonly request: Request } // Elysia
  ? Response
  : Conn extends { readonly raw: object } | { readonly request: { readonly raw: object } } // Fastify
    ? undefined
    : void;

/**
 * Answers an upgrade request with a WebSocket that `handler` runs, and gives `arg` to its `init`.
 *
 * ```ts
 * app.get("/chat/:room", requireUser, (req, res) => upgrade(req, Chat, { room: req.params.room, user: req.user }));
 * ```
 *
 * If the client has gone already, it returns normally and `init` never runs.
 *
 * @param conn the request, or what the framework hands to a route
 * @param handler a module, an object or a class instance with the callbacks of {@link WebSock}
 * @param arg what `init` takes; `undefined` where it takes nothing and `options` follow
 * @param options what differs from the `defaults` of `attach`
 * @returns what the route should return: a `Response` where routes return one, `undefined` on Fastify, else `conn`
 * @throws UpgradeError if the request may not become a WebSocket; frameworks make the right response of it
 * @throws UnknownAdapterError if no adapter brought `conn` in
 * @throws TypeError for an option or a callback that does not exist, and for options in the place of `arg`
 * @throws Error if `conn` is upgraded or answered already
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
