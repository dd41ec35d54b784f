/** `websock-js/node`: WebSockets on the servers of `node:http`, `node:https` and `node:http2`. */

import type { Server as HttpServer, IncomingMessage } from "node:http";
import type { Http2SecureServer, Http2Server, Http2ServerRequest } from "node:http2";
import type { Server as HttpsServer } from "node:https";
import { codedError } from "../error-codes.ts";
import { traceFastify } from "../frameworks/fastify-tracing.ts";
import { closeSessionsWith } from "./node/closing.ts";
import { attached, NodeHost } from "./node/host.ts";
import { interceptUpgrades } from "./node/http1.ts";
import { interceptConnects } from "./node/http2.ts";
import { OrdinaryRequest } from "./node/ordinary.ts";
import { guardRequests, type Interceptor } from "./node/requests.ts";
import { checkNodeServer } from "./shared/attach-arguments.ts";
import type { Attachment, HostOptions } from "./shared/attachment.ts";
import { checkHostOptions } from "./shared/host.ts";

export { UpgradeError } from "../errors.ts";
export type { DrainOptions } from "../session/drain-options.ts";
export { upgrade } from "../upgrade.ts";
export { capabilities } from "./node/capabilities.ts";
export type { Attachment } from "./shared/attachment.ts";

/** Options of {@link attach}. */
export interface AttachOptions extends HostOptions {
  /**
   * Selects the upgrade requests that go to the app. The other `upgrade` listeners of the server (those of Vite or
   * socket.io, for example), and on HTTP/2 its `connect` listeners, receive all other requests, and none of the
   * selected ones. The function must return `true` or `false` synchronously. If it throws or returns a promise, the
   * error is reported to `onError` and the request is refused with 400. Default: all upgrade requests go to the app.
   *
   * ```ts
   * attach(server, { only: ({ url = "" }) => url === "/socket" || url.startsWith("/socket?") })
   * ```
   */
  readonly only?: (request: IncomingMessage | Http2ServerRequest) => boolean;
}

/**
 * Passes the upgrade requests of a server to its `request` listeners, like any other request, so that a route can
 * {@link upgrade} them. Call it once for each server, before or after the listeners are added.
 *
 * ```ts
 * const server = http.createServer(app);
 * const sockets = attach(server);
 * for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => sockets.drain().then(() => server.close()));
 * ```
 *
 * Closing the server closes its WebSockets with 1001.
 *
 * @param server a server of `node:http`, `node:https` or `node:http2`; on HTTP/2, WebSockets use the extended CONNECT
 * of RFC 8441
 * @param options the options of all connections, and error handling
 * @returns an object that counts, closes and drains the connections
 * @throws TypeError for an unknown option, and for anything but a server, such as an Express or Hono app
 * @throws Error if `attach` has already been called for the server
 */
export const attach = (
  server: HttpServer | HttpsServer | Http2Server | Http2SecureServer,
  options: AttachOptions = {},
): Attachment => {
  checkNodeServer(server);
  checkHostOptions(options, "only");
  if (attached.has(server))
    throw codedError("WEBSOCK_ALREADY_ATTACHED", "attach() has already been called for this server");
  const host = new NodeHost(server, options.only, options);
  attached.add(server);
  const takers = new Map<unknown, Interceptor>([["upgrade", interceptUpgrades(host)]]);
  if ("updateSettings" in server) takers.set("connect", interceptConnects(host));
  guardRequests(server, (request, response) => new OrdinaryRequest(host, request, response), takers);
  closeSessionsWith(server, host.group);
  traceFastify(server);
  return host.attachment;
};
