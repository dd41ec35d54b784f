/** `websock-js/node`: hosts handlers on the servers of `node:http`, `node:https` and `node:http2`. */
import type { Server as HttpServer, IncomingMessage } from "node:http";
import type { Http2SecureServer, Http2Server, Http2ServerRequest } from "node:http2";
import type { Server as HttpsServer } from "node:https";
import { traceFastify } from "../frameworks/fastify-tracing.ts";
import { attached, NodeAdapter } from "./node/adapter.ts";
import { closeWith } from "./node/closing.ts";
import { takeUpgrades } from "./node/http1.ts";
import { takeConnects } from "./node/http2.ts";
import { OrdinaryRequest } from "./node/ordinary.ts";
import { guardRequests, type Taker } from "./node/requests.ts";
import { checkNodeServer } from "./shared/attach-arguments.ts";
import { type Attachment, checkHostOptions, type HostOptions } from "./shared/host.ts";

export type { DrainOptions } from "../session/group.ts";
export { capabilities } from "./node/adapter.ts";
export type { Attachment } from "./shared/host.ts";

/** Options of {@link attach}. */
export interface AttachOptions extends HostOptions {
  /**
   * Which upgrade requests are for the app. Those go to no other `upgrade` listener of the server; all others go only to
   * these (Vite's, socket.io's), or to `connect` listeners on HTTP/2. It must return `true` or `false` synchronously. What it
   * throws is reported, and the request is refused with 400. Default: all.
   */
  readonly only?: (request: IncomingMessage | Http2ServerRequest) => boolean;
}

/**
 * Lets upgrade requests travel through the server's `request` listeners like any other request, where a route may
 * {@link upgrade} them. Call it once, before or after the listeners are added.
 *
 * ```ts
 * const server = http.createServer(app);
 * const sockets = attach(server);
 * for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => sockets.drain().then(() => server.close()));
 * ```
 *
 * Closing the server closes its WebSockets, with 1001.
 *
 * @throws TypeError for an option that does not exist, and for what is no server of Node (an app of Express, Hono, …)
 * @throws Error if the server is attached already
 */
export const attach = (
  server: HttpServer | HttpsServer | Http2Server | Http2SecureServer,
  options: AttachOptions = {},
): Attachment => {
  checkNodeServer(server);
  checkHostOptions(options, "only");
  if (attached.has(server)) throw new Error("attach() has already been called for this server");
  const adapter = new NodeAdapter(server, options.only, options);
  attached.add(server);
  const takers = new Map<unknown, Taker>([["upgrade", takeUpgrades(adapter)]]);
  if ("updateSettings" in server) takers.set("connect", takeConnects(adapter));
  guardRequests(server, (request, response) => new OrdinaryRequest(adapter, request, response), takers);
  closeWith(server, adapter.group);
  traceFastify(server);
  return adapter.attachment;
};
