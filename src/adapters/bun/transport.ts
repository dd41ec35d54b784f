/** The transport over a `ServerWebSocket` of `Bun.serve`. */
import { ProtocolError } from "../../errors.ts";
import type { IoData, Opcode } from "../../message.ts";
import type { ResolvedOptions } from "../../options.ts";
import { CLOSE } from "../../protocol/close.ts";
import { headerSize } from "../../protocol/frame.ts";
import type { AsyncContext } from "../../session/async-context.ts";
import type { Transport, TransportEvents } from "../../transport.ts";
import { rootContext } from "../shared/async-context.ts";
import { receiveBinary, receiveClose, receiveText } from "../shared/inbound.ts";
import { nodeByteOps } from "../shared/node-byte-ops.ts";
import { joinOctets, joinText } from "../shared/outbound.ts";
import type { BunServer, BunSocket } from "./types.ts";

const NO_COMPRESSION = Number.POSITIVE_INFINITY;

/** The close code that Bun sends for a protocol violation, by the reason that it reports; 1002 for all others. */
const VIOLATIONS: Readonly<Record<string, number>> = {
  "Received too big message": CLOSE.tooBig,
  "Received too big message, or other inflation error": CLOSE.tooBig,
  "Received invalid UTF-8": CLOSE.invalidPayload,
};

/** The close frame that Bun sends to its clients when its server is stopped by `stop(true)`. */
const STOPPED = { code: CLOSE.goingAway, reason: "Server closed" } as const;

/** Where a socket keeps its transport for the events of messages: `data` is a getter implemented in native code. */
export const TRANSPORT = Symbol("websock-js.transport");

export type HostedSocket = BunSocket<BunTransport> & { [TRANSPORT]?: BunTransport };

export class BunTransport implements Transport {
  private session!: TransportEvents;
  private readonly maxMessageSize: number;
  private readonly server: BunServer;
  /** Bun has queued data and has not reported since that the queue is empty. */
  private hasQueued = false;
  /** The size in bytes from which messages are compressed; `Infinity` without compression. */
  private readonly compressFrom: number;
  private socket!: BunSocket;
  private startSession: ((transport: BunTransport) => void) | undefined;
  /**
   * Bytes passed to Bun, except for texts that it flushed synchronously. Includes frame headers, like the amount that
   * Bun reports.
   */
  private bytesAccepted = 0;
  /** Our close frame while it waits for the queue to empty. */
  private pendingClose: readonly [code: number, text: string] | undefined = undefined;
  /** Either side has closed: nothing more is sent. */
  private closed = false;

  /** Whether the connection has the root context. */
  private readonly isRoot: boolean;

  /** @param startSession called when Bun opens the socket */
  constructor(
    server: BunServer,
    { maxMessageSize, compress }: ResolvedOptions,
    compressed: boolean,
    asyncContext: AsyncContext | undefined,
    startSession: (transport: BunTransport) => void,
  ) {
    this.server = server;
    this.isRoot = asyncContext === rootContext;
    this.startSession = startSession;
    this.maxMessageSize = maxMessageSize;
    this.compressFrom = compressed ? compress!.threshold : NO_COMPRESSION;
  }

  open(session: TransportEvents): void {
    this.session = session;
  }

  // --- Transport

  get buffered(): number {
    return this.hasQueued ? this.socket.getBufferedAmount() : 0;
  }

  get bytesFlushed(): number {
    return this.bytesAccepted - this.buffered;
  }

  send(opcode: Opcode, data: IoData, size: number): void {
    this.recordSend(this.write(opcode, data, size), size);
  }

  sendText(text: string): boolean {
    // Whether to compress depends on the size in bytes.
    if (this.hasQueued || this.compressFrom !== NO_COMPRESSION) return false;
    const status = this.socket.sendText(text);
    // Bytes that are flushed synchronously don't have to be counted.
    if (status <= 0) this.recordSend(status, nodeByteOps.utf8Length(text));
    return true;
  }

  /** Handles what `send` of a Bun socket returned for `size` bytes. */
  private recordSend(status: number, size: number): void {
    this.bytesAccepted += headerSize(size) + size;
    if (status < 0) this.hasQueued = true;
    // Bun dropped the message. Abort: the peer would not notice the gap.
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
    // Bun has answered the peer's close frame itself.
    if (this.closed || code === undefined) return;
    // After `close`, Bun waits for the queue to empty for an unlimited time. Until then the connection can be aborted.
    if (this.buffered > 0) this.pendingClose = [code, text];
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

  // --- events of Bun's socket

  onOpen(socket: HostedSocket): void {
    const { startSession } = this;
    socket.binaryType = "uint8array";
    socket[TRANSPORT] = this;
    this.socket = socket;
    this.startSession = undefined; // releases the request
    startSession!(this);
  }

  /** @param inRootContext Bun has called its handler in the root context */
  onMessage(data: string | Uint8Array<ArrayBuffer>, inRootContext: boolean): void {
    if (inRootContext && this.isRoot) this.session.assumeContext(this.receive, this, data);
    else this.receive(data);
  }

  private receive(data: string | Uint8Array<ArrayBuffer>): void {
    const { session, maxMessageSize } = this;
    if (typeof data === "string") receiveText(session, data, maxMessageSize, nodeByteOps);
    else receiveBinary(session, data, maxMessageSize);
  }

  onControl(opcode: "ping" | "pong", data: Uint8Array<ArrayBuffer>): void {
    this.session.onActivity();
    this.session.onControl({ opcode, data });
  }

  onDrain(): void {
    this.hasQueued = this.socket.getBufferedAmount() > 0;
    if (!this.hasQueued && this.pendingClose !== undefined) this.closeNow(...this.pendingClose);
    else this.session.onDrain();
  }

  onClose(code: number, reason: string): void {
    const ours = this.closed;
    this.closed = true;
    this.hasQueued = false;
    // The peer may send the same close frame, but only a stopped server has no port.
    if (!ours && code === STOPPED.code && reason === STOPPED.reason && !this.server.port) this.session.onHostStop();
    // Bun emits `close` synchronously when we close. The peer's close frame stays unknown.
    else if (!ours && code !== CLOSE.abnormalClosure) receiveClose(this.session, code, reason);
    else if (!ours && reason !== "") {
      this.session.onProtocolError(new ProtocolError(VIOLATIONS[reason] ?? CLOSE.protocolError, reason));
    }
    this.session.onDisconnect();
  }
}
