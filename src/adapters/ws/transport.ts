/** The transport over a `WebSocket` of the package `ws`. */
import type { Socket } from "node:net";
import { ProtocolError } from "../../errors.ts";
import type { IoData, Opcode } from "../../message.ts";
import type { ResolvedOptions } from "../../options.ts";
import { CLOSE } from "../../protocol/close.ts";
import { viewOrCopy } from "../../protocol/copy.ts";
import { writeIoData } from "../../protocol/io-data.ts";
import type { Transport, TransportEvents } from "../../transport.ts";
import { wrapEndMethods } from "../node/closing.ts";
import { MAX_PENDING_WRITE } from "../node/stream.ts";
import { flushInBatch } from "../shared/flush-batch.ts";
import { nodeByteOps } from "../shared/node-byte-ops.ts";
import { OPEN, type WsSocket } from "./types.ts";

/**
 * Larger messages are sent in fragments of this size (RFC 6455 §5.4), each after the previous ones are flushed: see
 * {@link MAX_PENDING_WRITE}.
 */
const FRAGMENT_SIZE = MAX_PENDING_WRITE;

/** The number of bytes after which collected frames are written before the tick has ended. */
const FLUSH_AT = 65_536;

const TRANSPORT = Symbol("websock-js.ws-transport");

/**
 * `_closeFrameReceived` is the only private property of `ws` that is read (8.x). It distinguishes the call of `close`
 * with which `ws` answers the peer's close frame. If it were missing, `ws` would answer immediately, after what was
 * sent by then.
 */
type HostedSocket = WsSocket & { [TRANSPORT]?: WsTransport; readonly _closeFrameReceived?: boolean };
type HostedStream = Socket & { [TRANSPORT]?: WsTransport };

interface QueuedSend {
  readonly size: number;
  readonly send: () => void;
}

/** Shared by all transports that have nothing queued. Never add to it. */
const EMPTY_QUEUE: QueuedSend[] = [];

export class WsTransport implements Transport {
  private readonly socket: HostedSocket;
  private readonly stream: HostedStream;
  private readonly maxMessageSize: number;
  /** The size in bytes from which messages are compressed. */
  private readonly threshold: number;
  private readonly report: (error: unknown) => void;
  /** The original `close` of `socket`. */
  private readonly closeSocket: WsSocket["close"];
  /** The peer's close frame has arrived, and `ws` has not answered it. */
  private closeReceived = false;
  private session!: TransportEvents;
  /** Messages and fragments that wait until the previous fragments are flushed. */
  private queue = EMPTY_QUEUE;
  private queued = 0;
  private isCorked = false;
  private onFlushed: (() => void) | undefined = undefined;

  /** @param stream the TCP or TLS socket of `socket` */
  constructor(socket: WsSocket, stream: Socket, options: ResolvedOptions, report: (error: unknown) => void) {
    this.socket = socket;
    this.stream = stream;
    this.maxMessageSize = options.maxMessageSize;
    this.threshold = options.compress?.threshold ?? Number.POSITIVE_INFINITY;
    this.report = report;
    this.closeSocket = socket.close;
  }

  static has(socket: WsSocket): boolean {
    return (socket as HostedSocket)[TRANSPORT] !== undefined;
  }

  /** Starts listening. */
  open(session: TransportEvents): void {
    const { socket, stream } = this;
    this.session = session;
    socket[TRANSPORT] = stream[TRANSPORT] = this;
    socket.binaryType = "nodebuffer";
    socket.close = onCloseCall;
    // Functions shared by all sockets: closures would account for most of a connection's memory.
    socket.on("message", onMessage);
    socket.on("ping", onPing);
    socket.on("pong", onPong);
    socket.on("error", onError);
    socket.on("close", onClose);
    // Before the listener of ws: any data counts as activity, even part of a message.
    stream.prependListener("data", onData).on("drain", onDrain);
    watchEnd(stream);
  }

  // --- events of ws

  received(): void {
    this.session.onActivity();
  }

  message(data: Buffer, isBinary: boolean): void {
    const size = data.length;
    if (size > this.maxMessageSize) {
      this.session.onProtocolError(
        new ProtocolError(CLOSE.tooBig, `received a message of more than ${this.maxMessageSize} bytes`),
      );
    } else if (isBinary) {
      this.session.onBinary(viewOrCopy(data, 0, data.length));
    } else {
      this.session.onText(nodeByteOps.decodeUtf8(data, 0, size), size);
    }
  }

  control(opcode: "ping" | "pong", data: Buffer): void {
    this.session.onControl({ opcode, data: viewOrCopy(data, 0, data.length) });
  }

  /** Called before anyone ends or destroys the stream. If `ws` does so itself, the socket is no longer open. */
  endedExternally(): void {
    if (this.socket.readyState !== OPEN) return;
    this.session.onHostStop();
    this.flush();
  }

  failed(error: Error): void {
    const code = closeCodeOf((error as { code?: unknown }).code);
    if (code === undefined) this.report(error);
    else this.session.onProtocolError(new ProtocolError(code, error.message));
  }

  /**
   * Called when anyone calls `close` of the socket. `ws` does so to answer the peer's close frame: the session answers
   * instead, after it has handled the messages before. Other calls, by the application or after a protocol violation,
   * go to `ws`.
   */
  closeCalled(code: number | undefined, text: string): void {
    const { socket } = this;
    // After its close frame the peer may end the stream at any time, and `ws` then ends it as well.
    this.sendAllQueued();
    if (this.closeReceived || socket._closeFrameReceived !== true || socket.readyState !== OPEN) {
      this.closeSocket.call(socket, code, text);
      return;
    }
    this.closeReceived = true;
    this.session.onClose(code, text);
  }

  closed(code: number, text: string): void {
    this.queue = EMPTY_QUEUE;
    this.queued = 0;
    if (code !== CLOSE.abnormalClosure && !this.closeReceived)
      this.session.onClose(code === CLOSE.noStatusReceived ? undefined : code, text);
    this.session.onDisconnect();
  }

  onDrain(): void {
    this.sendQueued();
    this.session.onDrain();
  }

  // --- Transport

  get buffered(): number {
    return this.socket.bufferedAmount + this.queued;
  }

  get bytesFlushed(): number {
    return (this.stream.bytesWritten ?? 0) - this.stream.writableLength;
  }

  send(opcode: Opcode, data: IoData, size: number): void {
    if (this.socket.readyState !== OPEN) return;
    if (size > FRAGMENT_SIZE && !this.closeReceived && (opcode === "text" || opcode === "binary")) {
      this.sendFragments(opcode, bytesOf(data, size), size);
    } else if (this.queue.length > 0) {
      this.enqueue(size, () => this.write(opcode, data, size));
    } else {
      this.write(opcode, data, size);
    }
  }

  close(code: number | undefined, text: string): void {
    const { socket } = this;
    if (this.queue.length > 0) this.enqueue(0, () => this.closeSocket.call(socket, code, text));
    else this.closeSocket.call(socket, code, text);
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

  // --- sending

  private write(opcode: Opcode, data: IoData, size: number): void {
    this.corkForTick();
    const whole = bytesOf(data, size);
    if (opcode === "text" || opcode === "binary") this.sendFrame(whole, opcode, size >= this.threshold, true);
    else this.socket[opcode](whole);
    if (this.stream.writableLength >= FLUSH_AT) this.flush();
  }

  private sendFragments(opcode: "text" | "binary", data: Uint8Array, size: number): void {
    for (let at = 0; at < size; at += FRAGMENT_SIZE) {
      const fragment = data.subarray(at, at + FRAGMENT_SIZE);
      this.enqueue(fragment.length, () => {
        this.sendFrame(fragment, opcode, size >= this.threshold, at + FRAGMENT_SIZE >= size, true);
      });
    }
    this.sendQueued();
  }

  private sendFrame(
    data: string | Uint8Array,
    opcode: "text" | "binary",
    compress: boolean,
    fin: boolean,
    isFragment = false,
  ): void {
    // `drain` of the stream is not emitted for data that is being compressed, nor for the last fragment of a message if
    // that is below the stream's high-water mark.
    const callback = compress || (fin && isFragment) ? (this.onFlushed ??= () => this.onDrain()) : undefined;
    this.socket.send(data, { binary: opcode === "binary", compress, fin }, callback);
  }

  private enqueue(size: number, send: () => void): void {
    if (this.queue === EMPTY_QUEUE) this.queue = [];
    this.queue.push({ size, send });
    this.queued += size;
  }

  private sendQueued(): void {
    const { queue, socket } = this;
    while (queue.length > 0 && socket.bufferedAmount < FRAGMENT_SIZE) {
      const { size, send } = queue.shift()!;
      this.queued -= size;
      send();
    }
  }

  /** Passes everything that is queued to ws, before the previous fragments are flushed. */
  private sendAllQueued(): void {
    const { queue } = this;
    this.queue = EMPTY_QUEUE;
    this.queued = 0;
    for (const { send } of queue) send();
  }

  /**
   * ws writes each frame separately. Those of one tick are written together: a system call costs more than everything
   * else.
   */
  private corkForTick(): void {
    if (this.isCorked) return;
    this.isCorked = true;
    this.stream.cork();
    flushInBatch(this);
  }

  onScheduledFlush(): void {
    this.flush();
  }

  private flush(): void {
    if (!this.isCorked) return;
    this.isCorked = false;
    this.stream.uncork();
  }
}

const watchEnd = wrapEndMethods((stream: HostedStream) => stream[TRANSPORT]!.endedExternally());

function onMessage(this: HostedSocket, data: Buffer, isBinary: boolean): void {
  this[TRANSPORT]!.message(data, isBinary);
}

function onCloseCall(this: HostedSocket, code?: number, text: string | Buffer = ""): void {
  this[TRANSPORT]!.closeCalled(code, text.toString());
}

function onPing(this: HostedSocket, data: Buffer): void {
  this[TRANSPORT]!.control("ping", data);
}

function onPong(this: HostedSocket, data: Buffer): void {
  this[TRANSPORT]!.control("pong", data);
}

function onError(this: HostedSocket, error: Error): void {
  this[TRANSPORT]!.failed(error);
}

function onClose(this: HostedSocket, code: number, reason: Buffer): void {
  this[TRANSPORT]!.closed(code, reason.toString());
}

function onData(this: HostedStream): void {
  this[TRANSPORT]!.received();
}

function onDrain(this: HostedStream): void {
  this[TRANSPORT]!.onDrain();
}

/** The close code for an error of ws, from its documented codes. Errors of zlib are caused by the peer's data. */
const closeCodeOf = (code: unknown): number | undefined => {
  switch (code) {
    case "WS_ERR_INVALID_UTF8":
      return CLOSE.invalidPayload;
    case "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH":
    case "WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH":
      return CLOSE.tooBig;
    case "WS_ERR_TOO_MANY_BUFFERED_PARTS":
      return CLOSE.policyViolation;
    default:
      if (typeof code !== "string") return undefined;
      return code.startsWith("WS_ERR_")
        ? CLOSE.protocolError
        : code.startsWith("Z_")
          ? CLOSE.invalidPayload
          : undefined;
  }
};

const bytesOf = (data: IoData, size: number): Uint8Array => {
  if (data instanceof Uint8Array) return data;
  // As many bytes as UTF-16 units: ASCII. Writing it as Latin-1 gives the same bytes and is faster. Pooled, as it is
  // short-lived.
  if (typeof data === "string" && size <= 1024) return Buffer.from(data, size === data.length ? "latin1" : "utf8");
  const bytes = nodeByteOps.allocOutput(size);
  writeIoData(data, bytes, 0, nodeByteOps);
  return bytes;
};
