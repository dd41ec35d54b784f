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
 * The numbers of what this node publishes. They must not be kept for all channels that were ever used, so there are two
 * maps: every {@link SENDER_EXPIRY}, the recent one becomes the older one, which is forgotten.
 */
export class SentNumbers {
  private recent = new Map<string, Counter>();
  private older = new Map<string, Counter>();
  private replacedAt = 0;
  private epochs = 0;

  /** Takes the next `count` numbers of a channel. */
  take(channel: string, count: number, now: number): { readonly epoch: number; readonly first: number } {
    if (now >= this.replacedAt + SENDER_EXPIRY) {
      this.older = this.recent;
      this.recent = new Map();
      this.replacedAt = now;
    }
    let counter = this.recent.get(channel);
    if (counter === undefined) {
      // An epoch is greater than all earlier ones, so that its numbers can begin again.
      counter = this.older.get(channel) ?? { epoch: ++this.epochs, next: 1, lost: 0 };
      this.recent.set(channel, counter);
    }
    const first = counter.next;
    counter.next += count;
    return { epoch: counter.epoch, first };
  }

  /** A number was lost. The next envelope says so, also to nodes that have received nothing of this channel yet. */
  markLost(channel: string, epoch: number, number: number): void {
    const counter = this.recent.get(channel) ?? this.older.get(channel);
    if (counter?.epoch === epoch && (counter.lost === 0 || number < counter.lost)) counter.lost = number;
  }

  /** The first number that was lost since the last call; 0: none. */
  takeLost(channel: string): number {
    const counter = this.recent.get(channel) ?? this.older.get(channel);
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
  /** The numbers of channels that were left, in two maps: see {@link SentNumbers}. */
  private left = new Map<string, Map<string, Position>>();
  private older = new Map<string, Map<string, Position>>();
  private replacedAt = 0;

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
    const earlier = this.left.get(channel)?.get(node) ?? this.older.get(channel)?.get(node);
    const position = { ...(earlier ?? { epoch, next: first }) };
    nodes.set(node, position);
    const { duplicates } = advance(position, epoch, first, count);
    return { duplicates, missed: lost === 0 ? 0 : Math.max(0, first - Math.max(lost, earlier?.next ?? 0)) };
  }

  leaveChannel(channel: string, now: number): void {
    const nodes = this.channels.get(channel);
    this.channels.delete(channel);
    if (now >= this.replacedAt + LEFT_EXPIRY) {
      this.older = now >= this.replacedAt + 2 * LEFT_EXPIRY ? new Map() : this.left;
      this.left = new Map();
      this.replacedAt = now;
    }
    if (nodes !== undefined && nodes.size > 0) this.left.set(channel, nodes);
  }

  forgetNode(node: string): void {
    for (const channels of [this.channels, this.left, this.older])
      for (const nodes of channels.values()) nodes.delete(node);
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
