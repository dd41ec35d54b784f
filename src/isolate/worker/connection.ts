/** A connection in a worker: the transport of its session, over the port to the main thread. */
import { nodeByteOps } from "../../adapters/shared/node-byte-ops.ts";
import type { IoData, Opcode } from "../../message.ts";
import { ioLength, writeIoData } from "../../protocol/io-data.ts";
import type { SessionListener } from "../../session/extensions.ts";
import type { Session } from "../../session/session.ts";
import type { Transport } from "../../transport.ts";
import type { Outbox } from "../outbox.ts";
import { packReason } from "../packed-error.ts";
import { ABORT, BINARY, CLOSE, ENDED, HANDLED, HIGH_WATER_MARK, OPENED, PING, PONG, sizeOf, TEXT } from "../records.ts";

const KINDS = { text: TEXT, binary: BINARY, ping: PING, pong: PONG } as const;

/** What a connection needs of its worker. */
export interface ConnectionWorker {
  readonly outbox: Outbox;
  readonly maxPending: number;
  /** Tells the watchdog that the event loop is not stuck in a callback. */
  progressed(): void;
}

export class PortConnection implements Transport, SessionListener {
  readonly id: number;
  private readonly worker: ConnectionWorker;
  private readonly maxBuffered: number;
  private session!: Session;
  /** The size of what was sent to the main thread, and of what the host has taken over there. */
  private sent = 0;
  bytesFlushed = 0;
  /** How many bytes are buffered in the main thread, as far as is known. */
  private elsewhere = 0;
  /** Messages and infos that have arrived, and the size of the messages. */
  private arrived = 0;
  private arrivedBytes = 0;
  /** How many of them the main thread knows to be handled. */
  private acknowledged = 0;
  private acknowledgedBytes = 0;
  private isClosed = false;
  private isLost = false;

  constructor(id: number, worker: ConnectionWorker, maxBuffered: number) {
    this.id = id;
    this.worker = worker;
    this.maxBuffered = maxBuffered;
  }

  /** Called before the session starts. */
  serve(session: Session): void {
    this.session = session;
    session.listen(this);
  }

  // --- from the main thread

  arrive(bytes: number): void {
    this.arrived++;
    this.arrivedBytes += bytes;
  }

  /** Tells the main thread how much was handled, as soon as that may make it pass on more. */
  acknowledge(): void {
    const { session, worker } = this;
    const count = this.arrived - session.waitingMessages - session.waitingInfos - this.acknowledged;
    const bytes = this.arrivedBytes - session.waitingBytes - this.acknowledgedBytes;
    if (count <= worker.maxPending / 4 && bytes <= HIGH_WATER_MARK / 4) return;
    this.acknowledged += count;
    this.acknowledgedBytes += bytes;
    worker.outbox.add(HANDLED, this.id, count, bytes);
  }

  flushed(bytes: number, buffered: number): void {
    this.bytesFlushed += bytes;
    this.elsewhere = buffered;
    this.session.onDrain();
  }

  lose(): void {
    this.isLost = true;
    this.session.onDisconnect();
  }

  // --- the transport

  open(): void {}

  get buffered(): number {
    return this.sent - this.bytesFlushed + this.elsewhere;
  }

  sendText(text: string): boolean {
    const { buffered } = this;
    // A UTF-16 unit has at most three bytes in UTF-8.
    if (buffered > 0 && buffered + 3 * text.length > this.maxBuffered) return false;
    this.sent += sizeOf(text);
    this.worker.outbox.addMessage(TEXT, this.id, text);
    return true;
  }

  send(opcode: Opcode, data: IoData, size: number): void {
    const crossing = ownData(opcode, data, size);
    this.sent += sizeOf(crossing);
    this.worker.outbox.addMessage(KINDS[opcode], this.id, crossing);
  }

  close(code: number | undefined, text: string): void {
    this.worker.outbox.add(CLOSE, this.id, packReason(this.session.endedBy!), code, text);
    this.leave();
  }

  abort(): void {
    if (!this.isClosed) this.worker.outbox.add(ABORT, this.id, packReason(this.session.endedBy!));
    this.leave();
  }

  pause(): void {}

  resume(): void {}

  /** A callback has returned. */
  keep(): void {
    this.worker.progressed();
    this.acknowledge();
  }

  /** The session in the main thread does the rest: it completes the closing handshake, and aborts the connection. */
  private leave(): void {
    this.isClosed = true;
    this.session.onDisconnect();
  }

  // --- events of the session

  onOpen(): void {
    this.worker.outbox.add(OPENED, this.id);
  }

  flush(): void {}

  onEnd(): void {
    if (this.isLost) this.worker.outbox.add(ENDED, this.id);
  }
}

/** Data that may cross: a text as a string, bytes in an ArrayBuffer of their own. */
export const ownData = (opcode: Opcode, data: IoData, size: number): string | Uint8Array<ArrayBuffer> => {
  if (typeof data === "string" && opcode === "text") return data;
  const bytes = nodeByteOps.alloc(size);
  writeIoData(data, bytes, 0, nodeByteOps, size);
  return opcode === "text" ? nodeByteOps.decodeUtf8(bytes, 0, size) : bytes;
};

/** The same, for a message whose size was not measured. */
export const ownMessage = ({ opcode, data }: { readonly opcode: Opcode; readonly data?: IoData | null }) => ({
  opcode,
  data: ownData(opcode, data ?? "", ioLength(data ?? "", nodeByteOps)),
});
