/** What is counted for a connection that is observed: its messages, its callbacks, and what waited. */
import type { WireTally } from "../../transport.ts";

/** The number of messages of one kind, and the bytes of their payloads. */
export class Tally {
  /** The number of messages. */
  messages = 0;
  /** The size of their payloads in bytes, before compression and without frame headers. */
  bytes = 0;

  /** @internal */
  add(size: number): void {
    this.messages++;
    this.bytes += size;
  }
}

/** The messages of one direction. */
export class Traffic {
  /** Text messages. */
  readonly text = new Tally();
  /** Binary messages. */
  readonly binary = new Tally();
  /** Pings; `undefined` on hosts that do not show them. */
  readonly ping: Tally | undefined;
  /** Pongs; `undefined` on hosts that do not show them. */
  readonly pong: Tally | undefined;
  /** Close frames. */
  readonly close = new Tally();
  /** @internal */
  readonly wire: WireTally | undefined;

  /**
   * @param control whether the host shows pings and pongs
   * @param framed whether the transport writes and parses frames
   */
  constructor(control: boolean, framed: boolean) {
    this.ping = control ? new Tally() : undefined;
    this.pong = control ? new Tally() : undefined;
    this.wire = framed ? { continuations: 0, compressedBytes: 0 } : undefined;
  }

  /** The frames of all complete messages; `undefined` on hosts that do not show frames. */
  get frames(): number | undefined {
    if (this.wire === undefined) return undefined;
    const { text, binary, ping, pong, close, wire } = this;
    const control = (ping?.messages ?? 0) + (pong?.messages ?? 0) + close.messages;
    return text.messages + binary.messages + control + wire.continuations;
  }

  /** The payload bytes of compressed messages, as transferred; `undefined` on hosts that do not show them. */
  get compressedBytes(): number | undefined {
    return this.wire?.compressedBytes;
  }

  /** For `JSON.stringify`: the numbers, with those that are computed. */
  toJSON(): object {
    const { text, binary, ping, pong, close, frames, compressedBytes } = this;
    return { text, binary, ping, pong, close, frames, compressedBytes };
  }
}

/** What waits in a connection. */
export interface Waiting {
  /** Messages that wait in the mailbox for the handler. */
  readonly messages: number;
  /** The bytes of these messages. */
  readonly bytes: number;
  /** Infos that wait in the mailbox for the handler. */
  readonly infos: number;
  /** The bytes that are buffered for the client: `self.buffered`. 0 on hosts that do not show it. */
  readonly buffered: number;
}

/** The upper bounds of {@link CallbackCounts.durations}, in milliseconds. The last bucket has none. */
export const DURATION_BOUNDS: readonly number[] = [
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000,
];

/**
 * A group is slow if it takes longer than `BASE`, and `EACH` for each of its callbacks. Callbacks are timed in groups
 * again when one takes less than `FAST`. In milliseconds.
 */
const SLOW = { BASE: 0.25, EACH: 0.003, FAST: 0.005 } as const;

/**
 * The callbacks of a connection. Reading the clock takes 50 ns, a tenth of the time of a short message. So the calls of
 * `handleIn` for messages that arrived in one chunk, and are handled immediately, are timed as a group. If a group is
 * slow, that is nearly always because of one call: the whole duration is attributed to it, and the next calls are timed
 * one by one until they are fast again. All other callbacks are timed one by one.
 */
export class CallbackCounts {
  /** The number of callbacks that have returned, or whose promise has settled. */
  count = 0;
  /** The errors of callbacks that were reported to `onError`. */
  errors = 0;
  /** How long all of them took together, in milliseconds. */
  total = 0;
  /** How long the longest took, in milliseconds. */
  longest = 0;
  /** The number of callbacks by duration. For the bounds, see {@link DURATION_BOUNDS}. */
  readonly durations: number[] = Array<number>(DURATION_BOUNDS.length + 1).fill(0);

  /** @internal A chunk is being handled. */
  inChunk = false;
  /** @internal The callbacks of a chunk are timed one by one. */
  slow = false;
  /** @internal The number of pings and pongs that wait in the mailbox for `handleControl`. */
  queuedControls = 0;
  readonly #now: () => number;
  /** How many of them were in no group, and in one. */
  #ungrouped = 0;
  #grouped = 0;
  /** In a chunk: when the clock was last read. */
  #readAt = 0;

  /** @param now reads a clock, in milliseconds with fractions */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** @internal Messages that have arrived together are about to be handled. `false`: others already are. */
  beginChunk(): boolean {
    if (this.inChunk) return false;
    this.inChunk = true;
    this.#readAt = this.#now();
    return true;
  }

  /**
   * @internal In a chunk: all callbacks that were called have returned.
   *
   * @param handled the number of messages that were passed to `handleIn`, or dropped
   */
  endGroup(handled: number): void {
    const grouped = handled - this.#ungrouped;
    const callbacks = grouped - this.#grouped;
    this.#grouped = grouped;
    const now = this.#now();
    if (callbacks > 0) {
      const duration = now - this.#readAt;
      this.slow = duration > (this.slow ? SLOW.FAST : SLOW.BASE + SLOW.EACH * callbacks);
      this.#add(duration, callbacks, this.slow ? duration : duration / callbacks);
    }
    this.#readAt = now;
  }

  /** @internal So many messages in the mailbox are dropped: they belong to no group. */
  dropped(messages: number): void {
    this.#ungrouped += messages - this.queuedControls;
    this.queuedControls = 0;
  }

  /**
   * @internal A callback that belongs to no group is about to be called. Returns the time.
   *
   * @param messages 1 for `handleIn`, otherwise 0
   * @param handled see {@link endGroup}
   */
  start(messages: number, handled: () => number): number {
    this.#ungrouped += messages;
    if (!this.inChunk) return this.#now();
    this.endGroup(handled());
    return this.#readAt;
  }

  /**
   * @internal The last callback that was called in a group has returned a promise: it leaves the group. Returns when it
   * was called, if it was the only one; otherwise, the time until now is the group's.
   *
   * @param handled see {@link endGroup}
   */
  startedInGroup(handled: () => number): number {
    const { count } = this;
    const readAt = this.#readAt;
    const now = this.start(1, handled);
    return this.inChunk && this.count === count ? readAt : now;
  }

  /** @internal A callback that was started at `start` has returned, or its promise has settled. */
  finish(start: number): void {
    const now = this.#now();
    this.#add(now - start, 1, now - start);
    if (this.inChunk) this.#readAt = now;
  }

  /** @param longest the duration of one of them. The others are counted in the first bucket */
  #add(duration: number, callbacks: number, longest: number): void {
    this.count += callbacks;
    this.total += duration;
    if (longest > this.longest) this.longest = longest;
    const { durations } = this;
    durations[0]! += callbacks - 1;
    let bucket = 0;
    while (bucket < DURATION_BOUNDS.length && longest > DURATION_BOUNDS[bucket]!) bucket++;
    durations[bucket]!++;
  }
}

/** What is counted for a connection. The numbers change while the connection is open. */
export class ConnectionCounts {
  /** What the client has sent. */
  readonly received: Traffic;
  /** What was sent to the client. */
  readonly sent: Traffic;
  /** The callbacks of the handler. */
  readonly callbacks: CallbackCounts;
  /** The most that has ever waited. */
  readonly most: { -readonly [Name in keyof Waiting]: number } = { messages: 0, bytes: 0, infos: 0, buffered: 0 };
  readonly #waiting: () => Waiting;

  /**
   * @param control whether the host shows pings and pongs
   * @param framed whether the transport writes and parses frames
   * @param now reads a clock, in milliseconds with fractions
   * @param waiting what waits now
   */
  constructor(control: boolean, framed: boolean, now: () => number, waiting: () => Waiting) {
    this.received = new Traffic(control, framed);
    this.sent = new Traffic(control, framed);
    this.callbacks = new CallbackCounts(now);
    this.#waiting = waiting;
  }

  /** What waits now. */
  get waiting(): Waiting {
    return this.#waiting();
  }
}
