/** What a node and the broker send each other, over whatever connects them. */

/** Of this protocol. A primary process and its workers may have different releases of the package. */
export const VERSION = 1;

/** Published messages, in order. */
export interface Batch {
  readonly kind: "messages";
  /** The channel of each message. */
  readonly channels: readonly string[];
  /** The size of each message. */
  readonly lengths: readonly number[];
  /** All messages, one after another. */
  readonly bytes: Uint8Array;
}

/** From a node to the broker. */
export type ToBroker =
  /** The first message, and the first after `reconnect()`: the broker forgets what the node has subscribed to. */
  | { readonly kind: "join"; readonly version: number; readonly node: string; readonly binary: Uint8Array }
  /** Subscribes and unsubscribes. The broker confirms the number. */
  | {
      readonly kind: "interest";
      readonly id: number;
      readonly add: readonly string[];
      readonly remove: readonly string[];
    }
  | Batch
  | { readonly kind: "leave" };

/** From the broker to a node. */
export type FromBroker =
  /** Answers `join`. `binary` shows whether bytes arrive as such. */
  | { readonly kind: "welcome"; readonly binary: Uint8Array }
  /** Answers `join` with a version that the broker does not know. */
  | { readonly kind: "refused"; readonly version: number }
  | { readonly kind: "confirmed"; readonly id: number }
  /** Messages were dropped here, because the node was too slow. */
  | { readonly kind: "lost" }
  | Batch;

/** Sends to the other side, in order. */
export interface Port<Message> {
  /**
   * Sends a message. It must not throw.
   *
   * @param taken called at most once: with `true` when the other side, or the operating system, has taken the message.
   * It may be omitted when the port is closed
   */
  send(message: Message, taken?: (ok: boolean) => void): void;
  /** Closes the port, and removes its listeners. What was sent still arrives, if possible. */
  close(): void;
}

/** What a {@link Port} calls, never within a call of its own methods. */
export interface PortEvents<Message> {
  message(message: Message): void;
  /** The other side is gone, and will not come back. */
  closed(cause: Error): void;
}

/** A batch is sent when so many bytes are collected, at the latest. */
export const MAX_BATCH = 256 * 1024;

/** Collects the messages of a {@link Batch}. */
export class BatchWriter {
  /** The sum of the messages' sizes, and of what each costs besides. */
  size = 0;
  private channels: string[] = [];
  private chunks: Uint8Array[] = [];
  private total = 0;

  get isEmpty(): boolean {
    return this.channels.length === 0;
  }

  add(channel: string, bytes: Uint8Array): void {
    this.channels.push(channel);
    this.chunks.push(bytes);
    this.total += bytes.length;
    this.size += costOf(channel, bytes);
  }

  /** Returns what was collected, with memory of its own, and begins again. */
  take(): Batch {
    const { channels, chunks, total } = this;
    const bytes = new Uint8Array(total);
    let offset = 0;
    for (const chunk of chunks) {
      bytes.set(chunk, offset);
      offset += chunk.length;
    }
    this.channels = [];
    this.chunks = [];
    this.size = this.total = 0;
    return { kind: "messages", channels, lengths: chunks.map((chunk) => chunk.length), bytes };
  }
}

/** Roughly the memory that an object of a batch takes besides its bytes. */
const OVERHEAD = 64;

/** What a message counts for a limit in bytes. */
export const costOf = (channel: string, bytes: Uint8Array): number => bytes.length + channel.length + OVERHEAD;

/** Calls `take` for each message of a batch. */
export const forEachMessage = (
  { channels, lengths, bytes }: Batch,
  take: (channel: string, bytes: Uint8Array) => void,
): void => {
  let offset = 0;
  for (const [i, channel] of channels.entries()) {
    const end = offset + lengths[i]!;
    take(channel, bytes.subarray(offset, end));
    offset = end;
  }
};
