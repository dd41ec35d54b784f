/**
 * Messages that are sent to many connections. Their frames are encoded once, consecutively in one buffer, and each
 * connection writes this buffer or a slice of it.
 */
import type { IoData, Opcode, OutMessage } from "../message.ts";
import type { ByteOps } from "./byte-ops.ts";
import { FIN, headerSize, OPCODE, RSV1, writeHeader } from "./frame.ts";
import { ioLength, snapshot, writeIoData } from "./io-data.ts";

/** Compresses messages without context takeover (RFC 7692 §7.1.1.1), so that connections can share the results. */
export interface SharedCompressor {
  /** Messages of fewer bytes are sent uncompressed. */
  readonly threshold: number;
  /**
   * Larger messages are not passed to {@link compress}: they are compressed in another thread, by the output of each
   * connection.
   */
  readonly syncLimit: number;
  /** Returns the compressed payload; `undefined` if it would not be smaller than the message (unless that is empty). */
  compress(data: IoData, size: number): Uint8Array | undefined;
}

/** Receives the parts of a slice, in order. */
export interface SliceReceiver {
  /** Complete frames. `compressedBytes`: the bytes of those payloads in them that are compressed. */
  sendFrames(frames: Uint8Array, compressedBytes: number): void;
  /** A message that the connection's own output encodes, and compresses if it is large enough. */
  send(opcode: number, data: IoData, size: number): void;
}

/** For each opcode, the number of messages, and the bytes of their payloads. */
export type SharedTotals = Readonly<Record<Opcode, { readonly messages: number; readonly bytes: number }>>;

/** A buffer to which frames are appended. Frames in it never change, so slices of it can be sent. */
class FrameBuffer {
  bytes = new Uint8Array(0);
  /** For each message: where its frame ends. */
  readonly ends: number[] = [];
  /** For each message of compressed frames: the bytes of the compressed payloads until its end. */
  readonly compressedEnds: number[] = [];
  private readonly byteOps: ByteOps;

  constructor(byteOps: ByteOps) {
    this.byteOps = byteOps;
  }

  get used(): number {
    return this.ends.at(-1) ?? 0;
  }

  /** Makes room for `size` more bytes. Slices keep the old memory. */
  reserve(size: number): void {
    const needed = this.used + size;
    if (needed <= this.bytes.length) return;
    const old = this.bytes;
    // A buffer that is extended once is likely to be extended again.
    this.bytes = this.byteOps.allocOutput(old.length === 0 ? needed : Math.max(needed, 2 * old.length)) as typeof old;
    this.bytes.set(old.subarray(0, this.used));
  }

  /** Appends a frame, for which there is room. */
  append(firstByte: number, data: IoData, size: number): void {
    const payload = writeHeader(this.bytes, this.used, firstByte, size);
    this.ends.push(writeIoData(data, this.bytes, payload, this.byteOps, size));
  }

  /** The last message that was appended has a compressed payload of `bytes` bytes; 0: it is not compressed. */
  noteCompressed(bytes: number): void {
    this.compressedEnds.push((this.compressedEnds.at(-1) ?? 0) + bytes);
  }

  /** The bytes of the compressed payloads of the messages from `from` to `to`, exclusive. */
  compressedBytes(from: number, to: number): number {
    return startOf(this.compressedEnds, to) - startOf(this.compressedEnds, from);
  }

  slice(from: number, to: number): Uint8Array {
    return this.bytes.subarray(startOf(this.ends, from), startOf(this.ends, to));
  }
}

/** Where the frame of message `index` starts: where that of the message before it ends. */
const startOf = (ends: readonly number[], index: number): number => (index === 0 ? 0 : ends[index - 1]!);

export class SharedMessages {
  private readonly byteOps: ByteOps;
  private readonly messages: { readonly opcode: Opcode; readonly data: IoData }[] = [];
  private readonly sizes: number[] = [];
  /** For each measured message: where its uncompressed frame ends. */
  private readonly ends: number[] = [];
  private readonly uncompressed: FrameBuffer;
  private readonly compressed = new Map<SharedCompressor, FrameBuffer>();

  constructor(byteOps: ByteOps) {
    this.byteOps = byteOps;
    this.uncompressed = new FrameBuffer(byteOps);
  }

  get count(): number {
    return this.messages.length;
  }

  /** Adds a message that has been checked. */
  add({ opcode, data }: OutMessage): void {
    // The frames are encoded later.
    this.messages.push({ opcode, data: snapshot(data ?? "", this.byteOps) });
  }

  /** The size of the payload of a message in bytes. */
  sizeOf(index: number): number {
    this.measure();
    return this.sizes[index]!;
  }

  /** The size of the uncompressed frames of the messages from `from` to `to`, exclusive. */
  frameBytes(from: number, to: number): number {
    this.measure();
    return startOf(this.ends, to) - startOf(this.ends, from);
  }

  /** The number of messages from `from` to `to`, exclusive, and the bytes of their payloads, by opcode. */
  totals(from: number, to: number): SharedTotals {
    const none = { messages: 0, bytes: 0 };
    const totals = { text: { ...none }, binary: { ...none }, ping: { ...none }, pong: { ...none } };
    for (let i = from; i < to; i++) {
      const total = totals[this.messages[i]!.opcode];
      total.messages++;
      total.bytes += this.sizeOf(i);
    }
    return totals;
  }

  /** The messages from `from` to `to`, exclusive. */
  slice(from: number, to: number): SharedSlice {
    return new SharedSlice(this, from, to);
  }

  /** The uncompressed frames of the messages from `from` to `to`, exclusive. */
  frames(from: number, to: number): Uint8Array {
    const { uncompressed } = this;
    const encoded = uncompressed.ends.length;
    if (encoded < to) {
      uncompressed.reserve(this.frameBytes(encoded, this.count));
      for (let i = encoded; i < this.count; i++)
        uncompressed.append(FIN | OPCODE[this.messages[i]!.opcode], this.dataOf(i), this.sizes[i]!);
    }
    return uncompressed.slice(from, to);
  }

  /** Passes on the messages from `from` to `to`, exclusive, each one compressed at most once for each compressor. */
  compressTo(receiver: SliceReceiver, compressor: SharedCompressor, from: number, to: number): void {
    const buffer = this.compressedBy(compressor, to);
    let start = from;
    for (let i = from; i < to; i++) {
      if (!this.isLarge(i, compressor)) continue;
      if (start < i) receiver.sendFrames(buffer.slice(start, i), buffer.compressedBytes(start, i));
      receiver.send(OPCODE[this.messages[i]!.opcode], this.dataOf(i), this.sizes[i]!);
      start = i + 1;
    }
    if (start < to) receiver.sendFrames(buffer.slice(start, to), buffer.compressedBytes(start, to));
  }

  /** Passes on the messages from `from` to `to`, exclusive, for connections that cannot share frames. */
  sendTo(receiver: SliceReceiver, from: number, to: number): void {
    this.measure();
    for (let i = from; i < to; i++) receiver.send(OPCODE[this.messages[i]!.opcode], this.dataOf(i), this.sizes[i]!);
  }

  private compressedBy(compressor: SharedCompressor, count: number): FrameBuffer {
    let buffer = this.compressed.get(compressor);
    if (buffer === undefined) this.compressed.set(compressor, (buffer = new FrameBuffer(this.byteOps)));
    this.measure();
    for (let i = buffer.ends.length; i < count; i++) {
      const compressedBytes = this.isLarge(i, compressor) ? 0 : this.compressInto(buffer, compressor, i);
      // The message is passed to each connection's own output.
      if (buffer.ends.length === i) buffer.ends.push(buffer.used);
      buffer.noteCompressed(compressedBytes);
    }
    return buffer;
  }

  /** Returns the size of the compressed payload; 0: the message is not compressed. */
  private compressInto(buffer: FrameBuffer, compressor: SharedCompressor, index: number): number {
    const opcode = OPCODE[this.messages[index]!.opcode];
    const data = this.dataOf(index);
    const size = this.sizes[index]!;
    // Control frames are never compressed (RFC 7692 §6.1).
    const compresses = opcode < OPCODE.close && size >= compressor.threshold;
    const payload = compresses ? compressor.compress(data, size) : undefined;
    const length = payload?.length ?? size;
    buffer.reserve(headerSize(length) + length);
    if (payload === undefined) buffer.append(FIN | opcode, data, size);
    else buffer.append(FIN | RSV1 | opcode, payload, length);
    return payload?.length ?? 0;
  }

  /** Whether the message is passed to each connection's own output, to be compressed in another thread. */
  private isLarge(index: number, { threshold, syncLimit }: SharedCompressor): boolean {
    const size = this.sizes[index]!;
    return size > syncLimit && size >= threshold;
  }

  private dataOf(index: number): IoData {
    return this.messages[index]!.data;
  }

  private measure(): void {
    const { ends, messages, sizes } = this;
    for (let i = ends.length; i < messages.length; i++) {
      const size = ioLength(this.dataOf(i), this.byteOps);
      sizes.push(size);
      ends.push(startOf(ends, i) + headerSize(size) + size);
    }
  }
}

/** Consecutive messages that are sent to one or more connections. */
export class SharedSlice {
  private readonly messages: SharedMessages;
  private readonly from: number;
  private readonly to: number;
  private encoded: Uint8Array | undefined = undefined;
  private counted: SharedTotals | undefined = undefined;

  constructor(messages: SharedMessages, from: number, to: number) {
    this.messages = messages;
    this.from = from;
    this.to = to;
  }

  /** The messages by opcode. */
  get totals(): SharedTotals {
    return (this.counted ??= this.messages.totals(this.from, this.to));
  }

  /** The uncompressed frames. */
  get frames(): Uint8Array {
    return (this.encoded ??= this.messages.frames(this.from, this.to));
  }

  /**
   * Passes the messages on to the output of a connection with compression. `compressor`: the one that it shares with
   * other connections; `undefined` if it has its own, which compresses the messages one by one.
   */
  sendTo(receiver: SliceReceiver, compressor: SharedCompressor | undefined): void {
    if (compressor === undefined) this.messages.sendTo(receiver, this.from, this.to);
    else this.messages.compressTo(receiver, compressor, this.from, this.to);
  }
}
