/** The mark by which `upgrade` finds the adapter of a request. */

import type { Route } from "./frameworks/route.ts";
import type { WebSockOptions } from "./options.ts";
import type { Callbacks } from "./session/handler.ts";

/** The mark on a request. */
export interface Upgradable {
  /** Whether it is the mark of one upgrade request. Ordinary requests may share a mark. */
  readonly isUpgradeRequest?: true;
  /** Decides about the upgrade of `conn`, and returns the value that the route should return. */
  upgrade(conn: object, callbacks: Callbacks, arg: unknown, options: WebSockOptions | undefined, route: Route): unknown;
}

// A registered symbol, so that two copies of the package in one process are compatible.
const UPGRADABLE: unique symbol = Symbol.for("websock-js.upgradable") as never;

interface Marked {
  [UPGRADABLE]?: Upgradable;
}

/** Marks `request`, so that `upgrade` finds `upgradable`. A request that is already marked keeps its mark. */
export const markUpgradable = (request: object, upgradable: Upgradable): void => {
  (request as Marked)[UPGRADABLE] ??= upgradable;
};

/** The mark of a request, if it has one. */
export const markOf = (request: object): Upgradable | undefined => (request as Marked)[UPGRADABLE];
