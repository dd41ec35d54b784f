/** `websock-js/ws`: runs handlers on the servers and sockets of the package `ws`. */

import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { codedError, codedTypeError } from "../error-codes.ts";
import { traceFastify } from "../frameworks/fastify-tracing.ts";
import { SessionGroup } from "../session/group.ts";
import { callbacksFor, type UpgradeArguments } from "../upgrade-arguments.ts";
import type { WebSock } from "../websock.ts";
import { closeSessionsWith } from "./node/closing.ts";
import { attached } from "./node/host.ts";
import { OrdinaryRequest } from "./node/ordinary.ts";
import { guardRequests, upgradeRequestOf } from "./node/requests.ts";
import { isBun } from "./node/runtime.ts";
import { captureContext } from "./shared/async-context.ts";
import { checkWebSocketServer } from "./shared/attach-arguments.ts";
import type { Attachment, HostOptions } from "./shared/attachment.ts";
import { connectionFacts } from "./shared/decision.ts";
import { checkHostOptions, Host } from "./shared/host.ts";
import { nodeByteOps } from "./shared/node-byte-ops.ts";
import { nodeDiagnostics } from "./shared/node-diagnostics.ts";
import { systemClock } from "./shared/system-clock.ts";
import { capabilities } from "./ws/capabilities.ts";
import { WsTransport } from "./ws/transport.ts";
import { type HttpServer, OPEN, type WsServer, type WsSocket } from "./ws/types.ts";
import { HANDSHAKE_OPTIONS, runOn, WsHost } from "./ws/upgrade.ts";

export { UpgradeError } from "../errors.ts";
export type { DrainOptions } from "../session/drain-options.ts";
export { upgrade } from "../upgrade.ts";
export type { Attachment, HostOptions } from "./shared/attachment.ts";
export { capabilities } from "./ws/capabilities.ts";
export type { WsServer, WsSocket } from "./ws/types.ts";

/**
 * Bun replaces the package `ws` with its own implementation, which bypasses the HTTP response (so that there would be
 * two responses) and exposes neither the received bytes nor the number of unsent bytes.
 *
 * @throws Error on Bun
 */
const refuseBun = (name: string): void => {
  if (!isBun) return;
  throw codedError(
    "WEBSOCK_NOT_SUPPORTED",
    `${name} from "websock-js/ws" does not work on Bun, which replaces the package ws with its own implementation; ` +
      'use attach() from "websock-js/bun" with Bun.serve, or attach() from "websock-js/node" with node:http',
  );
};

/** Options of {@link attach}. */
export interface AttachOptions extends HostOptions {
  /**
   * The HTTP server of the app. Required for a WebSocketServer that was created with `noServer`. Default: the server
   * that the WebSocketServer was created with.
   */
  readonly server?: HttpServer;
  /**
   * Selects the upgrade requests that go to the app. For all others the WebSocketServer emits `connection` as usual;
   * with `noServer`, they go to the other `upgrade` listeners of the HTTP server. The function must return `true` or
   * `false` synchronously. If it throws or returns a promise, the error is reported to `onError` and the request is
   * refused with
   * 400. Default: all upgrade requests go to the app.
   */
  readonly only?: (request: IncomingMessage) => boolean;
}

/**
 * Passes the upgrade requests of a WebSocketServer to the `request` listeners of its HTTP server, like any other
 * request, so that a route can `upgrade` them. The package `ws` performs the handshake and carries the frames. The
 * WebSocketServer emits no `connection` for these requests, but `verifyClient`, `headers` and `clients` work as usual.
 *
 * ```ts
 * const server = http.createServer(app);
 * const sockets = attach(new WebSocketServer({ server }));
 * ```
 *
 * @param sockets a WebSocketServer
 * @param options the HTTP server, the options of all connections, and error handling
 * @returns an object that counts, closes and drains the connections
 * @throws TypeError for an unknown option, for anything but a WebSocketServer, or if the HTTP server is missing
 * @throws Error if `attach` has already been called for the HTTP server, and on Bun, which replaces the package `ws`
 * with its own implementation
 */
export const attach = (sockets: WsServer, options: AttachOptions = {}): Attachment => {
  checkWebSocketServer(sockets);
  refuseBun("attach()");
  checkHostOptions(options, "server", "only");
  const { server: given, only } = options;
  const own = (sockets.options.server ?? undefined) as HttpServer | undefined;
  const server = given ?? own;
  if (server === undefined || (own !== undefined && own !== server)) {
    throw codedTypeError(
      "WEBSOCK_WRONG_SERVER",
      'attach() needs the HTTP server of the app: create the WebSocketServer with the option "server", or with ' +
        '"noServer" and pass the option "server" to attach()',
    );
  }
  if (attached.has(server))
    throw codedError("WEBSOCK_ALREADY_ATTACHED", "attach() has already been called for this server");
  const wsHost = new WsHost(sockets, server, only, options);
  attached.add(server);
  guardRequests(
    server,
    (request, response) => new OrdinaryRequest(wsHost, request, response),
    new Map([["upgrade", wsHost.listen()]]),
  );
  closeSessionsWith(server, wsHost.group);
  closeSessionsWith(sockets, wsHost.group);
  traceFastify(server);
  return wsHost.attachment;
};

/** What {@link hosting} returns: runs handlers on sockets, and counts, closes and drains the connections. */
export interface Hosting extends Attachment {
  /**
   * Same as the function {@link host}, for the connections of this object.
   *
   * @param socket a socket that a WebSocketServer has accepted
   * @param request its upgrade request
   * @param handler the handler
   * @param rest the argument of `init`, and the options
   * @throws TypeError for an invalid handler or an unknown or invalid option
   * @throws Error if the socket already has a handler
   */
  readonly host: <Arg, State, Info = never>(
    socket: WsSocket,
    request: IncomingMessage,
    handler: WebSock<Arg, State, Info>,
    ...rest: UpgradeArguments<NoInfer<Arg>>
  ) => void;
}

/**
 * Creates a {@link host} function with its own defaults and `onError`, and an `Attachment` for its connections. Call it
 * once for each server.
 *
 * ```ts
 * const sockets = hosting({ onError: log });
 * webSocketServer.on("connection", (socket, request) => sockets.host(socket, request, Chat, "lobby"));
 * for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => sockets.drain());
 * ```
 *
 * @param options the options of all connections, and error handling
 * @throws TypeError for an unknown option
 * @throws Error on Bun, which replaces the package `ws` with its own implementation
 */
export const hosting = (options: HostOptions = {}): Hosting => {
  refuseBun("hosting()");
  checkHostOptions(options);
  return createHosting(options);
};

const createHosting = (options: HostOptions): Hosting => {
  const ignores = [...capabilities.ignores, ...HANDSHAKE_OPTIONS];
  const host = new Host({ ...capabilities, ignores }, nodeByteOps, nodeDiagnostics, options);
  const groupOf = serverGroups(host.group);
  return Object.defineProperties(host.attachment as Hosting, {
    host: {
      enumerable: true,
      value: (socket: WsSocket, request: IncomingMessage, handler: object, arg?: unknown, given?: object): void => {
        refuseBun("host()");
        const resolved = host.resolve(given);
        const callbacks = callbacksFor(handler, arg, given);
        if (WsTransport.has(socket)) throw codedError("WEBSOCK_ALREADY_ATTACHED", "this socket already has a handler");
        // If the client has disconnected by now, `init` never runs.
        if (socket.readyState !== OPEN) return;
        const { socket: stream } = request;
        const served = groupOf(stream);
        if (host.group.closing || served?.closing) {
          socket.close(1001);
          return;
        }
        const agreed = [socket.protocol || undefined, socket.extensions || undefined] as const;
        const facts = connectionFacts(upgradeRequestOf(request), stream, ...agreed);
        const session = runOn(host, socket, stream, facts, callbacks, arg, resolved, captureContext());
        served?.add(session);
        stream.once("close", () => served?.delete(session));
      },
    },
  });
};

/** Groups connections by server, so that closing one server does not close the connections of others. */
const serverGroups = (all: SessionGroup): ((stream: Socket) => SessionGroup | undefined) => {
  const groups = new WeakMap<object, SessionGroup>();
  return (stream) => {
    // Node sets this property to the server that accepted the socket.
    const { server } = stream as { readonly server?: HttpServer };
    if (server === undefined) return undefined;
    const known = groups.get(server);
    if (known !== undefined) return known;
    const group = new SessionGroup(systemClock);
    groups.set(server, group);
    closeSessionsWith(server, {
      get closing() {
        return all.closing || group.closing;
      },
      set closing(closing) {
        group.closing = closing;
      },
      close: () => group.close(),
      closeAll: () => group.closeAll(),
    });
    return group;
  };
};

const shared = createHosting({});

/**
 * Runs `handler` on a socket that a WebSocketServer has accepted. Call it synchronously in the `connection` listener:
 * messages that arrive earlier are lost. The WebSocketServer has already performed the handshake, so the options
 * `headers`, `subprotocols`, `origins` and `earlyValidateUpgrade` have no effect.
 *
 * ```ts
 * webSocketServer.on("connection", (socket, request) => host(socket, request, Chat, "lobby"));
 * ```
 *
 * If the client has already disconnected, `host` returns normally and `init` never runs.
 *
 * @param socket the `WebSocket` of the event `connection`
 * @param request the upgrade request of the event `connection`
 * @param handler a module, an object or a class instance with the callbacks of `WebSock`
 * @param rest `arg` for `init` and `options` for this connection, as in `upgrade`
 * @throws TypeError for an invalid handler or an unknown or invalid option
 * @throws Error if the socket already has a handler, and on Bun, which replaces the package `ws` with its own
 * implementation
 */
export const host: Hosting["host"] = shared.host;

/** Counts, closes and drains the connections of {@link host}. */
export const hosted: Attachment = shared;
