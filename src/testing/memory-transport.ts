/** A transport without a wire: what the session sends is at the client at once. */

import type { Capabilities } from "../capabilities.ts";
import type { IoData, Opcode } from "../message.ts";
import { portableByteOps } from "../protocol/byte-ops.ts";
import type { CloseFrame } from "../protocol/close.ts";
import { writeIoData } from "../protocol/io-data.ts";
import type { Transport } from "../transport.ts";

/** A message as the client gets it. */
export type ReceivedMessage =
  | { readonly opcode: "text"; readonly data: string }
  | { readonly opcode: "binary" | "ping" | "pong"; readonly data: Uint8Array<ArrayBuffer> };

/** The client's end of the transport. */
export interface MemoryPeer {
  onMessage(message: ReceivedMessage): void;
  /** The server's close frame. */
  onClose(frame: CloseFrame): void;
  /** The server cut the connection off. */
  onAbort(): void;
  /** The server reads again. */
  onResume(): void;
}

export const capabilities = Object.freeze<Capabilities>({
  host: "memory",
  control: true,
  pause: true,
  drain: true,
  closeDetail: true,
  answersClose: true,
  abort: true,
  asyncContext: true,
  crossConnection: true,
  compress: false,
  idleClock: true,
  ignores: ["compress", "maxFrameSize", "maxMessageSize", "maxFragments", "fullsweepAfter", "maxHeapSize"],
});

interface Sent {
  readonly size: number;
  readonly arrive: () => void;
}

export class MemoryTransport implements Transport {
  buffered = 0;
  bytesFlushed = 0;
  paused = false;
  private peerReads = true;
  private readonly peer: MemoryPeer;
  private readonly waiting: Sent[] = [];

  constructor(peer: MemoryPeer) {
    this.peer = peer;
  }

  /** The peer calls the session itself. */
  open(): void {}

  send(opcode: Opcode, data: IoData, size: number): void {
    const message = received(opcode, data, size);
    this.deliver({ size, arrive: () => this.peer.onMessage(message) });
  }

  close(code: number | undefined, text: string): void {
    this.deliver({ size: 0, arrive: () => this.peer.onClose({ code, text }) });
  }

  abort(): void {
    this.peer.onAbort();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.peer.onResume();
  }

  /** The client begins or stops to take what is sent. `true`: all that waited is taken now. */
  setReading(reads: boolean): boolean {
    this.peerReads = reads;
    while (this.peerReads && this.waiting.length > 0) {
      const sent = this.waiting.shift()!;
      this.buffered -= sent.size;
      this.arrive(sent);
    }
    return this.waiting.length === 0;
  }

  private deliver(sent: Sent): void {
    if (this.peerReads && this.waiting.length === 0) {
      this.arrive(sent);
    } else {
      this.buffered += sent.size;
      this.waiting.push(sent);
    }
  }

  private arrive(sent: Sent): void {
    this.bytesFlushed += sent.size;
    sent.arrive();
  }
}

const received = (opcode: Opcode, data: IoData, size: number): ReceivedMessage => {
  const bytes = new Uint8Array(size);
  writeIoData(data, bytes, 0, portableByteOps);
  return opcode === "text" ? { opcode, data: portableByteOps.decodeUtf8(bytes, 0, size) } : { opcode, data: bytes };
};
