/** `websock-js/ws`: hosts handlers on the servers and sockets of the package `ws`. */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { traceFastify } from "../frameworks/fastify-tracing.ts";
import { SessionGroup } from "../session/group.ts";
import { callbacksFor, type UpgradeArguments } from "../upgrade-arguments.ts";
import type { WebSock } from "../websock.ts";
import { attached } from "./node/adapter.ts";
import { closeWith } from "./node/closing.ts";
import { OrdinaryRequest } from "./node/ordinary.ts";
import { factsOf, guardRequests } from "./node/requests.ts";
import { isBun } from "./node/switching.ts";
import { captureContext } from "./shared/async-context.ts";
import { checkWebSocketServer } from "./shared/attach-arguments.ts";
import { connectionFacts } from "./shared/decision.ts";
import { type Attachment, checkHostOptions, Host, type HostOptions } from "./shared/host.ts";
import { nodeOctets } from "./shared/node-byte-ops.ts";
import { nodeDiagnostics } from "./shared/node-diagnostics.ts";
import { systemClock } from "./shared/system-clock.ts";
import { capabilities, WsTransport } from "./ws/transport.ts";
import { type HttpServer, OPEN, type WsServer, type WsSocket } from "./ws/types.ts";
import { runOn, TOO_LATE, WsAdapter } from "./ws/upgrade.ts";

export type { DrainOptions } from "../session/group.ts";
export type { Attachment, HostOptions } from "./shared/host.ts";
export { capabilities } from "./ws/transport.ts";
export type { WsServer, WsSocket } from "./ws/types.ts";

/**
 * Bun replaces the package `ws` by an implementation of its own, which writes its answer past the response (so that there
 * would be two of them) and tells neither what arrives nor what is unsent.
 *
 * @throws Error on Bun
 */
const refuseBun = (name: string): void => {
  if (!isBun) return;
  throw new Error(
    `${name} from "websock-js/ws" does not work on Bun, which replaces the package ws with its own implementation; ` +
      'use attach() from "websock-js/bun" with Bun.serve, or attach() from "websock-js/node" with node:http',
  );
};

/** Options of {@link attach}. */
export interface AttachOptions extends HostOptions {
  /** The HTTP server whose app the requests travel through. Default: the one that the WebSocketServer was made with. */
  readonly server?: HttpServer;
  /**
   * Which upgrade requests are ours. The others are the WebSocketServer's, which emits `connection` for them; with
   * `noServer`, they are left to the HTTP server's other `upgrade` listeners. Default: all.
   */
  readonly only?: (request: IncomingMessage) => boolean;
}

/**
 * Lets the upgrade requests of a WebSocketServer travel through the `request` listeners of its HTTP server like any other
 * request, where a route may `upgrade` them; the frames are the WebSocketServer's. Of those requests it emits no
 * `connection`, but its `verifyClient`, `headers` and `clients` are what they were.
 *
 * ```ts
 * const server = http.createServer(app);
 * const sockets = attach(new WebSocketServer({ server }));
 * ```
 *
 * @throws TypeError for an option that does not exist, or if there is no HTTP server
 * @throws Error if the HTTP server is attached already, or on Bun, which has no `ws` but a replacement of its own
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
      'attach() needs the HTTP server of the app: create the WebSocketServer with the option "server", or with ' +
        '"noServer" and pass the option "server" to attach()',
    );
  }
  if (attached.has(server)) throw new Error("attach() has already been called for this server");
  const adapter = new WsAdapter(sockets, server, only, options);
  attached.add(server);
  guardRequests(
    server,
    (request, response) => new OrdinaryRequest(adapter, request, response),
    new Map([["upgrade", adapter.listen()]]),
  );
  closeWith(server, adapter.group);
  closeWith(sockets, adapter.group);
  traceFastify(server);
  return adapter.attachment;
};

/** Runs handlers on sockets that a WebSocketServer has accepted. */
export interface Hosting extends Attachment {
  /** As the function {@link host}, for connections that belong together. */
  readonly host: <Arg, State, Info = never>(
    socket: WsSocket,
    request: IncomingMessage,
    handler: WebSock<Arg, State, Info>,
    ...rest: UpgradeArguments<NoInfer<Arg>>
  ) => void;
}

/**
 * What {@link host} does, with defaults and an `onError` of your own, and an `Attachment` for the connections: to be made
 * once for each server. Throws on Bun, as {@link attach} does.
 *
 * ```ts
 * const sockets = hosting({ onError: log });
 * webSocketServer.on("connection", (socket, request) => sockets.host(socket, request, Chat, "lobby"));
 * for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => sockets.drain());
 * ```
 */
export const hosting = (options: HostOptions = {}): Hosting => {
  refuseBun("hosting()");
  checkHostOptions(options);
  return makeHosting(options);
};

const makeHosting = (options: HostOptions): Hosting => {
  const ignores = [...capabilities.ignores, ...TOO_LATE];
  const host = new Host({ ...capabilities, ignores }, nodeOctets, nodeDiagnostics, options);
  const servedBy = groupsByServer(host.group);
  return Object.defineProperties(host.attachment as Hosting, {
    host: {
      enumerable: true,
      value: (socket: WsSocket, request: IncomingMessage, handler: object, arg?: unknown, given?: object): void => {
        refuseBun("host()");
        const resolved = host.resolve(given);
        const callbacks = callbacksFor(handler, arg, given);
        if (WsTransport.has(socket)) throw new Error("this socket already has a handler");
        // The client may have gone by now: then `init` never runs.
        if (socket.readyState !== OPEN) return;
        const { socket: stream } = request;
        const served = servedBy(stream);
        if (host.group.closing || served?.closing) {
          socket.close(1001);
          return;
        }
        const agreed = [socket.protocol || undefined, socket.extensions || undefined] as const;
        const facts = connectionFacts(factsOf(request), stream, ...agreed);
        const session = runOn(host, socket, stream, facts, callbacks, arg, resolved, captureContext());
        served?.add(session);
        stream.once("close", () => served?.delete(session));
      },
    },
  });
};

/** The connections of each server, which end with it: those of others stay. */
const groupsByServer = (all: SessionGroup): ((stream: Socket) => SessionGroup | undefined) => {
  const groups = new WeakMap<object, SessionGroup>();
  return (stream) => {
    // Node keeps there the server that has accepted a socket.
    const { server } = stream as { readonly server?: HttpServer };
    if (server === undefined) return undefined;
    const known = groups.get(server);
    if (known !== undefined) return known;
    const group = new SessionGroup(systemClock);
    groups.set(server, group);
    closeWith(server, {
      get closing() {
        return all.closing || group.closing;
      },
      set closing(closing) {
        group.closing = closing;
      },
      close: () => group.close(),
      dismiss: () => group.dismiss(),
    });
    return group;
  };
};

const shared = makeHosting({});

/**
 * Runs `handler` on a socket that a WebSocketServer has accepted, and gives `arg` to its `init`. To be called as soon as
 * the socket is there: what it has received before is lost. What belongs to the handshake (`headers`, `subprotocols`,
 * `origins`) was the WebSocketServer's to decide.
 *
 * ```ts
 * webSocketServer.on("connection", (socket, request) => host(socket, request, Chat, "lobby"));
 * ```
 *
 * @throws TypeError for an option or a callback that does not exist
 * @throws Error if the socket has a handler already, or on Bun, as {@link attach} does
 */
export const host: Hosting["host"] = shared.host;

/** The connections of {@link host}. */
export const hosted: Attachment = shared;
