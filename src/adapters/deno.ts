/** `websock-js/deno`: hosts handlers on `Deno.serve`. */
import { serveInfoOf } from "../frameworks/hono.ts";
import { upgradeUnmarked } from "../upgrade.ts";
import { watchServe } from "./deno/serve.ts";
import type { DenoServe, DenoServeInfo } from "./deno/types.ts";
import { DenoHost, DenoUpgrade } from "./deno/upgrade.ts";
import { guardFetch, upgradesWithoutAttach } from "./fetch/upgrade.ts";
import { checkDenoHandler } from "./shared/attach-arguments.ts";
import { type Attachment, checkHostOptions, type HostOptions } from "./shared/host.ts";

export type { DrainOptions } from "../session/group.ts";
export { upgrade } from "../upgrade.ts";
export { capabilities } from "./deno/transport.ts";
export type { DenoServeInfo } from "./deno/types.ts";
export type { Attachment } from "./shared/host.ts";

/** Options of {@link attach}. */
export type AttachOptions = HostOptions;

/** What {@link attach} returns: a handler for `Deno.serve`, which also carries the control of its connections. */
export type Attached<Handler> = Handler & {
  /** Counts, closes and drains the connections. */
  readonly sockets: Attachment;
};

/** A handler of `Deno.serve`: what it is given after the request is its own business. */
export type DenoHandler = (request: Request, ...more: never) => unknown;

/**
 * Wraps a handler of `Deno.serve`, so that what middleware sets after the route is in the answer, a route that throws
 * after `upgrade` cancels it, and an `UpgradeError` that escapes is answered. Without it `upgrade` works as well, but
 * performs at once, and Deno ends a server whose handler then returns another response, or throws.
 *
 * ```ts
 * const handler = attach(app.fetch, { defaults: { timeout: 30_000 } });
 * const server = Deno.serve({ port: 4000 }, handler);
 * Deno.addSignalListener("SIGTERM", () => handler.sockets.drain().then(() => server.shutdown()));
 * ```
 *
 * @throws TypeError for an option that does not exist
 */
export const attach = <Handler extends DenoHandler>(
  handler: Handler,
  options: AttachOptions = {},
): Attached<Handler> => {
  checkDenoHandler(handler);
  checkHostOptions(options);
  const host = new DenoHost(options);
  const guarded = guardFetch(
    handler as unknown as (request: Request, info: DenoServeInfo) => unknown,
    (request, info) => new DenoUpgrade(host, request, info),
  );
  return Object.assign(guarded as unknown as Handler, { sockets: host.attachment });
};

const unattached = new DenoHost();

/** The connections that were upgraded without {@link attach}. */
export const sockets: Attachment = unattached.attachment;

// Elsewhere this module is only looked at.
if ("Deno" in globalThis) {
  const { Deno } = globalThis as unknown as { readonly Deno: { serve: DenoServe } };
  Deno.serve = watchServe(Deno.serve);
  upgradeUnmarked(upgradesWithoutAttach((request, conn) => new DenoUpgrade(unattached, request, serveInfoOf(conn))));
}
