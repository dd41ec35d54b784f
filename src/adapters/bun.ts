/** `websock-js/bun`: WebSockets on `Bun.serve`. */

import { codedTypeError } from "../error-codes.ts";
import { type HostedSocket, TRANSPORT } from "./bun/transport.ts";
import type { BunFetch, BunServeOptions, BunServer, BunWebSocketHandlers } from "./bun/types.ts";
import { BunHost, BunUpgrade } from "./bun/upgrade.ts";
import { guardFetch } from "./fetch/upgrade.ts";
import { isInRootContext } from "./shared/async-context.ts";
import { checkBunOptions } from "./shared/attach-arguments.ts";
import type { Attachment, HostOptions } from "./shared/attachment.ts";
import { checkHostOptions } from "./shared/host.ts";

export { UpgradeError } from "../errors.ts";
export type { DrainOptions } from "../session/drain-options.ts";
export { upgrade } from "../upgrade.ts";
export { capabilities } from "./bun/capabilities.ts";
export type { BunServeOptions, BunWebSocketHandlers } from "./bun/types.ts";
export type { Attachment } from "./shared/attachment.ts";

/** Options of {@link attach}. */
export type AttachOptions = HostOptions;

/**
 * What {@link attach} returns: options for `Bun.serve`, with an object that controls the connections.
 *
 * @typeParam Options the type of the options that were passed to `attach`
 */
export type Attached<Options> = Omit<Options, "websocket"> & {
  /** The WebSocket handlers for `Bun.serve`. */
  readonly websocket: BunWebSocketHandlers;
  /** Counts, closes and drains the connections. */
  readonly sockets: Attachment;
};

/** Larger than any message. Bun accepts integers only, not `Infinity`. */
const UNLIMITED = 2 ** 40;

/**
 * Adds WebSockets to the options of `Bun.serve`: `fetch` and the functions in `routes` can then {@link upgrade}
 * requests.
 *
 * ```ts
 * const app = attach({ port: 4000, fetch: hono.fetch });
 * const server = Bun.serve(app);
 * process.once("SIGTERM", () => app.sockets.drain().then(() => server.stop()));
 * ```
 *
 * The handshake response is sent when the app has returned its response, and has the headers of that response. Bun has
 * one limit of the message size for all connections, so `maxMessageSize` of `upgrade` cannot exceed that of `defaults`.
 *
 * @param options the options of `Bun.serve`, without `websocket`
 * @param hostOptions the options of all connections, and error handling
 * @returns options for `Bun.serve`; their property `sockets` counts, closes and drains the connections
 * @throws TypeError for an unknown option, for anything but options of `Bun.serve`, and if `websocket` is already set
 */
export const attach = <Options extends BunServeOptions>(
  options: Options,
  hostOptions: AttachOptions = {},
): Attached<Options> => {
  checkBunOptions(options);
  checkHostOptions(hostOptions);
  if (options.websocket !== undefined)
    throw codedTypeError("WEBSOCK_INVALID_OPTION", 'option "websocket" must not be set: attach() adds it');
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

/** Guards the handler of a path, or its handlers by method. Static responses are left as they are. */
const guardRoutes = (routes: object, guard: (handle: BunFetch) => BunFetch): object =>
  Object.fromEntries(
    Object.entries(routes).map(([path, route]) => {
      if (typeof route === "function") return [path, guard(route as BunFetch)];
      const isByMethod = route !== null && Object.getPrototypeOf(route) === Object.prototype;
      return [path, isByMethod ? guardRoutes(route as object, guard) : route];
    }),
  );

const handlersOf = ({ defaults }: BunHost): BunWebSocketHandlers => {
  /** Bun calls the handlers in the context of its call of `serve` or `reload`. Decided with the first message. */
  let inRootContext: boolean | undefined;
  return {
    // Messages are compressed only if the options of the connection say so.
    perMessageDeflate: true,
    // The session measures idle time and sends heartbeats.
    idleTimeout: 0,
    sendPings: false,
    maxPayloadLength: Math.min(defaults.maxMessageSize, UNLIMITED),
    // The session enforces maxBuffered. Above its own limit Bun would silently drop messages.
    backpressureLimit: UNLIMITED,
    closeOnBackpressureLimit: false,
    open: (socket: HostedSocket) => socket.data.onOpen(socket),
    message: (socket: HostedSocket, message: string | Uint8Array<ArrayBuffer>) =>
      (socket[TRANSPORT] ?? socket.data).onMessage(message, (inRootContext ??= isInRootContext())),
    ping: (socket: HostedSocket, data: Uint8Array<ArrayBuffer>) => socket.data.onControl("ping", data),
    pong: (socket: HostedSocket, data: Uint8Array<ArrayBuffer>) => socket.data.onControl("pong", data),
    drain: (socket: HostedSocket) => socket.data.onDrain(),
    close: (socket: HostedSocket, code: number, reason: string) => socket.data.onClose(code, reason),
  };
};
