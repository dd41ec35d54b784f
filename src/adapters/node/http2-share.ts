/**
 * How much each stream of an HTTP/2 session may hand to Node at once.
 *
 * Node counts every byte that it was handed and has not sent against the session's `maxSessionMemory` (10 MB by default).
 * Above that limit it refuses every new stream with ENHANCE_YOUR_CALM, and after 100 refusals it ends the session together
 * with all its healthy streams. Bytes that wait in our own queue count against nothing but the connection's `maxBuffered`.
 */
import type { Http2Session } from "node:http2";
import { MAX_PENDING_WRITE } from "./stream.ts";

/** No stream may have more bytes than this in Node's hands, as on a socket of its own. */
const LARGEST = MAX_PENDING_WRITE;

/**
 * A stream begins with this number of bytes, and may have twice as many with each slice that the peer has taken. Most peers
 * have a window of 65 535 bytes (RFC 9113 §6.9.2): one that never reads stops in its second slice.
 */
export const FIRST_SLICE = 32_768;

/** The limit of a stream whose peer has taken a slice of `limit` bytes, and for which more is waiting. */
export const nextSliceSize = (limit: number): number => Math.min(LARGEST, 2 * limit);

/** Every stream may have this number of bytes there, however many others there are: else some would never be served. */
const SMALLEST = 512;

/** The streams of one session together, apart from what {@link SMALLEST} allows above it. */
const TOTAL = 5_242_880;

/** What the WebSockets of one HTTP/2 session have in common. */
export class SessionShare {
  /** The number of open WebSockets. */
  webSockets = 0;
  private readonly session: Http2Session | undefined;
  /** The number of bytes that Node has been handed and has not sent. */
  private held = 0;
  /** The number of streams that these bytes belong to. */
  private holders = 0;
  /** Those of `held` that are lost. */
  private lost = 0;

  /** Without a session the client has gone, and what is written goes nowhere. */
  constructor(session: Http2Session | undefined) {
    this.session = session;
  }

  /**
   * The number of bytes that a stream may have in Node's hands, of which it has `own` already: an equal share of what the
   * others leave, but not more than `largest`. Bytes can't be taken back from a stream that stops reading; so each further
   * one of those gets less, and together they never use up the total.
   */
  sliceFor(own: number, largest = LARGEST): number {
    const holders = own > 0 ? this.holders : this.holders + 1;
    return Math.max(SMALLEST, Math.min(largest, Math.floor((TOTAL - this.held + own) / holders)));
  }

  /** A stream had `before` bytes in Node's hands, and has `now` bytes there. */
  changed(before: number, now: number): void {
    this.held += now - before;
    if (before === 0 && now > 0) this.holders++;
    else if (before > 0 && now === 0) this.holders--;
  }

  /**
   * A stream was reset with `bytes` in Node's hands. Node 20 to 26 count these for as long as the session lives. So a session
   * that has lost many is retired with a GOAWAY: its streams go on, and the client opens others on a new session.
   */
  wasReset(bytes: number): void {
    if (bytes === 0) return;
    this.holders--;
    this.lost += bytes;
    if (this.lost > TOTAL / 2 && this.session?.closed === false) this.session.close();
  }
}

const shares = new WeakMap<Http2Session, SessionShare>();

/** The record of a session; it is made when the session carries its first WebSocket. */
export const shareOf = (session: Http2Session | undefined): SessionShare => {
  if (session === undefined) return new SessionShare(undefined);
  let share = shares.get(session);
  if (share === undefined) {
    share = new SessionShare(session);
    shares.set(session, share);
  }
  return share;
};
