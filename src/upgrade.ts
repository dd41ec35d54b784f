/** `upgrade`: from an ordinary route to a WebSocket, whichever adapter brought the request in. */
import { UnknownAdapterError, UpgradeError } from "./errors.ts";
import { markOf, type Upgradable } from "./marks.ts";
import type { WebSockOptions } from "./options.ts";
import { routeOf } from "./route.ts";
import { callbacksOf } from "./session/handler.ts";
import type { WebSock } from "./websock.ts";

export { markUpgradable, type Upgradable } from "./marks.ts";

/** Upgrades every `Request` that nobody has marked, on hosts where requests need no `attach` to come in. */
let unmarked: Upgradable | undefined;

/** For the adapters of such hosts. */
export const upgradeUnmarked = (upgradable: Upgradable): void => {
  unmarked = upgradable;
};

const upgradableOf = (request: object): Upgradable | undefined =>
  markOf(request) ?? (typeof Request === "function" && request instanceof Request ? unmarked : undefined);

/** `arg` may be left out where `init` takes none. */
export type UpgradeArguments<Arg> = unknown extends Arg
  ? [arg?: unknown, options?: WebSockOptions]
  : undefined extends Arg
    ? [arg?: Arg, options?: WebSockOptions]
    : [arg: Arg, options?: WebSockOptions];

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
 * @throws UpgradeError if the request may not become a WebSocket; frameworks make the right response of it
 * @throws UnknownAdapterError if no adapter brought `conn` in
 * @throws TypeError for an option or a callback that does not exist
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
      `upgrade() was given ${describe(conn)}, which no adapter brought in. ` +
        'For a Node server, call attach(server) from "websock-js/node" before it receives requests; ' +
        "for other servers, see what attach of their adapter takes",
    );
  }
  try {
    return upgradableOf(route.request)!.upgrade(conn, callbacksOf(handler), arg, options, route) as UpgradeResult<Conn>;
  } catch (error) {
    throw error instanceof UpgradeError ? route.refused(error) : error;
  }
};

const describe = (value: unknown): string =>
  typeof value === "object" && value !== null
    ? `a ${value.constructor?.name ?? "null-prototype object"}`
    : String(value);
