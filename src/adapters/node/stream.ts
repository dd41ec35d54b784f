/** A Duplex of Node (a TCP or TLS socket) as the stream of octets that a connection wants. */
import { Socket } from "node:net";
import { type Duplex, Readable, Writable } from "node:stream";
import type { ByteStream, Connection } from "../../protocol/connection.ts";
import type { Session } from "../../session/session.ts";
import { flushInBatch } from "../shared/flush-batch.ts";
import { shutDown, wrapEndMethods } from "./closing.ts";
import { isNode } from "./runtime.ts";

/**
 * So much is handed to the socket at once; the rest waits here. Node counts a write as waiting until all of it is taken,
 * so large ones would hide whether the peer makes progress.
 */
export const MAX_PENDING_WRITE = 262_144;

/** Nobody else has put methods of his own in its way, to measure what goes through. */
const isUnpatched = ({ push, write }: Duplex): boolean =>
  push === Readable.prototype.push && write === Writable.prototype.write;

const STREAM = Symbol("websock-js.stream");

/** Never added to. */
const EMPTY_QUEUE: Uint8Array[] = [];

const EMPTY = new Uint8Array(0);

type HostedSocket = Duplex & { [STREAM]?: NodeStream };

export class NodeStream implements ByteStream {
  protected readonly socket: HostedSocket;
  /**
   * Octets go past the socket's queues where these are empty, as they nearly always are. Node hands what arrives to the
   * socket's `push`; between that and `data` stands a queue for those who read at another pace, and costs a twentieth of a
   * short message.
   */
  protected readonly isDirect: boolean;
  private readonly flushesSynchronously: boolean;
  protected connection!: Connection;
  /** Set while others may destroy the socket: then the session is told first. */
  private session: Session | undefined = undefined;
  /** Octets that the socket has been given past its own queue, and has not taken yet: until then it is given nothing more. */
  protected directBytes = 0;
  private queue: Uint8Array[] = EMPTY_QUEUE;
  protected queued = 0;
  /** What the socket has not taken, as of our last write or its last answer: asking it each time costs more. */
  protected unflushed = 0;
  private bytesWritten = 0;
  private ending = false;
  /** Writes that the socket will answer with {@link sharedCallback}, each in its turn. */
  protected pendingCallbacks = 0;
  private sharedCallback: (() => void) | undefined = undefined;

  constructor(socket: Duplex, isNodeStream: boolean = socket instanceof Socket) {
    this.socket = socket;
    this.isDirect = isNodeStream && isNode && isUnpatched(socket);
    // What is encrypted or framed first is always taken later.
    this.flushesSynchronously = socket instanceof Socket && !("encrypted" in socket);
  }

  /** Begins to read. */
  open(connection: Connection): void {
    const { socket } = this;
    this.connection = connection;
    socket[STREAM] = this;
    // Functions that all sockets share: closures would be most of what a connection costs.
    socket.on("data", onData).on("end", onEnd).on("close", onClose).on("error", ignore);
    if (this.isDirect) socket.push = push;
  }

  /** From now on, whoever ends or destroys the socket shuts the session down. */
  shutDownOnExternalEnd(session: Session): void {
    this.session = session;
    if (this.socket instanceof Socket) watchEnd(this.socket);
  }

  /** The socket is being ended or destroyed, and not by us. */
  static endedExternally(socket: HostedSocket): void {
    shutDown(socket[STREAM]!.session);
  }

  get buffered(): number {
    return this.queued + this.unflushed;
  }

  get taken(): number {
    return this.bytesWritten - this.buffered;
  }

  write(parts: readonly Uint8Array[]): void {
    const [only] = parts;
    if (parts.length === 1 && this.queued === 0 && this.isIdle && only!.length <= this.sliceSize && this.isWritable) {
      this.bytesWritten += only!.length;
      this.writeDirect(only!);
    } else {
      if (this.queue === EMPTY_QUEUE) this.queue = [];
      for (const part of parts) {
        this.queue.push(part);
        this.queued += part.length;
        this.bytesWritten += part.length;
      }
      if (this.isIdle) this.writeQueued();
    }
    this.watchUnflushed();
  }

  /** Hands something to the socket of which nothing waits here. */
  protected writeDirect(part: Uint8Array): void {
    if (this.flushesSynchronously) this.socket.write(part);
    else this.socket.write(part, this.flushCallback());
  }

  /**
   * Has `drained` called once what waits, such as the answer to the handshake, is taken. Most writes are taken at once, and
   * a callback with each would cost all of them; where one is not, an empty write behind it tells.
   */
  watchUnflushed(): void {
    this.unflushed = this.socket.writableLength + this.directBytes;
    if (this.unflushed > 0 && this.pendingCallbacks === 0 && this.isWritable)
      this.socket.write(EMPTY, this.flushCallback());
  }

  end(): void {
    this.ending = true;
    this.session = undefined;
    if (this.queued === 0 && this.isIdle) this.socket.end();
    // A socket closed with octets unread is reset, and the peer may lose our close frame (RFC 6455 §7.1.1).
    this.resume();
  }

  destroy(): void {
    this.session = undefined;
    this.socket.destroy();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    const { socket } = this;
    // Chunks that went past Readable were the answer to a read that it still waits for: else it would begin no other.
    if (this.isDirect && !socket.readableFlowing) Readable.prototype.push.call(socket, EMPTY);
    socket.resume();
  }

  answersAtOnce(): boolean {
    return false;
  }

  flushSoon(): void {
    flushInBatch(this.connection);
  }

  /** The number of bytes that the socket may be given at once. */
  protected get sliceSize(): number {
    return MAX_PENDING_WRITE;
  }

  /** Of two writes at once, some of Node's streams tell the end of one only. */
  private get isIdle(): boolean {
    return this.directBytes === 0;
  }

  private get isWritable(): boolean {
    return !this.socket.destroyed && !this.socket.writableEnded;
  }

  /** Hands as much to the socket as it should have at once. */
  private writeQueued(): void {
    const { socket, queue } = this;
    for (;;) {
      let room = this.sliceSize - socket.writableLength;
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
        socket.write(slice, queue.length > 0 && room > 0 ? undefined : this.flushCallback());
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
    if (this.ending && this.queued === 0 && !this.socket.writableEnded) this.socket.end();
    if (this.buffered > 0) return;
    // An idle connection keeps none.
    if (this.flushesSynchronously && this.pendingCallbacks === 0) this.sharedCallback = undefined;
    // What was on its way to a socket that is gone may be read still: it is not to be written over.
    if (!this.socket.destroyed) this.connection.sent();
    this.connection.drained();
  }

  /** The shared listeners' way in. */
  static connectionOf(socket: HostedSocket): Connection {
    return socket[STREAM]!.connection;
  }

  static isEnding(socket: HostedSocket): boolean {
    return socket[STREAM]!.ending;
  }
}

/** What Node calls with all that arrives: the socket's own method, but for chunks that would go straight through it. */
function push(this: HostedSocket, chunk: unknown, encoding?: BufferEncoding): boolean {
  const isNext = this.readableFlowing && this.readableLength === 0 && !this.destroyed;
  // Others may listen, too.
  if (!isNext || !(chunk instanceof Uint8Array) || this.listenerCount("data") > 1)
    return Readable.prototype.push.call(this, chunk, encoding);
  NodeStream.connectionOf(this).receive(chunk);
  // Paused meanwhile: Readable hears that its read is answered, and says whether to read on, into its queue.
  return this.readableFlowing || Readable.prototype.push.call(this, EMPTY);
}

const watchEnd = wrapEndMethods(NodeStream.endedExternally);

function onData(this: HostedSocket, chunk: Uint8Array): void {
  NodeStream.connectionOf(this).receive(chunk);
}

function onEnd(this: HostedSocket): void {
  if (!NodeStream.isEnding(this)) NodeStream.connectionOf(this).ended();
}

function onClose(this: HostedSocket): void {
  NodeStream.connectionOf(this).closed();
}

/** `close` follows, and is what counts. */
function ignore(): void {}
