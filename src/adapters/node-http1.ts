/** WebSockets over HTTP/1.1 (RFC 6455 §4) on Node's own server. */
import { createHash } from "node:crypto";
import { type IncomingMessage, type Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { UpgradeError } from "../errors.ts";
import { type ResolvedOptions, resolveOptions, type UpgradeRequest, type WebSockOptions } from "../options.ts";
import { Connection } from "../protocol/connection.ts";
import { acceptFor } from "../protocol/handshake.ts";
import type { Clock } from "../session/clock.ts";
import type { SessionGroup } from "../session/group.ts";
import type { Callbacks } from "../session/handler.ts";
import type { OnError } from "../session/report.ts";
import { Session, type SessionContext } from "../session/session.ts";
import type { Capabilities } from "../session/transport.ts";
import { markUpgradable, type Upgradable } from "../upgrade.ts";
import { hasBody, selectSubprotocol, validateUpgrade, wantsWebSocket } from "../upgrade-validation.ts";
import { nodeOctets } from "./node-octets.ts";
import { answerUpgradeError } from "./node-requests.ts";
import {
  afterEarlierAnswers,
  hasUnreadHeaders,
  lingerAndClose,
  replay,
  stopTimeout,
  tellOfDrain,
} from "./node-sockets.ts";
import { NodeStream } from "./node-stream.ts";

/** What our own engine can do on Node. */
export const capabilities: Capabilities = Object.freeze({
  host: "node",
  control: true,
  pause: true,
  drain: true,
  closeDetail: true,
  compress: false,
  heap: false,
});

export interface AdapterContext {
  readonly only: ((request: IncomingMessage) => boolean) | undefined;
  readonly defaults: ResolvedOptions;
  readonly clock: Clock;
  readonly onError: OnError;
}

/** For requests that no upgrade event came with: `upgrade` says why they cannot become a WebSocket. */
export class Http1Adapter implements Upgradable {
  readonly server: Server;
  readonly group: SessionGroup;
  readonly context: AdapterContext;
  private readonly toldOf = new Set<string>();
  private lastContext: SessionContext | undefined;

  constructor(server: Server, group: SessionGroup, context: AdapterContext) {
    this.server = server;
    this.group = group;
    this.context = context;
  }

  upgrade(conn: object, _callbacks: Callbacks, _arg: unknown, options: WebSockOptions | undefined): never {
    throw (
      validateUpgrade(factsOf(conn as IncomingMessage), this.resolve(options)) ??
      new UpgradeError(426, "this server serves this request as an ordinary one: it can't be upgraded", {
        upgrade: "websocket",
        connection: "Upgrade",
      })
    );
  }

  /** Lays the options of a call over the server's defaults, and says once which of them nobody honours here. */
  resolve(options: WebSockOptions | undefined): ResolvedOptions {
    const resolved = resolveOptions(options, this.context.defaults);
    for (const name of ["fullsweepAfter", "maxHeapSize"] as const) {
      if (resolved[name] === undefined || this.toldOf.has(name)) continue;
      this.toldOf.add(name);
      this.context.onError(
        new TypeError(`the option "${name}" has no effect on the host "${capabilities.host}"`),
        undefined,
      );
    }
    return resolved;
  }

  /** Shared by the sessions that share their options, so that none has to keep one. */
  sessionContext(options: ResolvedOptions): SessionContext {
    if (this.lastContext?.options !== options) {
      const { clock, onError } = this.context;
      this.lastContext = { options, clock, onError, onEnd: this.group.delete };
    }
    return this.lastContext!;
  }

  /** Begins to take the server's upgrade requests. */
  open(): void {
    const { server } = this;
    server.on("upgrade", (request, socket, head) => this.onUpgrade(request, socket, head));
    // From Node 22 on the server asks first, and then there is nothing to replay.
    const asking = server as { shouldUpgradeCallback?: (request: IncomingMessage) => boolean };
    const { shouldUpgradeCallback } = asking;
    if (shouldUpgradeCallback === undefined) return;
    asking.shouldUpgradeCallback = (request) =>
      shouldUpgradeCallback.call(server, request) && this.kindOf(request) !== "ordinary";
  }

  /** Sends an upgrade request through the app, where a route may upgrade it. */
  onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const kind = this.kindOf(request);
    if (kind === "others") return;
    afterEarlierAnswers(socket, () => {
      if (kind === "ordinary") replay(this.server, request, socket, head);
      else new Http1Upgrade(this, request, socket, head).route();
    });
  }

  /** Who is to serve an upgrade request: we, the server's other `upgrade` listeners, or the app as an ordinary one. */
  kindOf(request: IncomingMessage): "ours" | "others" | "ordinary" {
    if (this.context.only?.(request) === false) {
      return this.server.listenerCount("upgrade") > 1 ? "others" : "ordinary";
    }
    const facts = factsOf(request);
    if (hasUnreadHeaders(this.server, request)) return "ours";
    // Whatever cannot become a WebSocket is the ordinary request that it would be without us, its body included.
    return facts.method === "GET" && !hasBody(facts) && wantsWebSocket(facts) ? "ours" : "ordinary";
  }
}

/** One upgrade request, from the app's first look at it to the 101 or another answer. */
class Http1Upgrade implements Upgradable {
  private readonly adapter: Http1Adapter;
  private readonly request: IncomingMessage;
  private readonly facts: UpgradeRequest;
  private readonly socket: Duplex;
  private readonly head: Buffer;
  private readonly response: ServerResponse;
  private upgraded = false;
  private gone: boolean;

  constructor(adapter: Http1Adapter, request: IncomingMessage, socket: Duplex, head: Buffer) {
    this.adapter = adapter;
    this.request = request;
    this.facts = factsOf(request);
    this.socket = socket;
    this.head = head;
    this.gone = socket.readableEnded;
    this.response = new ServerResponse(request);
    // The other side may have pipelined whatever it likes behind its handshake: none of it is another request.
    this.response.shouldKeepAlive = false;
  }

  /** Hands the request to the app. */
  route(): void {
    const { socket, response } = this;
    socket.on("error", this.onGone).on("end", this.onGone).on("close", this.onGone).on("drain", tellOfDrain);
    stopTimeout(socket);
    response.assignSocket(socket as Parameters<ServerResponse["assignSocket"]>[0]);
    response.once("finish", () => this.onFinish());
    const refusal = this.adapter.group.closing
      ? shuttingDown()
      : hasUnreadHeaders(this.adapter.server, this.request)
        ? new UpgradeError(400, "an upgrade request with too many headers")
        : undefined;
    if (refusal !== undefined) {
      answerUpgradeError(refusal, response);
      return;
    }
    markUpgradable(this.request, this);
    this.adapter.server.emit("request", this.request, response);
  }

  upgrade(conn: object, callbacks: Callbacks, arg: unknown, options: WebSockOptions | undefined): object {
    if (this.upgraded) throw new Error("this request is upgraded already");
    if (this.response.headersSent) throw new Error("this request is answered already: its headers were sent");
    const resolved = this.adapter.resolve(options);
    const refusal = this.adapter.group.closing ? shuttingDown() : validateUpgrade(this.facts, resolved);
    if (refusal !== undefined && resolved.earlyValidateUpgrade) throw refusal;
    if (refusal !== undefined) {
      answerUpgradeError(refusal, this.response);
    } else {
      const subprotocol = selectSubprotocol(this.facts, resolved.subprotocols);
      this.upgraded = true;
      if (!this.gone) this.perform(callbacks, arg, resolved, subprotocol);
      // It may only have ended its direction; nobody would ever end ours.
      else this.socket.destroy();
    }
    return conn;
  }

  private perform(callbacks: Callbacks, arg: unknown, options: ResolvedOptions, subprotocol: string | undefined): void {
    const { socket, head } = this;
    const { group } = this.adapter;
    const { remoteAddress, remotePort } = this.request.socket;
    socket.off("end", this.onGone).off("close", this.onGone).off("drain", tellOfDrain).off("error", this.onGone);
    // Middleware may have set one for the request.
    stopTimeout(socket);
    const stream = new NodeStream(socket);
    const connection = new Connection(stream, nodeOctets, options, capabilities);
    stream.open(connection);
    // What `init` sends goes out together with the answer.
    socket.cork();
    process.nextTick(uncork, socket);
    this.answer(options, subprotocol);
    stream.watch();
    const facts = {
      remoteAddress,
      remotePort,
      // The constant, where it is that: the request's own string would be kept with every connection.
      httpVersion: this.facts.httpVersion === "1.1" ? "1.1" : this.facts.httpVersion,
      subprotocol,
      compression: undefined,
      closeCode: undefined,
      closeText: undefined,
    };
    const session = new Session(callbacks, connection, facts, this.adapter.sessionContext(options));
    group.add(session);
    connection.open(session);
    session.start(arg);
    if (head.length > 0) connection.receive(head);
  }

  /** The answer goes through the response, so that what others hang on its headers and its end runs. */
  private answer(options: ResolvedOptions, subprotocol: string | undefined): void {
    const { response } = this;
    for (const name of response.getHeaderNames()) if (NOT_IN_101.test(name)) response.removeHeader(name);
    for (const [name, value] of Object.entries(options.headers)) {
      // These add to the cookies of middleware; any other header replaces what was there.
      if (name.toLowerCase() === "set-cookie") response.appendHeader(name, value as string | string[]);
      else response.setHeader(name, value as string | string[]);
    }
    response.writeHead(101, "Switching Protocols", {
      Upgrade: "websocket",
      Connection: "Upgrade",
      "Sec-WebSocket-Accept": acceptFor(this.facts.header("sec-websocket-key")!, sha1),
      ...(subprotocol === undefined ? {} : { "Sec-WebSocket-Protocol": subprotocol }),
    });
    response.flushHeaders();
    // From here on the socket is the connection's: an `end` that a hook puts off must not write to it, nor uncork it.
    this.detach();
    response.end();
    Object.assign(response, INERT);
  }

  private onFinish(): void {
    // As on every response of Node's: `close` comes after all have heard of `finish`.
    process.nextTick(emitClose, this.response);
    if (this.upgraded) return;
    const { socket } = this;
    this.detach();
    lingerAndClose(socket, this.adapter.context.clock, this.adapter.context.defaults.closeTimeout);
  }

  private detach(): void {
    this.response.detachSocket(this.socket as Parameters<ServerResponse["detachSocket"]>[0]);
  }

  private readonly onGone = (): void => {
    this.gone = true;
  };
}

const shuttingDown = (): UpgradeError => new UpgradeError(503, "the server is shutting down");

const sha1 = (input: string): string => createHash("sha1").update(input).digest("base64");

function emitClose(response: ServerResponse): void {
  if (response.closed) return;
  response.destroyed = true;
  response.emit("close");
}

function uncork(socket: Duplex): void {
  socket.uncork();
}

/** A 101 has no content (RFC 9110 §15.2), and its connection headers are ours. */
const NOT_IN_101 = /^(?:content-.*|sec-websocket-.*|transfer-encoding|etag|connection|upgrade|keep-alive|trailer)$/i;

/** Whoever waits for it to be done with is told so. */
const inert = function (this: ServerResponse, ...args: unknown[]): ServerResponse {
  const callback = args.at(-1);
  if (typeof callback === "function") process.nextTick(callback as () => void);
  return this;
};

/** What a framework does to the response after the 101 has no effect, and no error. */
const INERT = {
  ...Object.fromEntries(
    [
      ...["setHeader", "setHeaders", "appendHeader", "removeHeader", "writeHead", "flushHeaders", "addTrailers", "end"],
      ...["writeContinue", "writeProcessing", "writeEarlyHints", "writeInformation"],
    ].map((name) => [name, inert]),
  ),
  write(this: ServerResponse, ...args: unknown[]): boolean {
    inert.apply(this, args);
    return true;
  },
};

const factsOf = (request: IncomingMessage): UpgradeRequest => ({
  method: request.method ?? "",
  httpVersion: request.httpVersion,
  url: request.url ?? "",
  authority: request.headers.host,
  header: (name) => {
    const value = request.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  },
});
