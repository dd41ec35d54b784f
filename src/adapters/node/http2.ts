/** WebSockets over HTTP/2 (RFC 8441) on a Node server: the app handles an extended CONNECT as a GET. */
import {
  constants,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type Http2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { UpgradeError } from "../../errors.ts";
import type { ByteStreamEvents } from "../../protocol/byte-stream.ts";
import { isKey } from "../../protocol/http/handshake.ts";
import type { SessionGroup } from "../../session/group.ts";
import { findRefusal } from "../shared/decision.ts";
import { later } from "../shared/timers.ts";
import type { NodeHost } from "./host.ts";
import { FIRST_SLICE, nextSliceSize, type SessionShare, shareOf } from "./http2-share.ts";
import { type Interceptor, upgradeRequestOf } from "./requests.ts";
import { INERT_METHODS, respondWithError } from "./response.ts";
import { NodeStream } from "./stream.ts";
import { nextTick } from "./timers.ts";
import { acceptOf, NodeUpgrade } from "./upgrade.ts";

/** Intercepts the CONNECT requests of a server of `node:http2`. */
export const interceptConnects = (host: NodeHost): Interceptor => {
  const server = host.server as Http2Server;
  // Clients must not send an extended CONNECT before they have received this setting (RFC 8441 §3).
  server.updateSettings({ enableConnectProtocol: true });
  return (request: Http2ServerRequest, response: Http2ServerResponse) => {
    // With `allowHTTP1`, the CONNECT of an HTTP/1.1 proxy emits the same event.
    if (!("stream" in request)) return undefined;
    const upgradeRequest = upgradeRequestOf(request);
    const hasOthers = server.listenerCount("connect") > 0;
    const isOurs = upgradeRequest.header(":protocol") === "websocket" && host.isOurs(request);
    if (isOurs !== false) {
      if (hasOthers && host.takesAllUpgrades) host.warnOfOtherListeners("connect");
      return () => new Http2Upgrade(host, request, response).route(isOurs === true ? undefined : isOurs);
    }
    if (hasOthers) return undefined;
    // Node would answer every such request with 405, whatever the reason.
    const refusal =
      findRefusal(host, upgradeRequest, host.defaults) ??
      new UpgradeError(405, "this server does not accept this CONNECT request", { allow: "GET" });
    return () => {
      host.refusals.add(refusal, request, upgradeRequest, undefined);
      respondWithError(refusal, response);
    };
  };
};

class Http2Upgrade extends NodeUpgrade {
  protected readonly status = 200;
  declare protected readonly request: Http2ServerRequest;
  declare protected readonly response: Http2ServerResponse;
  private readonly stream: ServerHttp2Stream;
  private readonly respond: ServerHttp2Stream["respond"];
  /** The listeners that Node has added to the stream for its request and response. */
  private readonly nodeListeners: readonly NodeListener[];

  constructor(host: NodeHost, request: Http2ServerRequest, response: Http2ServerResponse) {
    super(host, request, response);
    this.stream = request.stream;
    this.respond = request.stream.respond;
    this.nodeListeners = NODE_EVENTS.flatMap((event) =>
      this.stream.rawListeners(event).map((listener) => ({ event, listener: listener as Listener })),
    );
  }

  /** Passes the request to the app, with the method GET: the same routes serve HTTP/1.1 and HTTP/2. */
  route(refusal?: UpgradeError): void {
    const { request, stream } = this;
    // The stream carries frames, not a body: the request must neither read nor discard them.
    request.push(null);
    request.removeAllListeners("pause").removeAllListeners("resume");
    stream.on("aborted", this.onClientDisconnected).on("close", this.onClientDisconnected);
    (request as { method: string }).method = "GET";
    this.rejectSuccessStatus();
    this.dispatch(
      stream.endAfterHeaders
        ? new UpgradeError(400, "a WebSocket needs a stream that is open in both directions")
        : refusal,
    );
  }

  /**
   * Any 2xx status in response to a CONNECT opens a tunnel (RFC 9110 §9.3.6). If the app answers with an ordinary page,
   * the client would parse that as frames. The answer becomes 405, because the page does not support CONNECT.
   */
  private rejectSuccessStatus(): void {
    const { stream, response, respond } = this;
    stream.respond = (headers, options) => {
      const status = Number(headers?.[":status"] ?? 200);
      if (status < 200 || status > 299) {
        respond.call(stream, headers, options);
        return;
      }
      response.statusCode = 405;
      respond.call(stream, { ...headers, ":status": 405, allow: "GET" }, options);
    };
  }

  /** Not in RFC 8441, but clients that send a key require the answer to it (Node 26 and undici 7). */
  protected handshakeHeaders(): Record<string, string> {
    const key = this.upgradeRequest.header("sec-websocket-key");
    return isKey(key) ? { "sec-websocket-accept": acceptOf(key) } : {};
  }

  protected takeStream(): NodeStream {
    this.stream.off("aborted", this.onClientDisconnected).off("close", this.onClientDisconnected);
    return new Http2ByteStream(this.stream);
  }

  /**
   * Bypasses `writeHead`, with which Node would later ask for trailers: if the stream is aborted at that moment, an
   * assertion in Node ends the process.
   */
  protected sendHead(headers: Readonly<Record<string, string>>): void {
    const { response, stream } = this;
    response.statusCode = 200;
    stream.respond = this.respond;
    stream.respond({ ...response.getHeaders(), ...headers, ":status": 200 }, { sendDate: response.sendDate } as object);
    for (const { event, listener } of this.nodeListeners) stream.off(event, listener);
    stream.once("finish", onFinish);
  }

  protected onSessionStarted(): void {
    closeSessionWhenEmpty(this.stream, this.host.group);
  }

  protected endResponse(callback: (() => void) | undefined): void {
    const { response, stream } = this;
    Object.assign(response, INERT_METHODS);
    Object.defineProperties(response, ENDED_RESPONSE);
    // Releases the HTTP objects, so that an open WebSocket does not retain them.
    const properties = stream as unknown as Record<symbol, unknown>;
    for (const symbol of Object.getOwnPropertySymbols(properties)) {
      if (properties[symbol] === response || properties[symbol] === this.request) properties[symbol] = undefined;
    }
    nextTick(() => {
      response.emit("finish");
      callback?.();
      response.emit("close");
    });
  }

  protected abort(): void {
    this.stream.close(constants.NGHTTP2_CANCEL);
  }
}

/**
 * When the server is closing, the HTTP/2 session gets its GOAWAY with its last WebSocket, and ends after its other
 * streams. (A GOAWAY from the client doesn't affect open streams, RFC 9113 §6.8.)
 */
const closeSessionWhenEmpty = (stream: ServerHttp2Stream, group: SessionGroup): void => {
  const { session } = stream;
  if (session === undefined) return; // the client has disconnected
  const share = shareOf(session);
  share.webSockets++;
  stream.once("close", () => {
    share.webSockets--;
    if (share.webSockets === 0 && group.closing) session.close();
  });
};

type Listener = (...args: unknown[]) => void;

interface NodeListener {
  readonly event: string;
  readonly listener: Listener;
}

const NODE_EVENTS = ["trailers", "end", "error", "aborted", "close", "timeout", "drain", "wantTrailers"];

/** The state of a response of Node that has ended, although its stream is still open. */
const ENDED_RESPONSE: PropertyDescriptorMap = {
  writableEnded: { value: true },
  writableFinished: { value: true },
  finished: { value: true },
  destroy: { value: () => undefined },
};

/**
 * Both close frames have been sent, and our direction of the stream has ended. Some clients wait instead of ending
 * theirs. A ping gives a client the time to do so: what it sent before its answer has arrived by then (RFC 9113 §8.1).
 */
function onFinish(this: ServerHttp2Stream): void {
  later(() => {
    // In a later tick: nghttp2 must not be made to write while it is reading.
    if (isAlive(this)) this.session!.ping(() => later(() => closeCleanly(this)));
  });
}

const closeCleanly = (stream: ServerHttp2Stream): void => {
  if (isAlive(stream)) stream.close(constants.NGHTTP2_NO_ERROR);
};

const isAlive = ({ destroyed, session }: ServerHttp2Stream): boolean => !destroyed && session?.destroyed === false;

class Http2ByteStream extends NodeStream {
  private readonly share: SessionShare;
  /** The bytes of this stream that `share` counts. */
  private countedBytes = 0;
  private maxSlice = FIRST_SLICE;

  constructor(stream: ServerHttp2Stream) {
    super(stream, true);
    this.share = shareOf(stream.session);
  }

  protected override get sliceSize(): number {
    return this.share.sliceFor(this.countedBytes, this.maxSlice);
  }

  override write(parts: readonly Uint8Array[]): void {
    super.write(parts);
    this.updateShare(this.bytesInNode);
  }

  protected override onFlushed(): void {
    if (this.pendingCallbacks === 1) {
      if (this.socket.destroyed) this.share.wasReset(this.countedBytes);
      else this.updateShare(0);
      this.countedBytes = 0;
      if (this.queued > 0) this.maxSlice = nextSliceSize(this.maxSlice);
    }
    super.onFlushed();
    this.updateShare(this.bytesInNode);
  }

  /** The number of bytes in Node's buffers. A destroyed stream may report a `writableLength` above 0 for ever. */
  private get bytesInNode(): number {
    return this.pendingCallbacks > 0 ? this.unflushed : 0;
  }

  private updateShare(now: number): void {
    if (now === this.countedBytes) return;
    this.share.changed(this.countedBytes, now);
    this.countedBytes = now;
  }

  /** Bypasses the queue of Duplex while that is empty. */
  protected override writeDirect(part: Uint8Array): void {
    if (!this.isDirect || this.pendingCallbacks > 0) {
      super.writeDirect(part);
      return;
    }
    this.directBytes = part.length;
    this.socket._write(part, "buffer" as BufferEncoding, this.flushCallback());
  }

  /** While Node reads from a session, it collects writes and sends them together at the end, for all streams. */
  override shouldFlushNow(): boolean {
    return !this.isDirect || isFirstInTick(this.socket as unknown as ServerHttp2Stream);
  }

  override scheduleFlush(): void {
    if (this.shouldFlushNow()) nextTick(flush, this.events);
    else super.scheduleFlush();
  }

  /** A TCP reset corresponds to a RST_STREAM with CANCEL (RFC 8441 §5). */
  override destroy(): void {
    const stream = this.socket as unknown as ServerHttp2Stream;
    if (isAlive(stream)) stream.close(constants.NGHTTP2_CANCEL);
    // `close` alone would wait for a peer whose connection is blocked.
    stream.destroy();
  }
}

/**
 * The first HTTP/2 session to write in this event-loop tick. It flushes immediately, which is fastest for a single
 * session. All others flush in the next tick, after the event loop has read from all of them, like HTTP/1.1 sockets:
 * reading from many and then writing to many costs much less than alternating.
 */
let firstInTick: Http2Session | undefined;

const endTick = (): void => {
  firstInTick = undefined;
};

const isFirstInTick = ({ session }: ServerHttp2Stream): boolean => {
  if (firstInTick === undefined) {
    firstInTick = session;
    later(endTick);
  }
  return firstInTick === session;
};

function flush(events: ByteStreamEvents): void {
  events.onScheduledFlush();
}
