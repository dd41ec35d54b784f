/** `websock-js/bun`: hosts handlers on `Bun.serve`. */

import { type HostedSocket, TRANSPORT } from "./bun/transport.ts";
import type { BunFetch, BunServeOptions, BunServer, BunWebSocketHandlers } from "./bun/types.ts";
import { BunHost, BunUpgrade } from "./bun/upgrade.ts";
import { guardFetch } from "./fetch/upgrade.ts";
import { checkBunOptions } from "./shared/attach-arguments.ts";
import { type Attachment, checkHostOptions, type HostOptions } from "./shared/host.ts";

export type { DrainOptions } from "../session/group.ts";
export { upgrade } from "../upgrade.ts";
export { capabilities } from "./bun/transport.ts";
export type { BunServeOptions, BunWebSocketHandlers } from "./bun/types.ts";
export type { Attachment } from "./shared/host.ts";

/** Options of {@link attach}. */
export type AttachOptions = HostOptions;

/** What {@link attach} returns: options for `Bun.serve`, which also carry the control of their connections. */
export type Attached<Options> = Omit<Options, "websocket"> & {
  readonly websocket: BunWebSocketHandlers;
  /** Counts, closes and drains the connections. */
  readonly sockets: Attachment;
};

/** No message can be as large; Bun takes whole numbers only. */
const UNLIMITED = 2 ** 40;

/**
 * Takes the options of `Bun.serve`, and returns them with handlers of WebSockets: in `fetch` and in the functions of
 * `routes`, a request may be {@link upgrade}d.
 *
 * ```ts
 * const app = attach({ port: 4000, fetch: hono.fetch });
 * const server = Bun.serve(app);
 * process.once("SIGTERM", () => app.sockets.drain().then(() => server.stop()));
 * ```
 *
 * The upgrade is performed when the app has returned its response, whose headers go into the answer. `defaults` also say
 * how large a message may be at all: Bun has one limit for every connection.
 *
 * @throws TypeError for an option that does not exist, or if there are handlers of WebSockets already
 */
export const attach = <Options extends BunServeOptions>(
  options: Options,
  hostOptions: AttachOptions = {},
): Attached<Options> => {
  checkBunOptions(options);
  checkHostOptions(hostOptions);
  if (options.websocket !== undefined) throw new TypeError('option "websocket" must not be set: attach() adds it');
  const host = new BunHost(hostOptions);
  const guard = (handle: BunFetch): BunFetch =>
    guardFetch(
      handle as (request: Request, server: BunServer) => unknown,
      (request, server) => new BunUpgrade(host, request, server),
    );
  const { fetch, routes } = options;
  return {
    ...options,
    ...(fetch && { fetch: guard(fetch) }),
    ...(routes && { routes: guardRoutes(routes, guard) }),
    websocket: handlersOf(host),
    sockets: host.attachment,
  };
};

/** Guards the handlers of a path, and those of its methods; what is served as it is stays so. */
const guardRoutes = (routes: object, guard: (handle: BunFetch) => BunFetch): object =>
  Object.fromEntries(
    Object.entries(routes).map(([path, route]) => {
      if (typeof route === "function") return [path, guard(route as BunFetch)];
      const isByMethod = route !== null && Object.getPrototypeOf(route) === Object.prototype;
      return [path, isByMethod ? guardRoutes(route as object, guard) : route];
    }),
  );

const handlersOf = ({ defaults }: BunHost): BunWebSocketHandlers => ({
  // Agreed on only where the connection's own options say so.
  perMessageDeflate: true,
  // The session watches the time.
  idleTimeout: 0,
  sendPings: false,
  maxPayloadLength: Math.min(defaults.maxMessageSize, UNLIMITED),
  // The session holds to maxBuffered; what Bun drops would be lost in silence.
  backpressureLimit: UNLIMITED,
  closeOnBackpressureLimit: false,
  open: (socket: HostedSocket) => socket.data.onOpen(socket),
  message: (socket: HostedSocket, message: string | Uint8Array<ArrayBuffer>) =>
    (socket[TRANSPORT] ?? socket.data).onMessage(message),
  ping: (socket: HostedSocket, data: Uint8Array<ArrayBuffer>) => socket.data.onControl("ping", data),
  pong: (socket: HostedSocket, data: Uint8Array<ArrayBuffer>) => socket.data.onControl("pong", data),
  drain: (socket: HostedSocket) => socket.data.onDrain(),
  close: (socket: HostedSocket, code: number, reason: string) => socket.data.onClose(code, reason),
});
