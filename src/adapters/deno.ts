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

/** What {@link attach} returns: a handler for `Deno.serve`, with `sockets` to control its connections. */
export type Attached<Handler> = Handler & {
  /** Counts, closes and drains the connections. */
  readonly sockets: Attachment;
};

/** A handler of `Deno.serve`, with any parameters after the request. */
export type DenoHandler = (request: Request, ...more: never) => unknown;

/**
 * Wraps a handler of `Deno.serve`. Headers that middleware sets after the route are sent with the answer, a route that
 * throws after `upgrade` cancels it, and an uncaught `UpgradeError` is answered. `upgrade` also works without `attach`,
 * but then the upgrade takes place immediately, and Deno stops the server if the handler returns another response or
 * throws.
 *
 * ```ts
 * const handler = attach(app.fetch, { defaults: { timeout: 30_000 } });
 * const server = Deno.serve({ port: 4000 }, handler);
 * Deno.addSignalListener("SIGTERM", () => handler.sockets.drain().then(() => server.shutdown()));
 * ```
 *
 * @throws TypeError for an unknown option
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

// Importing this module on another host has no effect.
if ("Deno" in globalThis) {
  const { Deno } = globalThis as unknown as { readonly Deno: { serve: DenoServe } };
  Deno.serve = watchServe(Deno.serve);
  upgradeUnmarked(upgradesWithoutAttach((request, conn) => new DenoUpgrade(unattached, request, serveInfoOf(conn))));
}
