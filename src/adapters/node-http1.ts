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
import { Session } from "../session/session.ts";
import type { Capabilities } from "../session/transport.ts";
import { markUpgradable, type Upgradable } from "../upgrade.ts";
import { hasBody, selectSubprotocol, validateUpgrade, wantsWebSocket } from "../upgrade-validation.ts";
import { nodeOctets } from "./node-octets.ts";
import { answerUpgradeError, callListeners } from "./node-requests.ts";
import { lingerAndClose, replay } from "./node-sockets.ts";
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

  constructor(server: Server, group: SessionGroup, context: AdapterContext) {
    this.server = server;
    this.group = group;
    this.context = context;
  }

  upgrade(conn: object, _callbacks: Callbacks, _arg: unknown, options: WebSockOptions | undefined): never {
    throw (
      validateUpgrade(factsOf(conn as IncomingMessage), this.resolve(options)) ??
      new Error("this request came to the server as an ordinary one: it can't be upgraded")
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

  /** Sends an upgrade request through the app, where a route may upgrade it. */
  onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { only } = this.context;
    if (only?.(request) === false) {
      if (this.server.listenerCount("upgrade") === 1) replay(this.server, request, socket, head);
      return;
    }
    const facts = factsOf(request);
    // Whatever cannot become a WebSocket is the ordinary request that it would be without us, its body included.
    if (facts.method !== "GET" || hasBody(facts) || !wantsWebSocket(facts)) {
      replay(this.server, request, socket, head);
      return;
    }
    new Http1Upgrade(this, request, facts, socket, head).route();
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
  private gone = false;

  constructor(adapter: Http1Adapter, request: IncomingMessage, facts: UpgradeRequest, socket: Duplex, head: Buffer) {
    this.adapter = adapter;
    this.request = request;
    this.facts = facts;
    this.socket = socket;
    this.head = head;
    this.response = new ServerResponse(request);
    // The other side may have pipelined whatever it likes behind its handshake: none of it is another request.
    this.response.shouldKeepAlive = false;
  }

  /** Hands the request to the app, after the answers to what the client pipelined before it. */
  route(): void {
    const { socket, response } = this;
    const before = (socket as { _httpMessage?: ServerResponse | null })._httpMessage;
    if (before) {
      before.once("finish", () => this.route());
      return;
    }
    socket.on("error", this.onGone).on("end", this.onGone).on("close", this.onGone).on("drain", this.onDrain);
    // The server's keep-alive and request timeouts are over; the session has its own.
    (socket as Partial<{ setTimeout(ms: number): void }>).setTimeout?.(0);
    response.assignSocket(socket as Parameters<ServerResponse["assignSocket"]>[0]);
    response.once("finish", () => this.onFinish());
    if (this.adapter.group.closing) {
      answerUpgradeError(shuttingDown(), response);
      return;
    }
    markUpgradable(this.request, this);
    callListeners(this.adapter.server, this.request, response);
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
    }
    return conn;
  }

  private perform(callbacks: Callbacks, arg: unknown, options: ResolvedOptions, subprotocol: string | undefined): void {
    const { socket, head } = this;
    const { group, context } = this.adapter;
    const { remoteAddress, remotePort } = this.request.socket;
    socket.off("end", this.onGone).off("close", this.onGone).off("drain", this.onDrain).off("error", this.onGone);
    const stream = new NodeStream(socket);
    const connection = new Connection(stream, nodeOctets, options, capabilities);
    stream.open(connection);
    // What `init` sends goes out together with the answer.
    socket.cork();
    process.nextTick(uncork, socket);
    this.answer(options, subprotocol);
    const facts = {
      remoteAddress,
      remotePort,
      httpVersion: this.facts.httpVersion,
      subprotocol,
      compression: undefined,
      closeCode: undefined,
      closeText: undefined,
    };
    const session = new Session(callbacks, connection, facts, {
      options,
      clock: context.clock,
      onError: context.onError,
      onEnd: group.delete,
    });
    group.add(session);
    connection.open(session);
    session.start(arg);
    if (head.length > 0) connection.receive(head);
  }

  /** The answer goes through the response, so that what others hang on its headers and its end runs. */
  private answer(options: ResolvedOptions, subprotocol: string | undefined): void {
    const { response } = this;
    for (const name of response.getHeaderNames()) if (NOT_IN_101.test(name)) response.removeHeader(name);
    for (const [name, value] of Object.entries(options.headers)) response.setHeader(name, value as string | string[]);
    response.writeHead(101, "Switching Protocols", {
      Upgrade: "websocket",
      Connection: "Upgrade",
      "Sec-WebSocket-Accept": acceptFor(this.facts.header("sec-websocket-key")!, sha1),
      ...(subprotocol === undefined ? {} : { "Sec-WebSocket-Protocol": subprotocol }),
    });
    response.flushHeaders();
    response.end();
    Object.assign(response, INERT);
  }

  private onFinish(): void {
    const { response, socket } = this;
    response.detachSocket(socket as Parameters<ServerResponse["detachSocket"]>[0]);
    response.destroyed = true;
    response.emit("close");
    if (this.upgraded) return;
    lingerAndClose(socket, this.adapter.context.clock, this.adapter.context.defaults.closeTimeout);
  }

  private readonly onGone = (): void => {
    this.gone = true;
  };

  /** The server's own listener for this has left with its parser. */
  private readonly onDrain = (): void => {
    if (!this.response.writableFinished) this.response.emit("drain");
  };
}

const shuttingDown = (): UpgradeError => new UpgradeError(503, "the server is shutting down");

const sha1 = (input: string): string => createHash("sha1").update(input).digest("base64");

function uncork(socket: Duplex): void {
  socket.uncork();
}

/** A 101 has no content (RFC 9110 §15.2), and its connection headers are ours. */
const NOT_IN_101 = /^(?:content-.*|transfer-encoding|etag|connection|upgrade|keep-alive|trailer)$/i;

const inert = function (this: ServerResponse): ServerResponse {
  return this;
};

/** What a framework does to the response after the 101 has no effect, and no error. */
const INERT = {
  ...Object.fromEntries(
    ["setHeader", "setHeaders", "appendHeader", "removeHeader", "writeHead", "end", "flushHeaders", "addTrailers"].map(
      (name) => [name, inert],
    ),
  ),
  write: () => true,
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
