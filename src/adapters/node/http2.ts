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
import { makeInert, respondWithError } from "./response.ts";
import { NodeStream } from "./stream.ts";
import { nextTick } from "./timers.ts";
import { acceptOf, NodeUpgrade } from "./upgrade.ts";

/** Intercepts the CONNECT requests of a server of `node:http2`. */
export const interceptConnects = (host: NodeHost): Interceptor => {
  const server = host.server as Http2Server;
  // Clients must not send an extended CONNECT before they have received this setting (RFC 8441 §3).
  server.updateSettings({ enableConnectProtocol: true });
  return (request: Http2ServerRequest, response: Http2ServerResponse) => {
    // With `allowHTTP1`, an HTTP/1.1 CONNECT (for a proxy tunnel) emits the same event. It is left to other listeners.
    if (!("stream" in request)) return undefined;
    const upgradeRequest = upgradeRequestOf(request);
    const hasOthers = server.listenerCount("connect") > 0;
    // An error means that `only` threw: it is the refusal of the request.
    const selection = upgradeRequest.header(":protocol") === "websocket" && host.isOurs(request);
    if (selection !== false) {
      if (hasOthers && host.takesAllUpgrades) host.warnOfOtherListeners("connect");
      return () => new Http2Upgrade(host, request, response).route(selection === true ? undefined : selection);
    }
    if (hasOthers) return undefined;
    // Without a listener, Node answers every CONNECT with 405. The refusal has the status for the actual reason.
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

  /**
   * Passes the request to the app, or refuses it. The app sees the method GET, so that the same routes serve HTTP/1.1
   * and HTTP/2.
   */
  route(refusal?: UpgradeError): void {
    const { request, stream } = this;
    // The stream carries WebSocket frames, not a body: the request object must neither read nor discard them.
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
   * Replaces the status of an ordinary page by 405. Any 2xx response to a CONNECT opens a tunnel (RFC 9110 §9.3.6), so
   * the client would parse the page as WebSocket frames. A status of 405 says that the page does not support CONNECT.
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

  /**
   * RFC 8441 §5 does not use `Sec-WebSocket-Key`. But clients that send this header (Node 26, undici 7) require
   * `Sec-WebSocket-Accept` in the response.
   */
  protected handshakeHeaders(): Record<string, string> {
    const key = this.upgradeRequest.header("sec-websocket-key");
    return isKey(key) ? { "sec-websocket-accept": acceptOf(key) } : {};
  }

  protected takeStream(): NodeStream {
    this.stream.off("aborted", this.onClientDisconnected).off("close", this.onClientDisconnected);
    return new Http2ByteStream(this.stream);
  }

  /**
   * Sends the head with `stream.respond`. After `response.writeHead`, Node would ask for trailers at the end of the
   * stream, and if the stream is aborted at that moment, a failed assertion in Node ends the process.
   */
  protected sendHead(headers: Readonly<Record<string, string>>): void {
    const { response, stream } = this;
    response.statusCode = 200;
    stream.respond = this.respond;
    stream.respond({ ...response.getHeaders(), ...headers, ":status": 200 }, { sendDate: response.sendDate } as object);
    for (const { event, listener } of this.nodeListeners) stream.off(event, listener);
    stream.on("finish", onFinish);
  }

  protected onSessionStarted(): void {
    closeHttp2SessionWhenEmpty(this.stream, this.host.group);
  }

  protected endResponse(callback: (() => void) | undefined): void {
    const { response, stream } = this;
    makeInert(response);
    Object.defineProperties(response, ENDED_RESPONSE);
    // Remove the references to the request and the response, so that an open WebSocket does not keep them in memory.
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
 * If the server is closing when the last WebSocket of an HTTP/2 session has been closed, closes the session: the client
 * receives a GOAWAY, and the session ends as soon as its other streams have ended (RFC 9113 §6.8).
 */
const closeHttp2SessionWhenEmpty = (stream: ServerHttp2Stream, group: SessionGroup): void => {
  const { session } = stream;
  if (session === undefined) return; // the client has disconnected
  const share = shareOf(session);
  share.webSockets++;
  stream.on("close", share.closeListener(group));
};

type Listener = (...args: unknown[]) => void;

interface NodeListener {
  readonly event: string;
  readonly listener: Listener;
}

const NODE_EVENTS = ["trailers", "end", "error", "aborted", "close", "timeout", "drain", "wantTrailers"];

/** Properties that make a response of Node look ended, although its stream is still open. */
const ENDED_RESPONSE: PropertyDescriptorMap = {
  writableEnded: { value: true },
  writableFinished: { value: true },
  finished: { value: true },
  destroy: { value: () => undefined },
};

/**
 * Called when the server has ended its direction of the stream, after its close frame. Some clients never end theirs,
 * so the server then closes the stream with RST_STREAM NO_ERROR (RFC 9113 §8.1). An HTTP/2 PING first gives the client
 * time to end its direction: when the acknowledgement arrives, everything that the client sent before it has arrived.
 */
function onFinish(this: ServerHttp2Stream): void {
  later(() => {
    // `later`, because this may run while nghttp2 processes received data, and nghttp2 must not write during that time.
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

  /** The number of bytes in Node's buffers. A destroyed stream may report a `writableLength` above 0 forever. */
  private get bytesInNode(): number {
    return this.pendingCallbacks > 0 ? this.unflushed : 0;
  }

  private updateShare(now: number): void {
    if (now === this.countedBytes) return;
    this.share.changed(this.countedBytes, now);
    this.countedBytes = now;
  }

  /** Calls `_write` directly if no write is pending, which bypasses the (empty) queue of Writable. */
  protected override writeDirect(part: Uint8Array): void {
    if (!this.isDirect || this.pendingCallbacks > 0) {
      super.writeDirect(part);
      return;
    }
    this.directBytes = part.length;
    this.socket._write(part, "buffer" as BufferEncoding, this.flushCallback());
  }

  /**
   * `true` for all streams of the first session in this event-loop tick (see {@link firstInTick}), and for every stream
   * whose queues are not bypassed. The writes of one session's streams share a system call: while Node processes data
   * of the session, it collects them, and sends them together afterwards.
   */
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
    // After `close` alone, the stream would wait until RST_STREAM is sent, which a client that does not read can
    // prevent.
    stream.destroy();
  }
}

/**
 * The first HTTP/2 session that flushes in this event-loop tick. Its streams flush their answers to a chunk before
 * `onBytes` returns, which is fastest if only one session is active. The streams of all other sessions flush in the
 * check phase of the event loop (`setImmediate`), after all sessions that were ready have been read, like HTTP/1.1
 * sockets: many reads followed by many writes cost much less than reads and writes in turn.
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
