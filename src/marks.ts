/** The mark by which `upgrade` finds the adapter of a request. */

import type { Route } from "./frameworks/routes.ts";
import type { WebSockOptions } from "./options.ts";
import type { Callbacks } from "./session/handler.ts";

/** What an adapter attaches to each request that it passes to the application. */
export interface Upgradable {
  /** Set if this belongs to a single request that can be upgraded, rather than being shared by all ordinary requests. */
  readonly isOne?: true;
  /** Decides on the upgrade of `conn`, and returns the value that the route must return. */
  upgrade(conn: object, callbacks: Callbacks, arg: unknown, options: WebSockOptions | undefined, route: Route): unknown;
}

// From the global symbol registry, so that two copies of the package in one process find each other's marks.
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
