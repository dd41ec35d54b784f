/**
 * The numbers of what is published: for each node and channel from 1, without holes, so that a receiver recognises what
 * it has already received, and what is missing.
 */

/** What is published to a channel later than this many milliseconds after its last use begins a new epoch. */
export const SENDER_EXPIRY = 600_000;

interface Counter {
  readonly epoch: number;
  next: number;
  usedAt: number;
}

/** The numbers of what this node publishes. */
export class SentNumbers {
  /** In the order of their last use. */
  private readonly counters = new Map<string, Counter>();
  private epochs = 0;

  /** Takes the next `count` numbers of a channel. */
  take(channel: string, count: number, now: number): { readonly epoch: number; readonly first: number } {
    const counter = this.counters.get(channel) ?? { epoch: ++this.epochs, next: 1, usedAt: now };
    const first = counter.next;
    counter.next += count;
    if (counter.usedAt !== now || first === 1) {
      counter.usedAt = now;
      this.counters.delete(channel);
      this.counters.set(channel, counter);
    }
    return { epoch: counter.epoch, first };
  }

  /** Forgets the channels that have not been used for {@link SENDER_EXPIRY}: their next epoch is a greater one. */
  expire(now: number): void {
    for (const [channel, { usedAt }] of this.counters) {
      if (usedAt + SENDER_EXPIRY > now) return;
      this.counters.delete(channel);
    }
  }

  get size(): number {
    return this.counters.size;
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

/** The numbers of what other nodes have published. */
export class ReceivedNumbers {
  private readonly channels = new Map<string, Map<string, Position>>();

  /** Records that `count` entries have come from a node, from the number `first` on. */
  accept(channel: string, node: string, epoch: number, first: number, count: number): Receipt {
    let nodes = this.channels.get(channel);
    if (nodes === undefined) this.channels.set(channel, (nodes = new Map()));
    const position = nodes.get(node);
    const end = first + count;
    if (position === undefined) {
      // What was published before this channel was listened to is not missing.
      nodes.set(node, { epoch, next: end });
      return { duplicates: 0, missed: 0 };
    }
    if (epoch < position.epoch) return { duplicates: count, missed: 0 };
    const expected = epoch > position.epoch ? 1 : position.next;
    position.epoch = epoch;
    position.next = Math.max(expected, end);
    return { duplicates: Math.min(count, Math.max(0, expected - first)), missed: Math.max(0, first - expected) };
  }

  forgetChannel(channel: string): void {
    this.channels.delete(channel);
  }

  forgetNode(node: string): void {
    for (const nodes of this.channels.values()) nodes.delete(node);
  }
}
