/**
 * Sends the messages of a connection with compression in order, although large ones are compressed in another thread.
 */
import type { IoData } from "../../message.ts";
import { FIN, OPCODE, RSV1 } from "../frame.ts";
import type { SharedSlice, SliceReceiver } from "../shared-messages.ts";
import { type Compressor, SYNC_LIMIT } from "./compressor.ts";

/** Where the frames go. An interface and not two functions, which each connection would have to create. */
export interface FrameSink {
  /** Writes a frame. `firstByte`: the first byte of its header. */
  writeFrame(firstByte: number, data: IoData, size: number): void;
  /** Writes complete frames. */
  writeFrames(frames: Uint8Array): void;
  /** The payload of a compressed message has `bytes` bytes. */
  onCompressedSent(bytes: number): void;
}

/** Stands for an empty queue. Never add to it. */
const EMPTY_QUEUE: never[] = [];

interface QueuedMessage {
  readonly opcode: number;
  readonly data: IoData;
  readonly size: number;
}

export class CompressedOutput implements SliceReceiver {
  /** The size in bytes of what is queued: the message that is being compressed, and everything behind it. */
  queuedBytes = 0;

  private readonly compressor: Compressor;
  private readonly sink: FrameSink;
  /** The message that is being compressed, followed by other messages and by complete frames. */
  private queue: (QueuedMessage | Uint8Array)[] = EMPTY_QUEUE;

  constructor(compressor: Compressor, sink: FrameSink) {
    this.compressor = compressor;
    this.sink = sink;
  }

  send(opcode: number, data: IoData, size: number): void {
    if (this.queue.length > 0) this.enqueue({ opcode, data, size });
    // Control frames are never compressed (RFC 7692 §6.1).
    else if (opcode >= OPCODE.close || size < this.compressor.threshold) this.sink.writeFrame(FIN | opcode, data, size);
    else if (size <= SYNC_LIMIT) this.writeCompressed({ opcode, data, size }, this.compressor.compress(data, size));
    else {
      this.enqueue({ opcode, data, size });
      this.compressFirst();
    }
  }

  /** Sends messages that are shared with other connections. */
  sendShared(slice: SharedSlice): void {
    const { compressor } = this;
    slice.sendTo(this, compressor.isShared ? compressor : undefined);
  }

  sendFrames(frames: Uint8Array, compressedBytes: number): void {
    if (compressedBytes > 0) this.sink.onCompressedSent(compressedBytes);
    if (this.queue.length === 0) {
      this.sink.writeFrames(frames);
      return;
    }
    this.queue.push(frames);
    this.queuedBytes += frames.length;
  }

  private enqueue(message: QueuedMessage): void {
    if (this.queue === EMPTY_QUEUE) this.queue = [];
    this.queue.push(message);
    this.queuedBytes += message.size;
  }

  private compressFirst(): void {
    const message = this.queue[0] as QueuedMessage;
    this.compressor.compressAsync(message.data, message.size, (payload) => {
      const { queue } = this;
      this.queue = EMPTY_QUEUE;
      this.queuedBytes = 0;
      this.writeCompressed(message, payload);
      for (const next of queue.slice(1))
        if (next instanceof Uint8Array) this.sendFrames(next, 0);
        else this.send(next.opcode, next.data, next.size);
    });
  }

  private writeCompressed({ opcode, data, size }: QueuedMessage, payload: Uint8Array | undefined): void {
    if (payload === undefined) {
      this.sink.writeFrame(FIN | opcode, data, size);
      return;
    }
    this.sink.onCompressedSent(payload.length);
    this.sink.writeFrame(FIN | RSV1 | opcode, payload, payload.length);
  }
}
