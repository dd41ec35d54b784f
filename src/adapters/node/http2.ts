/**
 * WebSockets over HTTP/2 (RFC 8441) on Node's own server: an extended CONNECT travels through the app as the GET that it
 * is on HTTP/1.1, and its stream takes the place of the socket.
 */
import {
  constants,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type Http2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { UpgradeError } from "../../errors.ts";
import type { Connection } from "../../protocol/connection.ts";
import { isKey } from "../../protocol/http/handshake.ts";
import type { SessionGroup } from "../../session/group.ts";
import { judge } from "../shared/decision.ts";
import { later } from "../shared/timers.ts";
import type { NodeAdapter } from "./adapter.ts";
import { FIRST_SLICE, grown, type SessionShare, shareOf } from "./http2-share.ts";
import { factsOf, type Taker } from "./requests.ts";
import { answerUpgradeError, INERT } from "./response.ts";
import { NodeStream } from "./stream.ts";
import { nextTick } from "./timers.ts";
import { acceptOf, NodeUpgrade } from "./upgrade.ts";

/** Begins to take the CONNECTs of a server of `node:http2`. */
export const takeConnects = (adapter: NodeAdapter): Taker => {
  const server = adapter.server as Http2Server;
  // RFC 8441 §3: clients wait for this setting.
  server.updateSettings({ enableConnectProtocol: true });
  return (request: Http2ServerRequest, response: Http2ServerResponse) => {
    // With `allowHTTP1`, the CONNECT of an HTTP/1.1 proxy comes as an event of the same name.
    if (!("stream" in request)) return undefined;
    const facts = factsOf(request);
    const hasOthers = server.listenerCount("connect") > 0;
    const isOurs = facts.header(":protocol") === "websocket" && adapter.isOurs(request);
    if (isOurs !== false) {
      if (hasOthers && adapter.takesAll) adapter.tellOfOthers("connect");
      return () => new Http2Upgrade(adapter, request, response).route(isOurs === true ? undefined : isOurs);
    }
    if (hasOthers) return undefined;
    // Node would answer 405 whatever is wrong.
    const refusal =
      judge(adapter, facts, adapter.defaults) ??
      new UpgradeError(405, "this server does not accept this CONNECT request", { allow: "GET" });
    return () => {
      adapter.refusals.add(refusal, request, facts, undefined);
      answerUpgradeError(refusal, response);
    };
  };
};

class Http2Upgrade extends NodeUpgrade {
  protected readonly status = 200;
  declare protected readonly request: Http2ServerRequest;
  declare protected readonly response: Http2ServerResponse;
  private readonly stream: ServerHttp2Stream;
  private readonly respond: ServerHttp2Stream["respond"];
  /** What Node has hung on the stream for its request and response. */
  private readonly hung: readonly Hung[];

  constructor(adapter: NodeAdapter, request: Http2ServerRequest, response: Http2ServerResponse) {
    super(adapter, request, response);
    this.stream = request.stream;
    this.respond = request.stream.respond;
    this.hung = HUNG.flatMap((event) =>
      this.stream.rawListeners(event).map((listener) => ({ event, listener: listener as Listener })),
    );
  }

  /** Hands the request to the app: with the method that it has on HTTP/1.1, so that the same routes serve both. */
  route(refusal?: UpgradeError): void {
    const { request, stream } = this;
    // What arrives is frames, and no body: nobody may read it, or have it dropped.
    request.push(null);
    request.removeAllListeners("pause").removeAllListeners("resume");
    stream.on("aborted", this.onGone).on("close", this.onGone);
    (request as { method: string }).method = "GET";
    this.guardSuccess();
    this.passOn(
      stream.endAfterHeaders
        ? new UpgradeError(400, "a WebSocket needs a stream that is open in both directions")
        : refusal,
    );
  }

  /**
   * A page that answers 200 to what looks like a GET would open a tunnel: any 2xx does (RFC 9110 §9.3.6), and the client
   * would read the page as frames. What it has asked for is a method that the page does not have.
   */
  private guardSuccess(): void {
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

  /** Not of RFC 8441, but clients that send a key fail without its answer. */
  protected handshakeHeaders(): Record<string, string> {
    const key = this.facts.header("sec-websocket-key");
    return isKey(key) ? { "sec-websocket-accept": acceptOf(key) } : {};
  }

  protected takeStream(): NodeStream {
    this.stream.off("aborted", this.onGone).off("close", this.onGone);
    return new Http2ByteStream(this.stream);
  }

  /**
   * Not by `writeHead`, which would have Node ask for trailers in the end: if the stream is cut off at that moment, Node's
   * assertions end the process.
   */
  protected sendHead(headers: Readonly<Record<string, string>>): void {
    const { response, stream } = this;
    response.statusCode = 200;
    stream.respond = this.respond;
    stream.respond({ ...response.getHeaders(), ...headers, ":status": 200 }, { sendDate: response.sendDate } as object);
    for (const { event, listener } of this.hung) stream.off(event, listener);
    stream.once("finish", onFinish);
  }

  protected begun(): void {
    leaveWhenEmpty(this.stream, this.adapter.group);
  }

  protected endResponse(callback: (() => void) | undefined): void {
    const { response, stream } = this;
    Object.assign(response, INERT);
    Object.defineProperties(response, ENDED);
    // An open WebSocket keeps no HTTP objects.
    const kept = stream as unknown as Record<symbol, unknown>;
    for (const symbol of Object.getOwnPropertySymbols(kept)) {
      if (kept[symbol] === response || kept[symbol] === this.request) kept[symbol] = undefined;
    }
    nextTick(() => {
      response.emit("finish");
      callback?.();
      response.emit("close");
    });
  }

  protected cutOff(): void {
    this.stream.close(constants.NGHTTP2_CANCEL);
  }
}

/**
 * When the server closes, the WebSockets come first: with the last of them, the connection that carried them gets its
 * GOAWAY, and ends with its other streams. (A GOAWAY of the client's ends nothing: what is open goes on, RFC 9113 §6.8.)
 */
const leaveWhenEmpty = (stream: ServerHttp2Stream, group: SessionGroup): void => {
  const { session } = stream;
  if (session === undefined) return; // it has gone in the meantime
  const share = shareOf(session);
  share.carried++;
  stream.once("close", () => {
    share.carried--;
    if (share.carried === 0 && group.closing) session.close();
  });
};

type Listener = (...args: unknown[]) => void;

interface Hung {
  readonly event: string;
  readonly listener: Listener;
}

const HUNG = ["trailers", "end", "error", "aborted", "close", "timeout", "drain", "wantTrailers"];

/** What Node's response says of itself when it has ended, without its stream having ended. */
const ENDED: PropertyDescriptorMap = {
  writableEnded: { value: true },
  writableFinished: { value: true },
  finished: { value: true },
  destroy: { value: () => undefined },
};

/**
 * Our direction has ended: the close frames are out. Some clients never end theirs and wait; whoever does end it has done
 * so by the time that a ping is answered (RFC 9113 §8.1).
 */
function onFinish(this: ServerHttp2Stream): void {
  later(() => {
    // Not while nghttp2 reads: Node would have it write in the middle of that, which it does not stand.
    if (isAlive(this)) this.session!.ping(() => later(() => closeCleanly(this)));
  });
}

const closeCleanly = (stream: ServerHttp2Stream): void => {
  if (isAlive(stream)) stream.close(constants.NGHTTP2_NO_ERROR);
};

const isAlive = ({ destroyed, session }: ServerHttp2Stream): boolean => !destroyed && session?.destroyed === false;

class Http2ByteStream extends NodeStream {
  private readonly share: SessionShare;
  /** The bytes that `share` counts for this stream. */
  private counted = 0;
  private largestSlice = FIRST_SLICE;

  constructor(stream: ServerHttp2Stream) {
    super(stream, true);
    this.share = shareOf(stream.session);
  }

  protected override get slice(): number {
    return this.share.sliceFor(this.counted, this.largestSlice);
  }

  override write(parts: readonly Uint8Array[]): void {
    super.write(parts);
    this.count(this.inNode);
  }

  protected override took(): void {
    if (this.asked === 1) {
      if (this.socket.destroyed) this.share.wasReset(this.counted);
      else this.count(0);
      this.counted = 0;
      if (this.queued > 0) this.largestSlice = grown(this.largestSlice);
    }
    super.took();
    this.count(this.inNode);
  }

  /** The bytes that Node has been handed. A stream that was destroyed may say for ever that something waits. */
  private get inNode(): number {
    return this.asked > 0 ? this.waiting : 0;
  }

  private count(now: number): void {
    if (now === this.counted) return;
    this.share.changed(this.counted, now);
    this.counted = now;
  }

  /** Duplex keeps a queue for those who write at another pace: while it is empty, we go without. */
  protected override hand(part: Uint8Array): void {
    if (!this.isDirect || this.asked > 0) {
      super.hand(part);
      return;
    }
    this.inHand = part.length;
    this.socket._write(part, "buffer" as BufferEncoding, this.ask());
  }

  /** What is written while Node reads from a connection goes out at the end of that, in one write for all its streams. */
  override answersAtOnce(): boolean {
    return !this.isDirect || isFirst(this.socket as unknown as ServerHttp2Stream);
  }

  override flushSoon(): void {
    if (this.answersAtOnce()) nextTick(flush, this.connection);
    else super.flushSoon();
  }

  /** RFC 8441 §5: what is a reset of TCP elsewhere is a RST_STREAM with CANCEL. */
  override destroy(): void {
    const stream = this.socket as unknown as ServerHttp2Stream;
    if (isAlive(stream)) stream.close(constants.NGHTTP2_CANCEL);
    // Not waiting for a peer whose connection is blocked.
    stream.destroy();
  }
}

/**
 * The connection of HTTP/2 that was the first to write in this turn of the event loop. It does so at once, which is best
 * where there is no other. All others wait until everything is read that has arrived, and then write one after the other,
 * like sockets of HTTP/1.1: reading many and then writing many costs much less than to and fro.
 */
let first: Http2Session | undefined;

const endTurn = (): void => {
  first = undefined;
};

const isFirst = ({ session }: ServerHttp2Stream): boolean => {
  if (first === undefined) {
    first = session;
    later(endTurn);
  }
  return first === session;
};

function flush(connection: Connection): void {
  connection.flush();
}
