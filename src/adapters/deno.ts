/** `websock-js/deno`: WebSockets on `Deno.serve`. */
import { serveInfoOf } from "../frameworks/hono.ts";
import { upgradeUnmarked } from "../upgrade.ts";
import { watchServe } from "./deno/serve.ts";
import type { DenoServe, DenoServeInfo } from "./deno/types.ts";
import { DenoHost, DenoUpgrade } from "./deno/upgrade.ts";
import { guardFetch, upgradesWithoutAttach } from "./fetch/upgrade.ts";
import { checkDenoHandler } from "./shared/attach-arguments.ts";
import type { Attachment, HostOptions } from "./shared/attachment.ts";
import { checkHostOptions } from "./shared/host.ts";

export { UpgradeError } from "../errors.ts";
export type { DrainOptions } from "../session/drain-options.ts";
export { upgrade } from "../upgrade.ts";
export { capabilities } from "./deno/capabilities.ts";
export type { DenoServeInfo } from "./deno/types.ts";
export type { Attachment } from "./shared/attachment.ts";

/** Options of {@link attach}. */
export type AttachOptions = HostOptions;

/**
 * What {@link attach} returns: a handler for `Deno.serve`, with an object that controls its connections.
 *
 * @typeParam Handler the type of the handler that was passed to `attach`
 */
export type Attached<Handler> = Handler & {
  /** Counts, closes and drains the connections. */
  readonly sockets: Attachment;
};

/** A handler of `Deno.serve`. Its parameters after the request may have any type. */
export type DenoHandler = (request: Request, ...more: never) => unknown;

/**
 * Wraps a handler of `Deno.serve`. `upgrade` works without it, but then sends the handshake response immediately, and
 * Deno stops a server whose handler afterwards throws or returns another response. With it,
 *
 * - the handshake response has the headers that middleware sets after the route
 * - a route that throws after `upgrade` cancels the upgrade
 * - an `UpgradeError` that nothing catches is answered
 *
 * ```ts
 * const handler = attach(app.fetch, { defaults: { timeout: 30_000 } });
 * const server = Deno.serve({ port: 4000 }, handler);
 * Deno.addSignalListener("SIGTERM", () => handler.sockets.drain().then(() => server.shutdown()));
 * ```
 *
 * @param handler the handler that would be passed to `Deno.serve`, such as `app.fetch`
 * @param options the options of all connections, and error handling
 * @returns the handler for `Deno.serve`; its property `sockets` counts, closes and drains the connections
 * @throws TypeError for an unknown option, and if `handler` is not a function
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

/** Counts, closes and drains the connections that were upgraded without {@link attach}. */
export const sockets: Attachment = unattached.attachment;

// Importing this module on another host has no effect.
if ("Deno" in globalThis) {
  const { Deno } = globalThis as unknown as { readonly Deno: { serve: DenoServe } };
  Deno.serve = watchServe(Deno.serve);
  upgradeUnmarked(upgradesWithoutAttach((request, conn) => new DenoUpgrade(unattached, request, serveInfoOf(conn))));
}
