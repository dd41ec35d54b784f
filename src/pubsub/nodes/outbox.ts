/** Collects what is published to other nodes in an event-loop tick: one envelope for each channel. */
import type { IoData } from "../../message.ts";
import { ioLength } from "../../protocol/io-data.ts";
import type { Clock } from "../../session/clock.ts";
import type { EngineConnection } from "./engine-connection.ts";
import { ENVELOPE_OVERHEAD, type EntryOptions, type EntryType, EnvelopeWriter, entrySize, PLAIN } from "./envelope.ts";
import type { SentNumbers } from "./numbers.ts";

/** When this many bytes are collected, they are published without waiting for the end of the event-loop tick. */
const FLUSH_THRESHOLD = 131_072;

interface OpenEnvelope {
  readonly channel: string;
  readonly writer: EnvelopeWriter;
  readonly epoch: number;
  /** The number of the first entry. */
  readonly first: number;
  /** See {@link SentNumbers.takeLost}. */
  readonly lost: number;
}

export class Outbox {
  envelopes = 0;
  entries = 0;
  bytes = 0;
  droppedAway = 0;
  droppedTooLarge = 0;
  droppedBacklog = 0;
  private readonly connection: EngineConnection;
  private readonly numbers: SentNumbers;
  private readonly clock: Clock;
  private readonly node: Uint8Array;
  /** The last envelope of each channel. */
  private readonly open = new Map<string, OpenEnvelope>();
  /** In the order in which they are published. */
  private queue: OpenEnvelope[] = [];
  private queuedBytes = 0;
  private isScheduled = false;

  /** @param node the bytes of the node's UUID */
  constructor(node: Uint8Array, connection: EngineConnection, numbers: SentNumbers, clock: Clock) {
    this.node = node;
    this.connection = connection;
    this.numbers = numbers;
    this.clock = clock;
  }

  /**
   * Publishes an entry at the end of the event-loop tick.
   *
   * @returns `false` if no other node gets it. Its number is used nevertheless, so that they know that it is missing
   */
  add(channel: string, type: EntryType, body: IoData, options: EntryOptions): boolean {
    const { connection } = this;
    const { epoch, first } = this.numbers.take(channel, 1, this.clock.now());
    if (!connection.isUp) return this.drop("droppedAway", channel, epoch, first);
    const bodySize = ioLength(body);
    const size = entrySize(bodySize, options);
    const { maxBytes } = connection;
    if (ENVELOPE_OVERHEAD + size > maxBytes) return this.drop("droppedTooLarge", channel, epoch, first);
    if (!connection.hasRoomAfter(this.queuedBytes, this.queue.length))
      return this.drop("droppedBacklog", channel, epoch, first);
    let envelope = this.open.get(channel);
    if (
      envelope === undefined ||
      envelope.epoch !== epoch ||
      envelope.first + envelope.writer.count !== first ||
      envelope.writer.isFull ||
      envelope.writer.size + size > maxBytes
    ) {
      const lost = this.numbers.takeLost(channel);
      envelope = { channel, writer: new EnvelopeWriter(this.node, epoch, first, lost), epoch, first, lost };
      this.open.set(channel, envelope);
      this.queue.push(envelope);
    }
    envelope.writer.add(type, body, bodySize, options);
    this.queuedBytes += size;
    if (this.queuedBytes >= FLUSH_THRESHOLD) this.flush();
    else this.schedule();
    return true;
  }

  /** An envelope for this node itself, which is not queued. Nobody looks at its number. */
  single(type: EntryType, body: IoData): Uint8Array {
    const writer = new EnvelopeWriter(this.node, 0, 1);
    writer.add(type, body, ioLength(body), PLAIN);
    return writer.finish();
  }

  /** Publishes everything that was added. */
  flush(): void {
    const { queue, connection } = this;
    this.queue = [];
    this.open.clear();
    this.queuedBytes = 0;
    for (const { channel, writer, epoch, first, lost } of queue) {
      const onLost = (): void => this.numbers.markLost(channel, epoch, lost || first);
      if (!connection.isUp) {
        this.droppedAway += writer.count;
        onLost();
        continue;
      }
      const bytes = writer.finish();
      this.envelopes++;
      this.entries += writer.count;
      this.bytes += bytes.length;
      connection.publish(channel, bytes, onLost);
    }
  }

  /** Counts an entry that no other node gets. */
  private drop(
    counter: "droppedAway" | "droppedTooLarge" | "droppedBacklog",
    channel: string,
    epoch: number,
    number: number,
  ): false {
    this.numbers.markLost(channel, epoch, number);
    this[counter]++;
    return false;
  }

  private schedule(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    this.clock.defer(() => {
      this.isScheduled = false;
      this.flush();
    });
  }
}
