/** A transport in memory: the client receives synchronously what the session sends. */
import type { Capabilities } from "../capabilities.ts";
import type { IoData, Opcode } from "../message.ts";
import { portableByteOps } from "../protocol/byte-ops.ts";
import type { CloseFrame } from "../protocol/close.ts";
import { writeIoData } from "../protocol/io-data.ts";
import type { Transport } from "../transport.ts";

/** A message from the server, as the client receives it. */
export type ReceivedMessage =
  | { readonly opcode: "text"; readonly data: string }
  | { readonly opcode: "binary" | "ping" | "pong"; readonly data: Uint8Array<ArrayBuffer> };

/** The client, as the transport notifies it. */
export interface MemoryPeer {
  /** The server sent a message. */
  onMessage(message: ReceivedMessage): void;
  /** The server sent a close frame. */
  onClose(frame: CloseFrame): void;
  /** The server destroyed the connection. */
  onAbort(): void;
  /** The server resumed reading. */
  onResume(): void;
}

/** What the transport in memory can do. */
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
  exactSelf: true,
  compress: false,
  idleClock: true,
  ignores: ["compress", "maxFrameSize", "maxMessageSize", "maxFragments", "fullsweepAfter", "maxHeapSize"],
});

interface Sent {
  readonly size: number;
  readonly arrive: () => void;
}

/** Connects a session to a {@link MemoryPeer}. */
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

  /** Starts or stops reading by the client. Returns whether nothing is buffered any more. */
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
