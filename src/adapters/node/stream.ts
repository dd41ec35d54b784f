/** A Duplex of Node (a TCP or TLS socket) as the stream of octets that a connection wants. */
import { Socket } from "node:net";
import { type Duplex, Readable, Writable } from "node:stream";
import type { ByteStream, ByteStreamEvents } from "../../protocol/byte-stream.ts";
import { later } from "../shared/timers.ts";
import { endingAfter } from "./closing.ts";

/**
 * So much is handed to the socket at once; the rest waits here. Node counts a write as waiting until all of it is taken,
 * so large ones would hide whether the peer makes progress.
 */
const SLICE = 262_144;

/** Other runtimes have sockets of their own making. */
const IS_NODE = !("bun" in process.versions || "deno" in process.versions);

/** Nobody else has put methods of his own in its way, to measure what goes through. */
const isUntouched = ({ push, write }: Duplex): boolean =>
  push === Readable.prototype.push && write === Writable.prototype.write;

const STREAM = Symbol("websock-js.stream");

/** Never added to. */
const NONE: Uint8Array[] = [];

const NOTHING = new Uint8Array(0);

type Hosted = Duplex & { [STREAM]?: NodeStream };

export class NodeStream implements ByteStream {
  protected readonly socket: Hosted;
  /**
   * Octets go past the socket's queues where these are empty, as they nearly always are. Node hands what arrives to the
   * socket's `push`; between that and `data` stands a queue for those who read at another pace, and costs a twentieth of a
   * short message.
   */
  protected readonly isDirect: boolean;
  private readonly takesAtOnce: boolean;
  protected events!: ByteStreamEvents;
  /** Octets that the socket has been given past its own queue, and has not taken yet: until then it is given nothing more. */
  protected inHand = 0;
  private queue: Uint8Array[] = NONE;
  protected queued = 0;
  /** What the socket has not taken, as of our last write or its last answer: asking it each time costs more. */
  protected waiting = 0;
  private written = 0;
  private ending = false;
  /** Writes that the socket will answer with {@link onTaken}, each in its turn. */
  protected asked = 0;
  private onTaken: (() => void) | undefined = undefined;

  constructor(socket: Duplex, isNodes: boolean = socket instanceof Socket) {
    this.socket = socket;
    this.isDirect = isNodes && IS_NODE && isUntouched(socket);
    // What is encrypted or framed first is always taken later.
    this.takesAtOnce = socket instanceof Socket && !("encrypted" in socket);
  }

  /** Begins to read. */
  open(events: ByteStreamEvents): void {
    const { socket } = this;
    this.events = events;
    socket[STREAM] = this;
    // Functions that all sockets share: closures would be most of what a connection costs.
    socket.on("data", onData).on("end", onEnd).on("close", onClose).on("error", ignore);
    if (this.isDirect) socket.push = push;
  }

  /** From now on, when other code ends or destroys the socket, the session is shut down first. */
  shutDownWhenEnded(): void {
    if (this.socket instanceof Socket) endAfterwards(this.socket);
  }

  /** The socket is being ended or destroyed, by us or by other code. */
  static beforeEnd(socket: Hosted): void {
    const { ending, events } = socket[STREAM]!;
    if (!ending) events.onHostStop();
  }

  get buffered(): number {
    return this.queued + this.waiting;
  }

  get bytesFlushed(): number {
    return this.written - this.buffered;
  }

  write(parts: readonly Uint8Array[]): void {
    const [only] = parts;
    if (parts.length === 1 && this.queued === 0 && this.isFree && only!.length <= this.slice && this.isWritable) {
      this.written += only!.length;
      this.hand(only!);
    } else {
      if (this.queue === NONE) this.queue = [];
      for (const part of parts) {
        this.queue.push(part);
        this.queued += part.length;
        this.written += part.length;
      }
      if (this.isFree) this.feed();
    }
    this.watch();
  }

  /** Hands something to the socket of which nothing waits here. */
  protected hand(part: Uint8Array): void {
    if (this.takesAtOnce) this.socket.write(part);
    else this.socket.write(part, this.ask());
  }

  /**
   * Has `drained` called once what waits, such as the answer to the handshake, is taken. Most writes are taken at once, and
   * a callback with each would cost all of them; where one is not, an empty write behind it tells.
   */
  watch(): void {
    this.waiting = this.socket.writableLength + this.inHand;
    if (this.waiting > 0 && this.asked === 0 && this.isWritable) this.socket.write(NOTHING, this.ask());
  }

  end(): void {
    this.ending = true;
    if (this.queued === 0 && this.isFree) this.socket.end();
    // A socket closed with octets unread is reset, and the peer may lose our close frame (RFC 6455 §7.1.1).
    this.resume();
  }

  destroy(): void {
    this.ending = true;
    this.socket.destroy();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    const { socket } = this;
    // Chunks that went past Readable were the answer to a read that it still waits for: else it would begin no other.
    if (this.isDirect && !socket.readableFlowing) Readable.prototype.push.call(socket, NOTHING);
    socket.resume();
  }

  shouldFlushNow(): boolean {
    return false;
  }

  scheduleFlush(): void {
    if (toFlush.push(this.events) === 1) later(flushAll);
  }

  /** The number of bytes that the socket may be given at once. */
  protected get slice(): number {
    return SLICE;
  }

  /** Of two writes at once, some of Node's streams tell the end of one only. */
  private get isFree(): boolean {
    return this.inHand === 0;
  }

  private get isWritable(): boolean {
    return !this.socket.destroyed && !this.socket.writableEnded;
  }

  /** Hands as much to the socket as it should have at once. */
  private feed(): void {
    const { socket, queue } = this;
    for (;;) {
      let room = this.slice - socket.writableLength;
      if (this.queued === 0 || room <= 0) return;
      if (!this.isWritable) {
        this.queue = NONE;
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
        socket.write(slice, queue.length > 0 && room > 0 ? undefined : this.ask());
      }
      socket.uncork();
    }
  }

  protected ask(): () => void {
    this.asked++;
    return (this.onTaken ??= () => this.took());
  }

  protected took(): void {
    this.asked--;
    this.inHand = 0;
    if (this.queued > 0) this.feed();
    this.watch();
    if (this.ending && this.queued === 0 && this.isWritable) this.socket.end();
    if (this.buffered > 0) return;
    // An idle connection keeps none.
    if (this.takesAtOnce && this.asked === 0) this.onTaken = undefined;
    // What was on its way to a socket that is gone may be read still: it is not to be written over.
    if (!this.socket.destroyed) this.events.onFlushed();
    this.events.onDrain();
  }

  /** The shared listeners' way in. */
  static eventsOf(socket: Hosted): ByteStreamEvents {
    return socket[STREAM]!.events;
  }

  static isEnding(socket: Hosted): boolean {
    return socket[STREAM]!.ending;
  }
}

/** What Node calls with all that arrives: the socket's own method, but for chunks that would go straight through it. */
function push(this: Hosted, chunk: unknown, encoding?: BufferEncoding): boolean {
  const isNext = this.readableFlowing && this.readableLength === 0 && !this.destroyed;
  // Others may listen, too.
  if (!isNext || !(chunk instanceof Uint8Array) || this.listenerCount("data") > 1)
    return Readable.prototype.push.call(this, chunk, encoding);
  NodeStream.eventsOf(this).onBytes(chunk);
  // Paused meanwhile: Readable hears that its read is answered, and says whether to read on, into its queue.
  return this.readableFlowing || Readable.prototype.push.call(this, NOTHING);
}

const endAfterwards = endingAfter(NodeStream.beforeEnd);

function onData(this: Hosted, chunk: Uint8Array): void {
  NodeStream.eventsOf(this).onBytes(chunk);
}

function onEnd(this: Hosted): void {
  if (!NodeStream.isEnding(this)) NodeStream.eventsOf(this).onEnd();
}

function onClose(this: Hosted): void {
  NodeStream.eventsOf(this).onDisconnect();
}

/** `close` follows, and is what counts. */
function ignore(): void {}

/**
 * The connections that have something to write. They do so together, once the event loop has read from all that were
 * ready: several writes in a row wake the other side's process less often than each of them alone.
 */
let toFlush: ByteStreamEvents[] = [];

function flushAll(): void {
  const streams = toFlush;
  toFlush = [];
  for (const events of streams) events.onScheduledFlush();
}
