/** The byte stream of a connection over a Duplex of Node: a TCP or TLS socket, or an HTTP/2 stream. */
import { Buffer } from "node:buffer";
import { Socket } from "node:net";
import { type Duplex, Readable, Writable } from "node:stream";
import type { ByteStream, ByteStreamEvents } from "../../protocol/byte-stream.ts";
import { NO_BYTES } from "../../protocol/copy.ts";
import type { ReceiveBuffer } from "../../protocol/receive-buffer.ts";
import type { AsyncContext } from "../../session/async-context.ts";
import { isInRootContext, rootContext } from "../shared/async-context.ts";
import { flushInBatch } from "../shared/flush-batch.ts";
import { wrapEndMethods } from "./closing.ts";
import { type Reader, SharedReading, STOP } from "./receive-buffer/reading.ts";
import { isNode } from "./runtime.ts";

/**
 * Maximum number of bytes passed to the socket before it has flushed them; the rest stays in our queue. Node regards a
 * write as pending until all of it is flushed, so larger writes would hide the peer's progress.
 */
export const MAX_PENDING_WRITE = 262_144;

/** The same if the progress of a pending write can be observed. Larger writes save no more system calls. */
const MAX_OBSERVED_WRITE = 1_048_576 + 64;

/** Whether `push` and `write` have not been monkey-patched (by an APM agent, for example). */
const isUnpatched = ({ push, write }: Duplex): boolean =>
  push === Readable.prototype.push && write === Writable.prototype.write;

const STREAM = Symbol("websock-js.stream");

/** Shared by all streams that have nothing queued. Never add to it. */
const EMPTY_QUEUE: Uint8Array[] = [];

type HostedSocket = Duplex & {
  [STREAM]?: NodeStream;
  /** `ended`: the end of the stream has arrived, but may not have been emitted yet. */
  readonly _readableState?: { readonly ended?: boolean };
  /** `writelen`: the size of the write that has been passed to the handle; other writes wait until it is complete. */
  readonly _writableState?: { readonly writelen?: number };
  /** `writeQueueSize`: how much of its pending writes a TCP or Unix socket has not passed to the kernel yet. */
  readonly _handle?: { readonly writeQueueSize?: number } | null;
};

export class NodeStream implements ByteStream {
  protected readonly socket: HostedSocket;
  /**
   * Whether to bypass the socket's own queues while these are empty, as they nearly always are. Node passes incoming
   * chunks to the socket's `push`. The queue of Readable between `push` and `data` accounts for 5% of the cost of a
   * short message.
   */
  protected readonly isDirect: boolean;
  private readonly flushesSynchronously: boolean;
  /** Whether Node reads the socket into the shared receive buffer, and not into new memory for each chunk. */
  private usesSharedMemory = false;
  protected events!: ByteStreamEvents;
  /**
   * The number of unflushed bytes that bypassed the socket's own queue. While it is above 0, nothing else is written.
   */
  protected directBytes = 0;
  private queue: Uint8Array[] = EMPTY_QUEUE;
  protected queued = 0;
  /**
   * The number of bytes that the socket had not flushed after the last write or flush. Saved, because reading
   * `writableLength` each time costs more.
   */
  protected unflushed = 0;
  /** The total number of bytes that were passed to {@link write}. */
  private bytesAccepted = 0;
  private ending = false;
  /** Whether Node calls `push` in the context of the connection; `undefined`: decided with the first chunk. */
  private inContext: boolean | undefined = false;
  /** The number of pending calls of {@link sharedCallback}. */
  protected pendingCallbacks = 0;
  private sharedCallback: (() => void) | undefined = undefined;

  constructor(socket: Duplex, isNodeStream: boolean = socket instanceof Socket) {
    this.socket = socket;
    this.isDirect = isNodeStream && isNode && isUnpatched(socket);
    // TLS sockets and HTTP/2 streams never flush synchronously.
    this.flushesSynchronously = socket instanceof Socket && !("encrypted" in socket);
  }

  /** Starts reading. */
  open(events: ByteStreamEvents): void {
    const { socket } = this;
    this.events = events;
    socket[STREAM] = this;
    // Functions shared by all sockets: closures would account for most of a connection's memory.
    socket.on("data", onData).on("close", onClose).on("error", ignore);
    if (this.isDirect) {
      sharedReading ??= new SharedReading(reader);
      this.usesSharedMemory = sharedReading.adopt(socket);
      socket.push = push;
    }
    if (!this.isDirect || socket._readableState?.ended !== false) socket.on("end", onEnd);
  }

  /**
   * Tells the stream the AsyncLocalStorage context of its connection. Most connections have the root context, in which
   * Node emits the events of most sockets. If both are the root context, it need not be entered for each chunk (which
   * would account for 3% of the cost of a short message).
   */
  useContext(context: AsyncContext | undefined): void {
    if (context === rootContext) this.inContext = undefined;
  }

  /** Passes on a chunk that Node has read. */
  receive(chunk: Uint8Array): void {
    if (!sharedReading!.pass(this.socket, chunk)) this.events.onBytes(chunk, (this.inContext ??= isInRootContext()));
  }

  /** Passes on what Node has read into the shared receive buffer. */
  receiveShared(buffer: ReceiveBuffer, size: number): number {
    return this.events.onReceived(buffer, size, (this.inContext ??= isInRootContext()));
  }

  /**
   * Closes the connection, because received bytes that it has not parsed were overwritten: a callback of the
   * application ran the event loop.
   */
  destroyOverwritten(): void {
    this.events.onLost();
    this.destroy();
  }

  /** From now on, if other code ends or destroys the socket, the session is shut down first. */
  shutDownWhenEnded(): void {
    if (this.socket instanceof Socket) watchEnd(this.socket);
  }

  /** Called before the socket is ended or destroyed, by us or by other code. */
  static beforeEnd(socket: HostedSocket): void {
    const { ending, events } = socket[STREAM]!;
    if (!ending) events.onHostStop();
  }

  get buffered(): number {
    return this.queued + this.unflushed;
  }

  get bytesFlushed(): number {
    const { unwritten } = this;
    const { writelen = 0 } = this.socket._writableState ?? {};
    const written = unwritten === undefined ? 0 : Math.max(writelen - unwritten, 0);
    return this.bytesAccepted - this.buffered + written;
  }

  /** How many bytes of pending writes the kernel has not accepted; `undefined` if the socket does not report it. */
  private get unwritten(): number | undefined {
    return this.flushesSynchronously ? this.socket._handle?.writeQueueSize : undefined;
  }

  write(parts: readonly Uint8Array[]): void {
    const [only] = parts;
    if (parts.length === 1 && this.queued === 0 && this.isIdle && only!.length <= this.sliceSize && this.isWritable) {
      this.bytesAccepted += only!.length;
      this.writeDirect(only!);
    } else {
      if (this.queue === EMPTY_QUEUE) this.queue = [];
      for (const part of parts) {
        this.queue.push(part);
        this.queued += part.length;
        this.bytesAccepted += part.length;
      }
      if (this.isIdle) this.writeQueued();
    }
    this.watchUnflushed();
  }

  /**
   * Writes one part to the socket, past our own queue, which must be empty. An override may bypass the socket's queue
   * as well, and then sets {@link directBytes}.
   */
  protected writeDirect(part: Uint8Array): void {
    if (this.flushesSynchronously) this.socket.write(part);
    else this.socket.write(part, this.flushCallback());
  }

  /**
   * Ensures that `onFlushed` is called once all bytes are flushed, including those of the handshake. Most writes are
   * flushed synchronously and need no callback. After a write that is not, an empty write is made whose callback is
   * called when everything before it is flushed.
   */
  watchUnflushed(): void {
    this.unflushed = this.socket.writableLength + this.directBytes;
    if (this.unflushed > 0 && this.pendingCallbacks === 0 && this.isWritable)
      this.socket.write(NO_BYTES, this.flushCallback());
  }

  end(): void {
    this.ending = true;
    if (this.queued === 0 && this.isIdle) this.socket.end();
    // Closing a socket with unread data resets it, and the peer may lose our close frame (RFC 6455 §7.1.1).
    this.resume();
  }

  destroy(): void {
    this.ending = true;
    this.socket.destroy();
  }

  pause(): void {
    // The `pause` of a socket with `onread` stops reading at once. After that of Readable, reading continues until
    // Readable's queue is full, so the end or the reset of the connection is noticed.
    if (this.usesSharedMemory) Readable.prototype.pause.call(this.socket);
    else this.socket.pause();
  }

  resume(): void {
    const { socket } = this;
    // Because chunks have bypassed Readable, it still considers a read pending, and would not start another one. The
    // empty chunk completes that read.
    if (this.isDirect && !this.usesSharedMemory && !socket.readableFlowing)
      Readable.prototype.push.call(socket, NO_BYTES);
    socket.resume();
  }

  shouldFlushNow(): boolean {
    return false;
  }

  scheduleFlush(): void {
    flushInBatch(this.events);
  }

  /** Maximum number of bytes in the socket's buffer, unless their progress can be observed. */
  protected get sliceSize(): number {
    return MAX_PENDING_WRITE;
  }

  /**
   * Whether no write that bypassed the socket's own queue is pending. If two such writes are pending at the same time,
   * some streams of Node call back only once.
   */
  private get isIdle(): boolean {
    return this.directBytes === 0;
  }

  private get isWritable(): boolean {
    return !this.socket.destroyed && !this.socket.writableEnded;
  }

  /** Writes as much of the queue as the socket may buffer. */
  private writeQueued(): void {
    const { socket, queue } = this;
    const sliceSize = this.unwritten === undefined ? this.sliceSize : MAX_OBSERVED_WRITE;
    for (;;) {
      let room = sliceSize - socket.writableLength;
      if (this.queued === 0 || room <= 0) return;
      if (!this.isWritable) {
        this.queue = EMPTY_QUEUE;
        this.queued = 0;
        return;
      }
      socket.cork();
      while (queue.length > 0 && room > 0) {
        const part = queue[0]!;
        const slice = part.length <= room ? part : part.subarray(0, room);
        if (slice === part) queue.shift();
        else queue[0] = part.subarray(room);
        room -= slice.length;
        this.queued -= slice.length;
        // A socket that can flush synchronously needs a callback only if it has not: `watchUnflushed` adds that.
        const needsCallback = !this.flushesSynchronously && (queue.length === 0 || room <= 0);
        socket.write(slice, needsCallback ? this.flushCallback() : undefined);
      }
      socket.uncork();
    }
  }

  protected flushCallback(): () => void {
    this.pendingCallbacks++;
    return (this.sharedCallback ??= () => this.onFlushed());
  }

  protected onFlushed(): void {
    this.pendingCallbacks--;
    this.directBytes = 0;
    if (this.queued > 0) this.writeQueued();
    this.watchUnflushed();
    if (this.ending && this.queued === 0 && this.isWritable) this.socket.end();
    if (this.buffered > 0) return;
    // Release the callback of an idle connection.
    if (this.flushesSynchronously && this.pendingCallbacks === 0) this.sharedCallback = undefined;
    // A destroyed socket may still read the bytes of its pending write, so their memory must not be reused.
    if (!this.socket.destroyed) this.events.onFlushed();
    this.events.onDrain();
  }

  /** For the shared listeners. */
  static eventsOf(socket: HostedSocket): ByteStreamEvents {
    return socket[STREAM]!.events;
  }

  static isEnding(socket: HostedSocket): boolean {
    return socket[STREAM]!.ending;
  }
}

/**
 * Whether what was just read may bypass Readable's queue: the queue is empty, and no other code has added a `data`
 * listener.
 */
const mayBypassQueue = (socket: HostedSocket): boolean =>
  socket.readableFlowing === true &&
  socket.readableLength === 0 &&
  !socket.destroyed &&
  socket.listenerCount("data") === 1;

const reader: Reader = {
  onRead: (socket: HostedSocket, buffer, size) => {
    if (mayBypassQueue(socket)) return socket[STREAM]!.receiveShared(buffer, size);
    const { bytes, start } = buffer;
    return Readable.prototype.push.call(socket, Buffer.from(bytes.subarray(start, start + size))) ? 0 : STOP;
  },
  onOverwritten: (socket: HostedSocket) => socket[STREAM]!.destroyOverwritten(),
};

/** Created for the first connection. */
let sharedReading: SharedReading | undefined;

/** Replaces the socket's `push`: passes chunks directly to the connection if Readable's queue is empty. */
function push(this: HostedSocket, chunk: unknown, encoding?: BufferEncoding): boolean {
  // Node itself adds a listener for `end` to each socket, and would keep an array of 104 bytes for two of them. So ours
  // is added when the end has arrived.
  if (chunk === null && !this.listeners("end").includes(onEnd)) this.on("end", onEnd);
  if (!mayBypassQueue(this) || !(chunk instanceof Uint8Array))
    return Readable.prototype.push.call(this, chunk, encoding);
  this[STREAM]!.receive(chunk);
  // If the connection has paused the stream meanwhile, an empty chunk is pushed: Readable then ends its pending read,
  // and starts no other until the stream is resumed.
  return this.readableFlowing || Readable.prototype.push.call(this, NO_BYTES);
}

const watchEnd = wrapEndMethods(NodeStream.beforeEnd);

function onData(this: HostedSocket, chunk: Uint8Array): void {
  NodeStream.eventsOf(this).onBytes(chunk);
}

function onEnd(this: HostedSocket): void {
  if (!NodeStream.isEnding(this)) NodeStream.eventsOf(this).onEnd();
}

function onClose(this: HostedSocket): void {
  NodeStream.eventsOf(this).onDisconnect();
}

/** For `error`, which is followed by `close`. */
function ignore(): void {}
