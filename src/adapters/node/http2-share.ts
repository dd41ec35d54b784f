/**
 * Limits on the bytes that the streams of one HTTP/2 session may pass to Node.
 *
 * Node counts every byte that it has received from us and not sent yet against the session's `maxSessionMemory` (10 MB
 * by default). Above that limit it refuses every new stream with ENHANCE_YOUR_CALM, and after 100 refusals it ends the
 * session together with all its healthy streams. Bytes in our own queue only count against the connection's
 * `maxBuffered`.
 */
import type { Http2Session } from "node:http2";
import type { SessionGroup } from "../../session/group.ts";
import { MAX_PENDING_WRITE } from "./stream.ts";

/** Maximum for one stream, the same as for a TCP socket. */
const LARGEST = MAX_PENDING_WRITE;

/**
 * The first slice of a stream. The limit doubles with each slice that the peer has received. Most peers have a window
 * of 65 535 bytes (RFC 9113 §6.9.2): one that never reads stops in its second slice.
 */
export const FIRST_SLICE = 32_768;

/** The next limit of a stream whose peer has received a slice of `limit` bytes, and which has more to send. */
export const nextSliceSize = (limit: number): number => Math.min(LARGEST, 2 * limit);

/** Guaranteed to every stream, however many there are. */
const SMALLEST = 512;

/** Maximum for all streams of a session together, except for what {@link SMALLEST} guarantees. */
const TOTAL = 5_242_880;

type Closing = Pick<SessionGroup, "closing">;

/** The state that all WebSockets of one HTTP/2 session share. */
export class SessionShare {
  /** The number of open WebSockets. */
  webSockets = 0;
  private readonly closeListeners = new Map<Closing, () => void>();
  private readonly session: Http2Session | undefined;
  /** The number of bytes that were passed to Node and not sent yet. */
  private held = 0;
  /** The number of streams that these bytes belong to. */
  private holders = 0;
  /** The part of `held` that Node never releases. */
  private lost = 0;

  /** @param session `undefined` if the client has disconnected: nothing is sent any more */
  constructor(session: Http2Session | undefined) {
    this.session = session;
  }

  /**
   * Returns the listener for `close` of the streams whose WebSockets belong to `group`. They share it, because a
   * closure for each stream would account for a tenth of its memory.
   */
  closeListener(group: Closing): () => void {
    let listener = this.closeListeners.get(group);
    if (listener === undefined) {
      listener = () => {
        this.webSockets--;
        if (this.webSockets === 0 && group.closing) this.session?.close();
      };
      this.closeListeners.set(group, listener);
    }
    return listener;
  }

  /**
   * The number of bytes that a stream may have in Node's buffers, including its `own` present ones: an equal share of
   * what other streams leave, up to `largest`. Bytes can't be withdrawn from a stream whose peer has stopped reading,
   * so each further such stream gets less, and together they never use up the total.
   */
  sliceFor(own: number, largest = LARGEST): number {
    const holders = own > 0 ? this.holders : this.holders + 1;
    return Math.max(SMALLEST, Math.min(largest, Math.floor((TOTAL - this.held + own) / holders)));
  }

  /** Called when the bytes of a stream in Node's buffers have changed. */
  changed(before: number, now: number): void {
    this.held += now - before;
    if (before === 0 && now > 0) this.holders++;
    else if (before > 0 && now === 0) this.holders--;
  }

  /**
   * Called when a stream was reset with `bytes` in Node's buffers. Node 20 to 26 count these until the session ends. A
   * session that has lost many is retired with a GOAWAY: its streams continue, and the client opens new streams on a
   * new session.
   */
  wasReset(bytes: number): void {
    if (bytes === 0) return;
    this.holders--;
    this.lost += bytes;
    if (this.lost > TOTAL / 2 && this.session?.closed === false) this.session.close();
  }
}

const shares = new WeakMap<Http2Session, SessionShare>();

/** Returns the state of a session, which is created with its first WebSocket. */
export const shareOf = (session: Http2Session | undefined): SessionShare => {
  if (session === undefined) return new SessionShare(undefined);
  let share = shares.get(session);
  if (share === undefined) {
    share = new SessionShare(session);
    shares.set(session, share);
  }
  return share;
};
