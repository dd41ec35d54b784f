/** WebSockets over HTTP/1.1 (RFC 6455 §4) on Node's own server. */
import { type IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { UpgradeError } from "../../errors.ts";
import type { Connection } from "../../protocol/connection.ts";
import { hasBody, wantsWebSocket } from "../../upgrade-validation.ts";
import { ignoreUpgrade, type NodeAdapter } from "./adapter.ts";
import { publishRequestStart, publishResponseFinish } from "./request-channels.ts";
import { factsOf, type Taker } from "./requests.ts";
import { INERT } from "./response.ts";
import { afterEarlierAnswers, hasUnreadHeaders, lingerAndClose, replay, stopTimeout, tellOfDrain } from "./sockets.ts";
import { NodeStream } from "./stream.ts";
import { endSwitched, writeSwitchingHead } from "./switching.ts";
import { nextTick } from "./timers.ts";
import { acceptOf, NodeUpgrade } from "./upgrade.ts";

/** Begins to take the upgrade requests of a server. One of `node:http2` has them too, with `allowHTTP1`. */
export const takeUpgrades = (adapter: NodeAdapter, Upgrade = Http1Upgrade): Taker => {
  const server = adapter.server as Server;
  server.on("upgrade", ignoreUpgrade);
  passOrdinaryBy(adapter);
  return (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const kind = kindOf(adapter, request);
    if (kind === "others") return undefined;
    return () =>
      afterEarlierAnswers(socket, () => {
        if (kind === "ordinary") replay(server, request, socket, head);
        else new Upgrade(adapter, request, socket, head).route(kind === "ours" ? undefined : kind);
      });
  };
};

/** From Node 22.21 on a server asks what an upgrade request is to be, and then there is nothing to replay. */
const passOrdinaryBy = (adapter: NodeAdapter): void => {
  const server = adapter.server as Server & Asking;
  // In Node 22.21.0, servers of `node:http2` with `allowHTTP1` ask as well, but have no such function.
  const { shouldUpgradeCallback = (new Server() as Asking).shouldUpgradeCallback } = server;
  if (shouldUpgradeCallback === undefined) return;
  server.shouldUpgradeCallback = (request) =>
    shouldUpgradeCallback.call(server, request) && kindOf(adapter, request) !== "ordinary";
};

interface Asking {
  shouldUpgradeCallback?: (request: IncomingMessage) => boolean;
}

/**
 * Who is to serve an upgrade request: we, the server's other `upgrade` listeners, or the app as an ordinary one. An error:
 * nobody, that is the answer.
 */
type Kind = "ours" | "others" | "ordinary" | UpgradeError;

/** Node may ask first and emit later; `only` is asked once. A server may hand its requests on to another. */
const kinds = new WeakMap<NodeAdapter, WeakMap<IncomingMessage, Kind>>();

const kindOf = (adapter: NodeAdapter, request: IncomingMessage): Kind => {
  let ofAdapter = kinds.get(adapter);
  if (ofAdapter === undefined) kinds.set(adapter, (ofAdapter = new WeakMap()));
  const known = ofAdapter.get(request);
  if (known !== undefined) return known;
  const kind = judgeKind(adapter, request);
  ofAdapter.set(request, kind);
  return kind;
};

const judgeKind = (adapter: NodeAdapter, request: IncomingMessage): Kind => {
  const isOurs = adapter.isOurs(request);
  const hasOthers = adapter.others > 0;
  if (isOurs === false) return hasOthers ? "others" : "ordinary";
  // Whatever cannot become a WebSocket is the ordinary request that it would be without us, its body included.
  if (!mayBeWebSocket(adapter, request) && (isOurs === true || !hasOthers)) return "ordinary";
  if (hasOthers && adapter.takesAll) adapter.tellOfOthers("upgrade");
  return isOurs === true ? "ours" : isOurs;
};

const mayBeWebSocket = (adapter: NodeAdapter, request: IncomingMessage): boolean => {
  if (hasUnreadHeaders(adapter.server as Server, request)) return true; // and is refused
  const facts = factsOf(request);
  return facts.method === "GET" && !hasBody(facts) && wantsWebSocket(facts);
};

/** The server's own class, as it was given to `createServer`; Node has no public name for it. */
const responseClassOf = (server: object): typeof ServerResponse => {
  const kept = server as Record<symbol, unknown>;
  const symbol = Object.getOwnPropertySymbols(server).find(({ description }) => description === "ServerResponse");
  const found = symbol && kept[symbol];
  return typeof found === "function" ? (found as typeof ServerResponse) : ServerResponse;
};

/** As Node makes the response to an ordinary request. */
const newResponse = (server: Server, request: IncomingMessage, socket: Duplex): ServerResponse => {
  const { rejectNonStandardBodyWrites } = server as { readonly rejectNonStandardBodyWrites?: boolean };
  const options = { highWaterMark: socket.writableHighWaterMark, rejectNonStandardBodyWrites };
  return new (responseClassOf(server) as unknown as ResponseClass)(request, options);
};

type ResponseClass = new (request: IncomingMessage, options: object) => ServerResponse;

export class Http1Upgrade extends NodeUpgrade {
  protected readonly status = 101;
  declare protected readonly request: IncomingMessage;
  declare protected readonly response: ServerResponse;
  protected readonly socket: Duplex;
  protected readonly head: Buffer;

  constructor(adapter: NodeAdapter, request: IncomingMessage, socket: Duplex, head: Buffer) {
    super(adapter, request, newResponse(adapter.server as Server, request, socket));
    this.socket = socket;
    this.head = head;
    this.gone = socket.readableEnded;
    // The other side may have pipelined whatever it likes behind its handshake: none of it is another request.
    this.response.shouldKeepAlive = false;
  }

  /** Hands the request to the app. */
  route(refusal?: UpgradeError): void {
    const { socket, response } = this;
    socket.on("error", this.onGone).on("end", this.onGone).on("close", this.onGone).on("drain", tellOfDrain);
    stopTimeout(socket);
    response.assignSocket(socket as Parameters<ServerResponse["assignSocket"]>[0]);
    response.once("finish", () => this.onFinish());
    const exchange = { request: this.request, response, socket, server: this.adapter.server };
    publishRequestStart(exchange);
    response.once("finish", () => publishResponseFinish(exchange));
    this.passOn(
      hasUnreadHeaders(this.adapter.server as Server, this.request)
        ? new UpgradeError(400, "the upgrade request has too many headers")
        : refusal,
    );
  }

  protected handshakeHeaders(): Record<string, string> {
    return {
      Upgrade: "websocket",
      Connection: "Upgrade",
      "Sec-WebSocket-Accept": acceptOf(this.facts.header("sec-websocket-key")!),
    };
  }

  protected takeStream(): NodeStream {
    this.takeSocket();
    return new NodeStream(this.socket);
  }

  protected takeSocket(): void {
    const { socket } = this;
    socket.off("end", this.onGone).off("close", this.onGone).off("drain", tellOfDrain).off("error", this.onGone);
    // Middleware may have set one for the request.
    stopTimeout(socket);
    // What `init` sends goes out together with the answer.
    socket.cork();
    nextTick(uncork, socket);
  }

  /** The answer goes through the response, so that what others hang on its headers and its end runs. */
  protected sendHead(headers: Readonly<Record<string, string>>): void {
    writeSwitchingHead(this.response, this.gate, headers);
    // From here on the socket is the connection's: an `end` that a hook puts off must not write to it, nor uncork it.
    this.detach();
  }

  protected begun(connection: Connection): void {
    if (this.head.length > 0) connection.receive(this.head);
  }

  protected endResponse(callback: (() => void) | undefined): void {
    endSwitched(this.response, this.gate, callback);
    Object.assign(this.response, INERT);
  }

  protected cutOff(): void {
    // It may only have ended its direction; nobody would ever end ours.
    this.socket.destroy();
  }

  private onFinish(): void {
    // As on every response of Node's: `close` comes after all have heard of `finish`.
    nextTick(emitClose, this.response);
    if (this.upgraded) return;
    const { socket } = this;
    this.detach();
    lingerAndClose(socket, this.adapter.clock, this.adapter.defaults.closeTimeout);
  }

  protected detach(): void {
    this.response.detachSocket(this.socket as Parameters<ServerResponse["detachSocket"]>[0]);
  }
}

function emitClose(response: ServerResponse): void {
  if (response.closed) return;
  response.destroyed = true;
  response.emit("close");
}

function uncork(socket: Duplex): void {
  socket.uncork();
}
