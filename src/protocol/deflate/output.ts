/** Sends the messages of a connection with compression in order, although large ones are compressed in another thread. */
import type { IoData } from "../../message.ts";
import { FIN, OPCODE, RSV1 } from "../frame.ts";
import { type Compressor, SYNC_LIMIT } from "./compressor.ts";

/** Writes a frame. `first`: its first byte. */
export type WriteFrame = (first: number, data: IoData, size: number) => void;

interface QueuedMessage {
  readonly opcode: number;
  readonly data: IoData;
  readonly size: number;
}

export class CompressedOutput {
  /** The size of the queued messages in bytes: the message that is being compressed, and those behind it. */
  queuedBytes = 0;

  private readonly compressor: Compressor;
  private readonly write: WriteFrame;
  private queue: QueuedMessage[] = [];

  constructor(compressor: Compressor, write: WriteFrame) {
    this.compressor = compressor;
    this.write = write;
  }

  send(opcode: number, data: IoData, size: number): void {
    if (this.queue.length > 0) this.enqueue({ opcode, data, size });
    // Control frames are never compressed (RFC 7692 §6.1).
    else if (opcode >= OPCODE.close || size < this.compressor.threshold) this.write(FIN | opcode, data, size);
    else if (size <= SYNC_LIMIT) this.writeCompressed({ opcode, data, size }, this.compressor.compress(data, size));
    else {
      this.enqueue({ opcode, data, size });
      this.compressFirst();
    }
  }

  private enqueue(message: QueuedMessage): void {
    this.queue.push(message);
    this.queuedBytes += message.size;
  }

  private compressFirst(): void {
    const message = this.queue[0]!;
    this.compressor.compressAsync(message.data, message.size, (payload) => {
      const { queue } = this;
      this.queue = [];
      this.queuedBytes = 0;
      this.writeCompressed(message, payload);
      for (const { opcode, data, size } of queue.slice(1)) this.send(opcode, data, size);
    });
  }

  private writeCompressed({ opcode, data, size }: QueuedMessage, payload: Uint8Array | undefined): void {
    if (payload === undefined) this.write(FIN | opcode, data, size);
    else this.write(FIN | RSV1 | opcode, payload, payload.length);
  }
}
