/** `websock-js/node`: hosts handlers on the servers of `node:http`, `node:https` and `node:http2`. */
import type { Server as HttpServer, IncomingMessage } from "node:http";
import type { Http2SecureServer, Http2Server, Http2ServerRequest } from "node:http2";
import type { Server as HttpsServer } from "node:https";
import { traceFastify } from "../frameworks/fastify-tracing.ts";
import { closeSessionsWith } from "./node/closing.ts";
import { attached, NodeHost } from "./node/host.ts";
import { interceptUpgrades } from "./node/http1.ts";
import { interceptConnects } from "./node/http2.ts";
import { OrdinaryRequest } from "./node/ordinary.ts";
import { guardRequests, type Interceptor } from "./node/requests.ts";
import { checkNodeServer } from "./shared/attach-arguments.ts";
import { type Attachment, checkHostOptions, type HostOptions } from "./shared/host.ts";

export type { DrainOptions } from "../session/group.ts";
export { capabilities } from "./node/host.ts";
export type { Attachment } from "./shared/host.ts";

/** Options of {@link attach}. */
export interface AttachOptions extends HostOptions {
  /**
   * Selects the upgrade requests for the app. The server's other `upgrade` listeners (those of Vite or socket.io, for
   * example; on HTTP/2 its `connect` listeners) receive only the requests for which it returns `false`. It must return
   * a boolean synchronously. If it throws, the error is reported and the request refused with 400. Default: all.
   */
  readonly only?: (request: IncomingMessage | Http2ServerRequest) => boolean;
}

/**
 * Passes upgrade requests to the server's `request` listeners like any other request, so that a route can {@link
 * upgrade} them. Call it once, before or after the listeners are added.
 *
 * ```ts
 * const server = http.createServer(app);
 * const sockets = attach(server);
 * for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => sockets.drain().then(() => server.close()));
 * ```
 *
 * When the server is closed, its WebSockets are closed with 1001.
 *
 * @throws TypeError for an unknown option, or if `server` is not a Node server (but an app of Express, Hono, …)
 * @throws Error if `attach` has been called for this server before
 */
export const attach = (
  server: HttpServer | HttpsServer | Http2Server | Http2SecureServer,
  options: AttachOptions = {},
): Attachment => {
  checkNodeServer(server);
  checkHostOptions(options, "only");
  if (attached.has(server)) throw new Error("this server is attached already");
  const host = new NodeHost(server, options.only, options);
  attached.add(server);
  const takers = new Map<unknown, Interceptor>([["upgrade", interceptUpgrades(host)]]);
  if ("updateSettings" in server) takers.set("connect", interceptConnects(host));
  guardRequests(server, (request, response) => new OrdinaryRequest(host, request, response), takers);
  closeSessionsWith(server, host.group);
  traceFastify(server);
  return host.attachment;
};
