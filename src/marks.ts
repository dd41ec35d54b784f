/** What adapters leave on the requests that they bring in. */

import type { Route } from "./frameworks/route.ts";
import type { WebSockOptions } from "./options.ts";
import type { Callbacks } from "./session/handler.ts";

/** What an adapter leaves on the requests that it brings in. */
export interface Upgradable {
  /** Whether this is one request that can become a WebSocket, and not what all ordinary requests of a server share. */
  readonly isUpgradeRequest?: true;
  /** Decides on the upgrade of `conn`, and returns what the host's route should return. */
  upgrade(conn: object, callbacks: Callbacks, arg: unknown, options: WebSockOptions | undefined, route: Route): unknown;
}

// Registered, so that two copies of the package in one process understand each other.
const UPGRADABLE: unique symbol = Symbol.for("websock-js.upgradable") as never;

interface Marked {
  [UPGRADABLE]?: Upgradable;
}

/** For adapters: `upgrade` will find `upgradable` on this request, unless it was marked before. */
export const markUpgradable = (request: object, upgradable: Upgradable): void => {
  (request as Marked)[UPGRADABLE] ??= upgradable;
};

/** What a request was marked with. */
export const markOf = (request: object): Upgradable | undefined => (request as Marked)[UPGRADABLE];
