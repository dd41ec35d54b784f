/** A `WebSocket` of `ws` as the transport that a session wants. */
import type { Socket } from "node:net";
import type { Capabilities } from "../../capabilities.ts";
import { ProtocolError } from "../../errors.ts";
import type { IoData, Opcode } from "../../message.ts";
import type { ResolvedOptions } from "../../options.ts";
import { CLOSE } from "../../protocol/close.ts";
import { writeIoData } from "../../protocol/io-data.ts";
import type { Transport, TransportEvents } from "../../transport.ts";
import { endingAfter } from "../node/closing.ts";
import { nodeByteOps } from "../shared/node-byte-ops.ts";
import { later } from "../shared/timers.ts";
import { OPEN, type WsSocket } from "./types.ts";

/** What `ws` can do. Its limits on frames, its judgement of UTF-8 and its compression are the WebSocketServer's options. */
export const capabilities = Object.freeze<Capabilities>({
  host: "ws",
  control: true,
  pause: true,
  drain: true,
  closeDetail: true,
  answersClose: true,
  abort: true,
  asyncContext: true,
  crossConnection: true,
  compress: true,
  idleClock: true,
  ignores: [
    ...(["maxFrameSize", "maxFragments", "validateUtf8", "fullsweepAfter", "maxHeapSize"] as const),
    ...(["compress.level", "compress.memLevel", "compress.maxInflation"] as const),
    ...(["compress.serverNoContextTakeover", "compress.clientNoContextTakeover"] as const),
    ...(["compress.serverMaxWindowBits", "compress.clientMaxWindowBits"] as const),
  ],
});

/**
 * A larger message is sent in fragments of so many octets (RFC 6455 §5.4), the next one when those before it are taken:
 * Node counts a write as waiting until all of it is taken, and a large one would hide whether the peer makes progress.
 */
const FRAGMENT = 262_144;

/** So much is gathered before it is written although more may follow in this turn. */
const FLUSH_AT = 65_536;

const TRANSPORT = Symbol("websock-js.ws-transport");

/**
 * `_closeFrameReceived` is the one private property of `ws` that is read: it tells the call of `close` by which `ws` answers
 * the peer's close frame from all others. Without it, `ws` answers by itself, behind all that was sent until then.
 */
type Hosted = WsSocket & { [TRANSPORT]?: WsTransport; readonly _closeFrameReceived?: boolean };
type Stream = Socket & { [TRANSPORT]?: WsTransport };

interface Waiting {
  readonly size: number;
  readonly send: () => void;
}

/** Never added to. */
const NONE: Waiting[] = [];

export class WsTransport implements Transport {
  private readonly socket: Hosted;
  private readonly stream: Stream;
  private readonly maxMessageSize: number;
  /** From how many octets on a message is compressed, where that was agreed on. */
  private readonly threshold: number;
  private readonly report: (error: unknown) => void;
  /** `close` of `socket`, as `ws` has it. */
  private readonly closeSocket: WsSocket["close"];
  /** The peer's close frame has arrived, and has not been answered yet by `ws`. */
  private remoteClosed = false;
  private session!: TransportEvents;
  /** What is sent behind a large message waits here until that one is out. */
  private queue = NONE;
  private queued = 0;
  private gathering = false;
  private onTaken: (() => void) | undefined = undefined;

  /** @param stream what the frames of `socket` travel over */
  constructor(socket: WsSocket, stream: Socket, options: ResolvedOptions, report: (error: unknown) => void) {
    this.socket = socket;
    this.stream = stream;
    this.maxMessageSize = options.maxMessageSize;
    this.threshold = options.compress?.threshold ?? Number.POSITIVE_INFINITY;
    this.report = report;
    this.closeSocket = socket.close;
  }

  static has(socket: WsSocket): boolean {
    return (socket as Hosted)[TRANSPORT] !== undefined;
  }

  /** Begins to listen. */
  open(session: TransportEvents): void {
    const { socket, stream } = this;
    this.session = session;
    socket[TRANSPORT] = stream[TRANSPORT] = this;
    socket.binaryType = "nodebuffer";
    socket.close = onCloseCall;
    // Functions that all sockets share: closures would be most of what a connection costs.
    socket.on("message", onMessage);
    socket.on("ping", onPing);
    socket.on("pong", onPong);
    socket.on("error", onError);
    socket.on("close", onClose);
    // Before ws itself takes it apart: that octets arrive counts, whole messages or not.
    stream.prependListener("data", onData).on("drain", onDrain);
    endAfterwards(stream);
  }

  // --- what ws tells

  received(): void {
    this.session.onActivity();
  }

  message(data: Buffer, isBinary: boolean): void {
    const size = data.length;
    if (size > this.maxMessageSize) {
      this.session.onProtocolError(
        new ProtocolError(CLOSE.tooBig, `a message of more than ${this.maxMessageSize} octets`),
      );
    } else if (isBinary) {
      this.session.onBinary(own(data));
    } else {
      this.session.onText(nodeByteOps.decodeUtf8(data, 0, size), size);
    }
  }

  control(opcode: "ping" | "pong", data: Buffer): void {
    this.session.onControl({ opcode, data: own(data) });
  }

  /** The stream is being ended or destroyed. Where ws itself does so, it is not open any more. */
  endedByOthers(): void {
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
   * Somebody calls `close` of the socket. When the peer's close frame arrives, `ws` does so in order to answer it: the
   * session answers instead, once it has handled what came before. Other calls are left to `ws`: of the application, or
   * after a violation of the protocol.
   */
  closeCalled(code: number | undefined, text: string): void {
    const { socket } = this;
    // The peer may end the stream as soon as it likes, and `ws` ends it then, too.
    this.handOver();
    if (this.remoteClosed || socket._closeFrameReceived !== true || socket.readyState !== OPEN) {
      this.closeSocket.call(socket, code, text);
      return;
    }
    this.remoteClosed = true;
    this.session.onClose(code, text);
  }

  closed(code: number, text: string): void {
    this.queue = NONE;
    this.queued = 0;
    if (code !== CLOSE.abnormalClosure && !this.remoteClosed)
      this.session.onClose(code === CLOSE.noStatusReceived ? undefined : code, text);
    this.session.onDisconnect();
  }

  tookAll(): void {
    this.feed();
    this.session.onDrain();
  }

  // --- what the session asks

  get buffered(): number {
    return this.socket.bufferedAmount + this.queued;
  }

  get bytesFlushed(): number {
    return (this.stream.bytesWritten ?? 0) - this.stream.writableLength;
  }

  send(opcode: Opcode, data: IoData, size: number): void {
    if (this.socket.readyState !== OPEN) return;
    if (size > FRAGMENT && !this.remoteClosed && (opcode === "text" || opcode === "binary")) {
      this.sendFragments(opcode, octetsOf(data, size), size);
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

  // --- to the wire

  private write(opcode: Opcode, data: IoData, size: number): void {
    this.gather();
    const whole = octetsOf(data, size);
    if (opcode === "text" || opcode === "binary") this.sendFrame(whole, opcode, size >= this.threshold, true);
    else this.socket[opcode](whole);
    if (this.stream.writableLength >= FLUSH_AT) this.flush();
  }

  private sendFragments(opcode: "text" | "binary", data: Uint8Array, size: number): void {
    for (let at = 0; at < size; at += FRAGMENT) {
      const fragment = data.subarray(at, at + FRAGMENT);
      this.enqueue(fragment.length, () => {
        this.sendFrame(fragment, opcode, size >= this.threshold, at + FRAGMENT >= size, true);
      });
    }
    this.feed();
  }

  private sendFrame(
    data: string | Uint8Array,
    opcode: "text" | "binary",
    compress: boolean,
    fin: boolean,
    isFragment = false,
  ): void {
    // What is being compressed waits elsewhere than in the stream, whose `drain` would not tell of it; nor would it of the end
    // of a message in fragments, if that is below the stream's own high-water mark.
    const callback = compress || (fin && isFragment) ? (this.onTaken ??= () => this.tookAll()) : undefined;
    this.socket.send(data, { binary: opcode === "binary", compress, fin }, callback);
  }

  private enqueue(size: number, send: () => void): void {
    if (this.queue === NONE) this.queue = [];
    this.queue.push({ size, send });
    this.queued += size;
  }

  private feed(): void {
    const { queue, socket } = this;
    while (queue.length > 0 && socket.bufferedAmount < FRAGMENT) {
      const { size, send } = queue.shift()!;
      this.queued -= size;
      send();
    }
  }

  /** Hands everything that is queued to ws, although it is not flushed yet. */
  private handOver(): void {
    const { queue } = this;
    this.queue = NONE;
    this.queued = 0;
    for (const { send } of queue) send();
  }

  /** ws writes every frame by itself. Those of one turn go out together: a system call costs more than all the rest. */
  private gather(): void {
    if (this.gathering) return;
    this.gathering = true;
    this.stream.cork();
    if (toFlush.push(this) === 1) later(flushAll);
  }

  flush(): void {
    if (!this.gathering) return;
    this.gathering = false;
    this.stream.uncork();
  }
}

const endAfterwards = endingAfter((stream: Stream) => stream[TRANSPORT]!.endedByOthers());

/** The transports that have gathered something, which go to the wire once the event loop has read from all sockets. */
let toFlush: WsTransport[] = [];

function flushAll(): void {
  const transports = toFlush;
  toFlush = [];
  for (const transport of transports) transport.flush();
}

function onMessage(this: Hosted, data: Buffer, isBinary: boolean): void {
  this[TRANSPORT]!.message(data, isBinary);
}

function onCloseCall(this: Hosted, code?: number, text: string | Buffer = ""): void {
  this[TRANSPORT]!.closeCalled(code, text.toString());
}

function onPing(this: Hosted, data: Buffer): void {
  this[TRANSPORT]!.control("ping", data);
}

function onPong(this: Hosted, data: Buffer): void {
  this[TRANSPORT]!.control("pong", data);
}

function onError(this: Hosted, error: Error): void {
  this[TRANSPORT]!.failed(error);
}

function onClose(this: Hosted, code: number, reason: Buffer): void {
  this[TRANSPORT]!.closed(code, reason.toString());
}

function onData(this: Stream): void {
  this[TRANSPORT]!.received();
}

function onDrain(this: Stream): void {
  this[TRANSPORT]!.tookAll();
}

/** The close code that goes with an error of ws, by the codes that it documents; zlib's are about the peer's octets too. */
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

/** The handler's: what it keeps of a message must not keep the memory that many of them came in. */
const own = (data: Buffer): Uint8Array<ArrayBuffer> =>
  data.length * 2 >= data.buffer.byteLength
    ? new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.length)
    : new Uint8Array(data);

const octetsOf = (data: IoData, size: number): Uint8Array => {
  if (data instanceof Uint8Array) return data;
  // As many octets as units: ASCII, which Latin-1 writes the same and faster. From Buffer's pool: it is soon written.
  if (typeof data === "string" && size <= 1024) return Buffer.from(data, size === data.length ? "latin1" : "utf8");
  const octets = nodeByteOps.allocOutput(size);
  writeIoData(data, octets, 0, nodeByteOps);
  return octets;
};
