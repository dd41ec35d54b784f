/** WebSockets over HTTP/1.1 (RFC 6455 §4) on a Node server. */
import { type IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { UpgradeError } from "../../errors.ts";
import type { Connection } from "../../protocol/connection.ts";
import { hasBody, wantsWebSocket } from "../../upgrade-validation.ts";
import { ignoreUpgrade, type NodeHost } from "./host.ts";
import { publishRequestStart, publishResponseFinish } from "./request-channels.ts";
import { type Interceptor, upgradeRequestOf } from "./requests.ts";
import { makeInert } from "./response.ts";
import { afterEarlierResponses, forwardDrain, lingerAndClose, mayLackHeaders, replay, stopTimeout } from "./sockets.ts";
import { NodeStream } from "./stream.ts";
import { endSwitchingResponse, writeSwitchingHead } from "./switching.ts";
import { nextTick } from "./timers.ts";
import { acceptOf, NodeUpgrade } from "./upgrade.ts";

/** Intercepts the upgrade requests of a server of `node:http`, or of `node:http2` with `allowHTTP1`. */
export const interceptUpgrades = (host: NodeHost, Upgrade = Http1Upgrade): Interceptor => {
  const server = host.server as Server;
  const kinds = new RequestKinds(host);
  server.on("upgrade", ignoreUpgrade);
  declineOrdinaryUpgrades(server, kinds);
  return (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const kind = kinds.take(request);
    if (kind === "others") return undefined;
    return () =>
      afterEarlierResponses(socket, () => {
        if (kind === "ordinary") replay(server, request, socket, head);
        else new Upgrade(host, request, socket, head).route(kind === "ours" ? undefined : kind);
      });
  };
};

/** From 22.21 on, Node asks the server which requests to upgrade: ordinary ones then need not be replayed. */
const declineOrdinaryUpgrades = (server: Server & WithUpgradeCallback, kinds: RequestKinds): void => {
  // In Node 22.21.0, servers of `node:http2` with `allowHTTP1` use this function, too, but do not define it.
  const { shouldUpgradeCallback = (new Server() as WithUpgradeCallback).shouldUpgradeCallback } = server;
  if (shouldUpgradeCallback === undefined) return;
  server.shouldUpgradeCallback = (request) =>
    shouldUpgradeCallback.call(server, request) && kinds.decide(request) !== "ordinary";
};

interface WithUpgradeCallback {
  shouldUpgradeCallback?: (request: IncomingMessage) => boolean;
}

/**
 * Who handles an upgrade request: the app as an upgrade, the server's other `upgrade` listeners, or the app as an
 * ordinary request. An error: it is refused.
 */
type RequestKind = "ours" | "others" | "ordinary" | UpgradeError;

/**
 * The kinds of a host's requests. (Another host may decide differently: a server may forward requests to another.) Node
 * may ask first whether to upgrade a request, and then emits it before it asks about another one. `only` must be called
 * once, so the answer is kept in between.
 */
class RequestKinds {
  private readonly host: NodeHost;
  private asked: IncomingMessage | undefined = undefined;
  private kind: RequestKind = "ordinary";

  constructor(host: NodeHost) {
    this.host = host;
  }

  /** The answer for Node, before it emits the request. An ordinary request is not emitted as an upgrade. */
  decide(request: IncomingMessage): RequestKind {
    this.kind = classify(this.host, request);
    this.asked = this.kind === "ordinary" ? undefined : request;
    return this.kind;
  }

  /** For a request that is emitted. Keeps no reference to it. */
  take(request: IncomingMessage): RequestKind {
    const { asked } = this;
    this.asked = undefined;
    return asked === request ? this.kind : classify(this.host, request);
  }
}

const classify = (host: NodeHost, request: IncomingMessage): RequestKind => {
  const isOurs = host.isOurs(request);
  const hasOthers = host.otherListeners > 0;
  if (isOurs === false) return hasOthers ? "others" : "ordinary";
  // A request that cannot become a WebSocket is handled as if `attach` had not been called, with its body.
  if (!mayBeWebSocket(host, request) && (isOurs === true || !hasOthers)) return "ordinary";
  if (hasOthers && host.takesAllUpgrades) host.warnOfOtherListeners("upgrade");
  return isOurs === true ? "ours" : isOurs;
};

const mayBeWebSocket = (host: NodeHost, request: IncomingMessage): boolean => {
  if (mayLackHeaders(host.server as Server, request)) return true; // it is refused later
  const upgradeRequest = upgradeRequestOf(request);
  return upgradeRequest.method === "GET" && !hasBody(upgradeRequest) && wantsWebSocket(upgradeRequest);
};

/** The symbol under which Node's servers keep the class of responses that was passed to `createServer`. */
const RESPONSE_CLASS = Object.getOwnPropertySymbols(new Server()).find(
  ({ description }) => description === "ServerResponse",
);

const responseClassOf = (server: object): typeof ServerResponse => {
  const found = RESPONSE_CLASS && (server as Record<symbol, unknown>)[RESPONSE_CLASS];
  return typeof found === "function" ? (found as typeof ServerResponse) : ServerResponse;
};

/** Creates a response in the same way as Node does for ordinary requests. */
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
  /** Whether the listeners of {@link watchSocket} are on the socket. */
  private watching = false;

  constructor(host: NodeHost, request: IncomingMessage, socket: Duplex, head: Buffer) {
    super(host, request, newResponse(host.server as Server, request, socket));
    this.socket = socket;
    this.head = head;
    this.clientDisconnected = socket.readableEnded;
    // The client may send any bytes after its handshake. They must not be parsed as another request.
    this.response.shouldKeepAlive = false;
  }

  /** Passes the request to the app. */
  route(refusal?: UpgradeError): void {
    const { request, socket, response } = this;
    const { server } = this.host;
    stopTimeout(socket);
    response.assignSocket(socket as Parameters<ServerResponse["assignSocket"]>[0]);
    response.once("finish", this.onFinish);
    publishRequestStart(request, response, socket, server);
    try {
      this.dispatch(
        mayLackHeaders(server as Server, request)
          ? new UpgradeError(400, "the upgrade request has too many headers")
          : refusal,
      );
    } finally {
      // Most routes answer at once. Sockets emit no events synchronously, so none was missed.
      if (!this.upgraded) this.watchSocket();
    }
  }

  /** Notices that the client disconnects while the app handles the request. */
  private watchSocket(): void {
    this.watching = true;
    this.socket
      .on("error", this.onClientDisconnected)
      .prependListener("end", this.onClientDisconnected)
      // Before the response is told, and its listeners run.
      .prependListener("close", this.onClientDisconnected)
      .on("drain", forwardDrain);
  }

  protected handshakeHeaders(): Record<string, string> {
    return {
      Upgrade: "websocket",
      Connection: "Upgrade",
      "Sec-WebSocket-Accept": acceptOf(this.upgradeRequest.header("sec-websocket-key")!),
    };
  }

  protected takeStream(): NodeStream {
    this.takeSocket();
    return new NodeStream(this.socket);
  }

  protected takeSocket(): void {
    const { socket } = this;
    if (this.watching) {
      socket
        .off("end", this.onClientDisconnected)
        .off("close", this.onClientDisconnected)
        .off("drain", forwardDrain)
        .off("error", this.onClientDisconnected);
    }
    // Middleware may have set a timeout for the request.
    stopTimeout(socket);
  }

  /** Writes the head through the response, so that hooks on its headers and its end are called. */
  protected sendHead(headers: Readonly<Record<string, string>>): void {
    writeSwitchingHead(this.response, this.gate, headers);
    // The connection owns the socket now. An `end` that a hook delays must neither write to the socket nor uncork it.
    this.detach();
  }

  protected onSessionStarted(connection: Connection): void {
    if (this.head.length > 0) connection.onBytes(this.head);
  }

  protected endResponse(callback: (() => void) | undefined): void {
    endSwitchingResponse(this.response, this.gate, callback);
    makeInert(this.response);
  }

  protected abort(): void {
    // The client may only have ended its direction, and nothing would end ours.
    this.socket.destroy();
  }

  private readonly onFinish = (): void => {
    const { request, response, socket, host } = this;
    // As on all responses of Node, `close` is emitted after the listeners for `finish` have run.
    nextTick(emitClose, response);
    if (!this.upgraded) {
      this.detach();
      lingerAndClose(socket, host.clock, host.defaults.closeTimeout);
    }
    publishResponseFinish(request, response, socket, host.server);
  };

  protected detach(): void {
    this.response.detachSocket(this.socket as Parameters<ServerResponse["detachSocket"]>[0]);
  }
}

function emitClose(response: ServerResponse): void {
  if (response.closed) return;
  response.destroyed = true;
  response.emit("close");
}
