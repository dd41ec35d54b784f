/**
 * The numbers of what is published: for each node and channel from 1, without holes, so that a receiver recognizes what
 * it has already received, and what is missing.
 */

/**
 * For how many milliseconds the numbers of a channel are kept after its last use, at least. When it is used again
 * later, it may begin a new epoch.
 */
export const SENDER_EXPIRY = 600_000;

interface Counter {
  readonly epoch: number;
  next: number;
  /** The first number that was lost since the last envelope; 0: none. */
  lost: number;
}

/**
 * A map that keeps its entries for a time, at least, without a timer for each: when the time has passed, the recent
 * entries become the older ones, which are then forgotten.
 */
class ExpiringMap<Value> {
  private readonly expiry: number;
  private recent = new Map<string, Value>();
  private older = new Map<string, Value>();
  private replacedAt = 0;

  /** @param expiry in milliseconds */
  constructor(expiry: number) {
    this.expiry = expiry;
  }

  get(key: string): Value | undefined {
    return this.recent.get(key) ?? this.older.get(key);
  }

  /** Like {@link get}; the value is kept for the whole time again. */
  use(key: string): Value | undefined {
    const recent = this.recent.get(key);
    if (recent !== undefined) return recent;
    const older = this.older.get(key);
    if (older !== undefined) this.recent.set(key, older);
    return older;
  }

  set(key: string, value: Value): void {
    this.recent.set(key, value);
  }

  /** Forgets what has expired. */
  expire(now: number): void {
    if (now < this.replacedAt + this.expiry) return;
    this.older = this.recent;
    this.recent = new Map();
    this.replacedAt = now;
  }

  *values(): Iterable<Value> {
    yield* this.recent.values();
    yield* this.older.values();
  }
}

/** The numbers of what this node publishes. */
export class SentNumbers {
  private readonly counters = new ExpiringMap<Counter>(SENDER_EXPIRY);
  private epochs = 0;

  /** Takes the next `count` numbers of a channel. */
  take(channel: string, count: number, now: number): { readonly epoch: number; readonly first: number } {
    const { counters } = this;
    counters.expire(now);
    let counter = counters.use(channel);
    if (counter === undefined) {
      // An epoch is greater than all earlier ones, so that its numbers can begin again.
      counter = { epoch: ++this.epochs, next: 1, lost: 0 };
      counters.set(channel, counter);
    }
    const first = counter.next;
    counter.next += count;
    return { epoch: counter.epoch, first };
  }

  /** A number was lost. The next envelope says so, also to nodes that have received nothing of this channel yet. */
  markLost(channel: string, epoch: number, number: number): void {
    const counter = this.counters.get(channel);
    if (counter?.epoch === epoch && (counter.lost === 0 || number < counter.lost)) counter.lost = number;
  }

  /** The first number that was lost since the last call; 0: none. */
  takeLost(channel: string): number {
    const counter = this.counters.get(channel);
    const lost = counter?.lost ?? 0;
    if (counter !== undefined) counter.lost = 0;
    return lost;
  }
}

/** What a receiver does with an envelope. */
export interface Receipt {
  /** How many entries at its start were received before. */
  readonly duplicates: number;
  /** How many entries before its first are missing. */
  readonly missed: number;
}

interface Position {
  epoch: number;
  next: number;
}

/**
 * After a channel was left, its numbers are kept for this many milliseconds, at least. A client library that repeats
 * messages does so when it connects again, and a member may have come back before.
 */
const LEFT_EXPIRY = 60_000;

/** The numbers of what other nodes have published. */
export class ReceivedNumbers {
  private readonly channels = new Map<string, Map<string, Position>>();
  /** The numbers of channels that were left. */
  private readonly left = new ExpiringMap<Map<string, Position>>(LEFT_EXPIRY);

  /**
   * Records that `count` entries have come from a node, from the number `first` on.
   *
   * @param lost the first number that the node has lost since its last envelope; 0: none
   */
  accept(channel: string, node: string, epoch: number, first: number, count: number, lost = 0): Receipt {
    let nodes = this.channels.get(channel);
    if (nodes === undefined) this.channels.set(channel, (nodes = new Map()));
    const known = nodes.get(node);
    if (known !== undefined) return advance(known, epoch, first, count);
    // What was published before the channel was joined is not missing, unless the node says that it has just been lost.
    // What was received before the channel was left is known.
    const earlier = this.left.get(channel)?.get(node);
    const position = { ...(earlier ?? { epoch, next: first }) };
    nodes.set(node, position);
    const { duplicates } = advance(position, epoch, first, count);
    return { duplicates, missed: lost === 0 ? 0 : Math.max(0, first - Math.max(lost, earlier?.next ?? 0)) };
  }

  leaveChannel(channel: string, now: number): void {
    const nodes = this.channels.get(channel);
    this.channels.delete(channel);
    this.left.expire(now);
    if (nodes === undefined || nodes.size === 0) return;
    // Also of nodes of which nothing has come since the channel was left before.
    this.left.set(channel, new Map([...(this.left.get(channel) ?? []), ...nodes]));
  }

  forgetNode(node: string): void {
    for (const channels of [this.channels, this.left]) for (const nodes of channels.values()) nodes.delete(node);
  }
}

/** Moves a position behind the entries that have come. */
const advance = (position: Position, epoch: number, first: number, count: number): Receipt => {
  if (epoch < position.epoch) return { duplicates: count, missed: 0 };
  const expected = epoch > position.epoch ? 1 : position.next;
  position.epoch = epoch;
  position.next = Math.max(expected, first + count);
  return { duplicates: Math.min(count, Math.max(0, expected - first)), missed: Math.max(0, first - expected) };
};
