/** Upgrade requests that pass through the app and become WebSockets of `ws`. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type Duplex, Writable } from "node:stream";
import type { WebSockOptions } from "../../options.ts";
import type { AsyncContext } from "../../session/async-context.ts";
import type { Callbacks } from "../../session/handler.ts";
import type { ConnectionFacts } from "../../session/self.ts";
import type { Session } from "../../session/session.ts";
import { NodeHost } from "../node/host.ts";
import { Http1Upgrade, interceptUpgrades } from "../node/http1.ts";
import type { Interceptor } from "../node/requests.ts";
import { writeSwitchingHead } from "../node/switching.ts";
import { nextTick } from "../node/timers.ts";
import type { HostOptions } from "../shared/attachment.ts";
import { connectionFacts, type Decision } from "../shared/decision.ts";
import type { Host } from "../shared/host.ts";
import { capabilities } from "./capabilities.ts";
import { WsTransport } from "./transport.ts";
import type { HttpServer, WsServer, WsSocket } from "./types.ts";

/** The arguments for the answer of `ws` to one upgrade request. */
interface Handshake {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  /** Additional headers of the answer. */
  readonly headers: readonly string[];
  readonly subprotocol: string | undefined;
  readonly compress: boolean;
}

type Only = ((request: IncomingMessage) => boolean) | undefined;

export class WsHost extends NodeHost {
  override readonly takesAllUpgrades: boolean;
  private readonly sockets: WsServer;
  /** Whether the WebSocketServer itself listens to the server's `upgrade` event. */
  private readonly listens: boolean;
  /** The requests that `ws` is answering: the headers to add, and the extensions that `ws` selects. */
  private readonly pendingAnswers = new WeakMap<
    IncomingMessage,
    { readonly headers: readonly string[]; extensions: string | undefined }
  >();

  constructor(sockets: WsServer, server: HttpServer, only: Only, options: HostOptions) {
    // Requests that the WebSocketServer's option `path` excludes are not for the app.
    const isOurs = (request: IncomingMessage): boolean =>
      sockets.shouldHandle(request) !== false && (only === undefined || only(request));
    super(server, isOurs as never, options, sockets.options.perMessageDeflate ? capabilities : WITHOUT_COMPRESSION);
    this.sockets = sockets;
    this.takesAllUpgrades = only === undefined && !sockets.options.path;
    this.listens = (sockets.options.server ?? undefined) !== undefined;
  }

  /** Starts to intercept upgrade requests. */
  listen(): Interceptor {
    this.sockets.on("headers", (lines: string[], request: IncomingMessage) => this.onHeaders(lines, request));
    return interceptUpgrades(this, WsUpgrade);
  }

  override warnOfOtherListeners(event: "upgrade"): void {
    // One of the listeners is the WebSocketServer's, which emits `connection` for requests that are not for the app.
    if (this.otherListeners > (this.listens ? 1 : 0)) super.warnOfOtherListeners(event);
  }

  /**
   * Makes `ws` answer. It gets a request that offers only the selected subprotocol, and extensions only if `compress`
   * is set.
   */
  handleUpgrade(
    { request, socket, head, headers, subprotocol, compress }: Handshake,
    open: (socket: WsSocket, extensions: string | undefined) => void,
  ): void {
    const { "sec-websocket-protocol": _protocols, "sec-websocket-extensions": extensions, ...others } = request.headers;
    const rewritten: IncomingMessage = Object.create(request, {
      headers: {
        value: {
          ...others,
          ...(subprotocol !== undefined && { "sec-websocket-protocol": subprotocol }),
          ...(compress && extensions !== undefined && { "sec-websocket-extensions": extensions }),
        },
      },
    });
    const answer = { headers, extensions: undefined as string | undefined };
    this.pendingAnswers.set(rewritten, answer);
    this.sockets.handleUpgrade(rewritten, socket, head, (webSocket) => open(webSocket, answer.extensions));
  }

  private onHeaders(lines: string[], request: IncomingMessage): void {
    const answer = this.pendingAnswers.get(request);
    if (answer === undefined) return;
    for (const line of lines) {
      const [, value] = /^sec-websocket-extensions: *(.*)$/i.exec(line) ?? [];
      if (value !== undefined) answer.extensions = value;
    }
    lines.push(...answer.headers);
  }
}

const WITHOUT_COMPRESSION = {
  ...capabilities,
  compress: false,
  ignores: [...capabilities.ignores, "compress"],
} as const;

class WsUpgrade extends Http1Upgrade {
  declare protected readonly host: WsHost;

  protected override perform({ callbacks, arg, options, subprotocol, asyncContext }: Decision): void {
    this.upgraded = true;
    const { host, request, socket, head } = this;
    const stream = socket as Socket;
    const { remoteAddress, remotePort } = stream;
    const headers = this.writeHead();
    this.takeSocket();
    // Messages that `init` sends are written together with the answer.
    socket.cork();
    nextTick(() => socket.uncork());
    const handshake = { request, socket, head, headers, subprotocol, compress: options.compress !== undefined };
    host.handleUpgrade(handshake, (webSocket, extensions) => {
      const agreed = webSocket.protocol || undefined;
      const facts = connectionFacts(this.upgradeRequest, { remoteAddress, remotePort }, agreed, extensions);
      runOn(host, webSocket, stream, facts, callbacks, arg, options, asyncContext);
    });
  }

  /**
   * Writes the head through the response, so that hooks are called, but discards it, because ws writes its own. Returns
   * the headers to add to that.
   */
  private writeHead(): readonly string[] {
    let written = "";
    const nowhere = new Writable({
      write(chunk: Buffer, _encoding, callback) {
        written += chunk.toString("latin1");
        callback();
      },
    }) as Socket;
    this.detach();
    const response: ServerResponse = this.response;
    response.assignSocket(nowhere);
    writeSwitchingHead(response, this.gate, HANDSHAKE);
    response.detachSocket(nowhere);
    const [, ...lines] = written.split("\r\n");
    return lines.filter((line) => line !== "" && !/^(?:upgrade|connection):/i.test(line));
  }
}

const HANDSHAKE = { Upgrade: "websocket", Connection: "Upgrade" };

/** Runs a handler on an open WebSocket. */
export const runOn = (
  host: Host,
  socket: WsSocket,
  stream: Socket,
  facts: ConnectionFacts,
  callbacks: Callbacks,
  arg: unknown,
  options: ReturnType<Host["resolve"]>,
  asyncContext: AsyncContext | undefined,
): Session => {
  const transport = new WsTransport(socket, stream, options, (error) => host.onError(error, undefined));
  const session = host.newSession(callbacks, transport, facts, options, asyncContext);
  session.start(arg);
  return session;
};

/** The options of `upgrade` without effect on an open WebSocket. */
export const HANDSHAKE_OPTIONS: readonly (keyof WebSockOptions)[] = [
  "earlyValidateUpgrade",
  "subprotocols",
  "headers",
  "origins",
];
