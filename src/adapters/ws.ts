/** `websock-js/ws`: hosts handlers on the servers and sockets of the package `ws`. */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
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
import { connectionFacts } from "./shared/decision.ts";
import { type Attachment, checkHostOptions, Host, type HostOptions } from "./shared/host.ts";
import { nodeByteOps } from "./shared/node-byte-ops.ts";
import { nodeDiagnostics } from "./shared/node-diagnostics.ts";
import { systemClock } from "./shared/system-clock.ts";
import { capabilities, WsTransport } from "./ws/transport.ts";
import { type HttpServer, OPEN, type WsServer, type WsSocket } from "./ws/types.ts";
import { HANDSHAKE_OPTIONS, runOn, WsHost } from "./ws/upgrade.ts";

export type { DrainOptions } from "../session/group.ts";
export type { Attachment, HostOptions } from "./shared/host.ts";
export { capabilities } from "./ws/transport.ts";
export type { WsServer, WsSocket } from "./ws/types.ts";

/**
 * Bun replaces the package `ws` with its own implementation, which writes the 101 response directly to the socket, past
 * the ServerResponse, and does not expose incoming data or the number of unsent bytes.
 *
 * @throws Error on Bun
 */
const refuseBun = (name: string): void => {
  if (!isBun) return;
  throw new Error(
    `${name} of "websock-js/ws" does not work on Bun, which replaces the package ws by an implementation of its own: ` +
      'use attach() of "websock-js/bun" with Bun.serve, or attach() of "websock-js/node" with node:http',
  );
};

/** Options of {@link attach}. */
export interface AttachOptions extends HostOptions {
  /** The HTTP server of the app. Default: the server that was passed to the WebSocketServer. */
  readonly server?: HttpServer;
  /**
   * Selects the upgrade requests for the app. For all others the WebSocketServer emits `connection`; with `noServer`,
   * they go to the HTTP server's other `upgrade` listeners. Default: all.
   */
  readonly only?: (request: IncomingMessage) => boolean;
}

/**
 * Passes the upgrade requests of a WebSocketServer to the `request` listeners of its HTTP server like any other
 * request, so that a route can `upgrade` them. The WebSocketServer still processes the frames, and its `verifyClient`,
 * `headers` and `clients` work as before, but it emits no `connection` for these requests.
 *
 * ```ts
 * const server = http.createServer(app);
 * const sockets = attach(new WebSocketServer({ server }));
 * ```
 *
 * @throws TypeError for an unknown option, or if there is no HTTP server
 * @throws Error if `attach` has been called for the HTTP server before, or on Bun, which replaces `ws`
 */
export const attach = (sockets: WsServer, options: AttachOptions = {}): Attachment => {
  checkWebSocketServer(sockets);
  refuseBun("attach()");
  checkHostOptions(options, "server", "only");
  const { server: given, only } = options;
  const own = (sockets.options.server ?? undefined) as HttpServer | undefined;
  const server = given ?? own;
  if (server === undefined || (own !== undefined && own !== server)) {
    throw new TypeError(
      'the HTTP server with the app is missing: make the WebSocketServer with the option "server", or with "noServer" ' +
        'and give "server" to attach()',
    );
  }
  if (attached.has(server)) throw new Error("this server is attached already");
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

/** Runs handlers on sockets that a WebSocketServer has accepted. */
export interface Hosting extends Attachment {
  /** Like the function {@link host}, for the connections of this group. */
  readonly host: <Arg, State, Info = never>(
    socket: WsSocket,
    request: IncomingMessage,
    handler: WebSock<Arg, State, Info>,
    ...rest: UpgradeArguments<NoInfer<Arg>>
  ) => void;
}

/**
 * Like {@link host}, with your own `defaults` and `onError`, and an `Attachment` for the connections. Call it once for
 * each server.
 *
 * ```ts
 * const sockets = hosting({ onError: log });
 * webSocketServer.on("connection", (socket, request) => sockets.host(socket, request, Chat, "lobby"));
 * for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => sockets.drain());
 * ```
 *
 * @throws TypeError for an unknown option
 * @throws Error on Bun, which replaces `ws`
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
        if (WsTransport.has(socket)) throw new Error("this socket has a handler already");
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
 * Runs `handler` on a socket that a WebSocketServer has accepted, and passes `arg` to its `init`. Call it synchronously
 * in the `connection` listener: messages that arrive before are lost. The options of the handshake (`headers`,
 * `subprotocols`, `origins`) have no effect, because the WebSocketServer has already answered it.
 *
 * ```ts
 * webSocketServer.on("connection", (socket, request) => host(socket, request, Chat, "lobby"));
 * ```
 *
 * @throws TypeError for an unknown option or callback
 * @throws Error if the socket already has a handler, or on Bun, which replaces `ws`
 */
export const host: Hosting["host"] = shared.host;

/** The connections of {@link host}. */
export const hosted: Attachment = shared;
