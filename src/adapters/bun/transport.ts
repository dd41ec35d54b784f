/** A WebSocket of `Bun.serve` as the transport that a session wants. */

import type { Capabilities } from "../../capabilities.ts";
import { ProtocolError } from "../../errors.ts";
import type { IoData, Opcode } from "../../message.ts";
import type { ResolvedOptions } from "../../options.ts";
import { CLOSE } from "../../protocol/close.ts";
import { headerSize } from "../../protocol/frame.ts";
import type { Transport, TransportEvents } from "../../transport.ts";
import { receiveBinary, receiveClose, receiveText } from "../shared/inbound.ts";
import { nodeByteOps } from "../shared/node-byte-ops.ts";
import { joinOctets, joinText } from "../shared/outbound.ts";
import type { BunServer, BunSocket } from "./types.ts";

/** What Bun's own server can do. */
export const capabilities = Object.freeze<Capabilities>({
  host: "bun",
  control: true,
  pause: true,
  drain: true,
  closeDetail: true,
  answersClose: false,
  abort: false,
  asyncContext: true,
  crossConnection: true,
  compress: true,
  idleClock: true,
  ignores: [
    "maxFrameSize",
    "maxFragments",
    "validateUtf8",
    "compress.level",
    "compress.memLevel",
    "compress.serverNoContextTakeover",
    "compress.clientNoContextTakeover",
    "compress.serverMaxWindowBits",
    "compress.clientMaxWindowBits",
    "compress.maxInflation",
    "fullsweepAfter",
    "maxHeapSize",
  ],
});

const NEVER = Number.POSITIVE_INFINITY;

/** The close code that Bun sends for a violation, by its text; else it is 1002. */
const VIOLATIONS: Readonly<Record<string, number>> = {
  "Received too big message": CLOSE.tooBig,
  "Received too big message, or other inflation error": CLOSE.tooBig,
  "Received invalid UTF-8": CLOSE.invalidPayload,
};

/** The close frame that Bun sends when its server is stopped by `stop(true)`. */
const STOPPED = { code: CLOSE.goingAway, reason: "Server closed" } as const;

/** Where a socket has its transport besides `data`, which is a call of Bun: for what is asked with each message. */
export const TRANSPORT = Symbol("websock-js.transport");

export type HostedSocket = BunSocket<BunTransport> & { [TRANSPORT]?: BunTransport };

export class BunTransport implements Transport {
  private session!: TransportEvents;
  private readonly maxMessageSize: number;
  private readonly server: BunServer;
  /** Bun has queued something and has not told since that it is out. */
  private queued = false;
  /** From how many octets on a message is compressed; `Infinity` where that was not agreed on. */
  private readonly compressFrom: number;
  private socket!: BunSocket;
  private begin: ((transport: BunTransport) => void) | undefined;
  /** Octets that were queued or came behind such, with their headers: Bun counts those among what waits. */
  private accepted = 0;
  /** Our close frame, which waits until what was sent before it is out. */
  private closing: readonly [code: number, text: string] | undefined = undefined;
  /** We have closed, or Bun has: there is nothing more to do. */
  private closed = false;

  /** `begin` starts the session when Bun opens the socket. */
  constructor(
    server: BunServer,
    { maxMessageSize, compress }: ResolvedOptions,
    compressed: boolean,
    begin: (transport: BunTransport) => void,
  ) {
    this.server = server;
    this.begin = begin;
    this.maxMessageSize = maxMessageSize;
    this.compressFrom = compressed ? compress!.threshold : NEVER;
  }

  open(session: TransportEvents): void {
    this.session = session;
  }

  // --- what the session asks for

  get buffered(): number {
    return this.queued ? this.socket.getBufferedAmount() : 0;
  }

  get bytesFlushed(): number {
    return this.accepted - this.buffered;
  }

  send(opcode: Opcode, data: IoData, size: number): void {
    this.note(this.write(opcode, data, size), size);
  }

  sendText(text: string): boolean {
    // What may have to be compressed has to be measured.
    if (this.queued || this.compressFrom !== NEVER) return false;
    const status = this.socket.sendText(text);
    // What was taken at once is nobody's concern.
    if (status <= 0) this.note(status, nodeByteOps.utf8Length(text));
    return true;
  }

  /** Notes what Bun says of something that it was given. */
  private note(status: number, size: number): void {
    this.accepted += headerSize(size) + size;
    if (status < 0) this.queued = true;
    // Bun has dropped it: whatever follows would follow on a gap.
    else if (status === 0 && size > 0 && !this.closed) this.abort();
  }

  private write(opcode: Opcode, data: IoData, size: number): number {
    const { socket } = this;
    switch (opcode) {
      case "text":
        return socket.sendText(joinText(data, size, nodeByteOps), size >= this.compressFrom);
      case "binary":
        return socket.sendBinary(joinOctets(data, size, nodeByteOps), size >= this.compressFrom);
      case "ping":
      case "pong":
        return socket[opcode](joinOctets(data, size, nodeByteOps));
    }
  }

  close(code: number | undefined, text: string): void {
    // Bun answers the peer's close frame itself.
    if (this.closed || code === undefined) return;
    // After it Bun would hold what waits for as long as the peer likes; until then it can be cut off.
    if (this.buffered > 0) this.closing = [code, text];
    else this.closeNow(code, text);
  }

  private closeNow(code: number, text: string): void {
    this.closed = true;
    this.socket.close(code, text);
  }

  abort(): void {
    this.socket.terminate();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  // --- what Bun tells

  onOpen(socket: HostedSocket): void {
    const { begin } = this;
    socket.binaryType = "uint8array";
    socket[TRANSPORT] = this;
    this.socket = socket;
    this.begin = undefined; // nothing of the request is kept
    begin!(this);
  }

  onMessage(data: string | Uint8Array<ArrayBuffer>): void {
    const { session, maxMessageSize } = this;
    if (typeof data === "string") receiveText(session, data, maxMessageSize, nodeByteOps);
    else receiveBinary(session, data, maxMessageSize);
  }

  onControl(opcode: "ping" | "pong", data: Uint8Array<ArrayBuffer>): void {
    this.session.onActivity();
    this.session.onControl({ opcode, data });
  }

  onDrain(): void {
    this.queued = this.socket.getBufferedAmount() > 0;
    if (!this.queued && this.closing !== undefined) this.closeNow(...this.closing);
    else this.session.onDrain();
  }

  onClose(code: number, reason: string): void {
    const ours = this.closed;
    this.closed = true;
    this.queued = false;
    // A client may send the same close frame, but not while the server is stopped.
    if (!ours && code === STOPPED.code && reason === STOPPED.reason && !this.server.port) this.session.onHostStop();
    // Of our own close Bun tells at once, whatever the peer does; what it answers stays unknown.
    else if (!ours && code !== CLOSE.abnormalClosure) receiveClose(this.session, code, reason);
    // With a text, 1006 is a protocol error that Bun has answered with a close frame.
    else if (!ours && reason !== "") {
      this.session.onProtocolError(new ProtocolError(VIOLATIONS[reason] ?? CLOSE.protocolError, reason));
    }
    this.session.onDisconnect();
  }
}
