/** The frame writer: turns messages into bytes (RFC 6455 §5, server side). */
import type { IoData } from "../message.ts";
import { type ByteOps, portableByteOps } from "./byte-ops.ts";
import { headerSize, writeHeader } from "./frame.ts";
import { COPY_LIMIT, forEachPart, ioLength, writeIoData } from "./io-data.ts";
import { MAX_SHORT, TEXT_FRAME } from "./short-text/run.ts";

/** Memory for small frames. It is filled front to back, and reused from the front once all frames in it are flushed. */
class Slab {
  private readonly byteOps: ByteOps;
  private readonly size: number;
  bytes: Uint8Array = new Uint8Array(0);
  view = viewOf(this.bytes);
  used = 0;
  /**
   * The number of writers with frames here that may be unflushed. A writer that never releases it prevents its reuse.
   */
  private writers = 0;

  constructor(byteOps: ByteOps, size: number) {
    this.byteOps = byteOps;
    this.size = size;
  }

  reserve(size: number): void {
    if (this.used + size <= this.bytes.length) return;
    // Parts that are not flushed keep the old memory alive.
    this.bytes = this.byteOps.allocOutput(Math.max(size, this.size));
    this.view = viewOf(this.bytes);
    this.used = this.writers = 0;
  }

  hold(): Uint8Array {
    this.writers++;
    return this.bytes;
  }

  /** All frames that one writer has put into this memory are flushed. */
  release(bytes: Uint8Array): void {
    if (bytes === this.bytes && --this.writers === 0) this.used = 0;
  }
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);

/** Room for a frame of 64 KiB. */
const SHARED_SLAB_SIZE = 81_920;
const OWN_SLAB_SIZE = 16_384;

/** All connections of a host share one slab: nearly always, frames are flushed at the end of the event-loop tick. */
const sharedSlabs = new WeakMap<ByteOps, Slab>();

const sharedSlab = (byteOps: ByteOps): Slab => {
  let slab = sharedSlabs.get(byteOps);
  if (slab === undefined) sharedSlabs.set(byteOps, (slab = new Slab(byteOps, SHARED_SLAB_SIZE)));
  return slab;
};

/** Stands in for a connection's own slab until something is written to it. */
const NO_SLAB = new Slab(portableByteOps, 0);

/** The header of an unfragmented text frame for each short length, one character per byte. */
const TEXT_HEADERS = Array.from({ length: MAX_SHORT + 1 }, (_, size) => String.fromCharCode(TEXT_FRAME, size));

/** Shared by all writers without parts. Never add to it. */
const NO_PARTS: Uint8Array[] = [];

/**
 * Collects the frames of one connection until they are written. Small frames are contiguous, so that they are one part.
 */
export class FrameWriter {
  /** The number of bytes that wait for {@link takeParts}. */
  bytes = 0;

  readonly byteOps: ByteOps;
  private slab: Slab;
  private hasOwnSlab = false;
  private parts: Uint8Array[] = NO_PARTS;
  /**
   * The slab's memory, while a region of it (`regionStart` to `regionEnd`) contains frames that are not in `parts` yet.
   */
  private region: Uint8Array | undefined;
  private regionStart = 0;
  private regionEnd = 0;
  /** The slab's memory, while it contains frames of this writer that may be unflushed. */
  private heldMemory: Uint8Array | undefined;
  /** Complete frames of short ASCII texts that are not in the slab yet, one character per byte. */
  private pendingText = "";

  constructor(byteOps: ByteOps) {
    this.byteOps = byteOps;
    this.slab = sharedSlab(byteOps);
  }

  /**
   * Adds a frame.
   *
   * @param firstByte the first byte of its header
   * @param size the length of `data` in bytes
   */
  add(firstByte: number, data: IoData, size: number): void {
    const header = headerSize(size);
    this.bytes += header + size;
    if (typeof data === "string" && size <= MAX_SHORT) {
      const { lastText } = this.byteOps;
      // Not behind a collected frame: writing that one first would be a call to the host for each message.
      if (this.pendingText === "" && data === lastText.text && lastText.view !== undefined) {
        this.addLastText(firstByte, size);
        return;
      }
      // Collect the frame in a string: many frames are then written by one call to the host.
      if (size === data.length && firstByte === TEXT_FRAME && !this.hasOwnSlab) {
        this.pendingText += TEXT_HEADERS[size]! + data;
        return;
      }
    }
    if (this.pendingText !== "") this.writePendingText();
    const copied = size < COPY_LIMIT || this.byteOps.lastText.isTransient(data);
    const at = this.reserve(copied ? header + size : header);
    const { bytes } = this.slab;
    const payload = writeHeader(bytes, at, firstByte, size);
    this.regionEnd = this.slab.used = copied ? writeIoData(data, bytes, payload, this.byteOps, size) : payload;
    if (!copied) this.addLarge(data, size);
  }

  /** Adds complete frames, whose bytes never change. */
  addFrames(frames: Uint8Array): void {
    const { length } = frames;
    this.bytes += length;
    if (this.pendingText !== "") this.writePendingText();
    if (length < COPY_LIMIT) {
      const at = this.reserve(length);
      this.slab.bytes.set(frames, at);
      this.regionEnd = this.slab.used = at + length;
      return;
    }
    this.endRegion();
    let part = frames;
    // A slice that waits for a long time must not keep a much larger buffer in memory.
    if (2 * length < frames.buffer.byteLength) {
      part = this.byteOps.allocOutput(length);
      part.set(frames);
    }
    this.addPart(part);
  }

  /** Returns everything that was added since the last call, to be written in this order. */
  takeParts(): readonly Uint8Array[] {
    if (this.pendingText !== "") this.writePendingText();
    this.endRegion();
    const { parts } = this;
    this.parts = NO_PARTS;
    this.bytes = 0;
    return parts;
  }

  /** All parts that {@link takeParts} has returned have been copied or sent: their memory may be reused. */
  onFlushed(): void {
    if (this.heldMemory === undefined) return;
    this.slab.release(this.heldMemory);
    this.heldMemory = undefined;
  }

  /**
   * Chooses the slab for frames that are added from now on. A connection with a backlog gets its own: its frames stay
   * contiguous, and frames that wait for long don't keep the shared slab in memory.
   */
  useOwnSlab(own: boolean): void {
    if (own === this.hasOwnSlab) return;
    if (this.pendingText !== "") this.writePendingText();
    this.endRegion();
    this.heldMemory = undefined;
    this.hasOwnSlab = own;
    // Its own slab is allocated when the first frame is added.
    this.slab = own ? NO_SLAB : sharedSlab(this.byteOps);
  }

  /** Adds the short text that was decoded last, by copying the bytes that it was received as. */
  private addLastText(firstByte: number, size: number): void {
    const at = this.reserve(2 + size);
    const { view } = this.slab;
    view.setUint16(at, (firstByte << 8) | size);
    this.regionEnd = this.slab.used = this.byteOps.lastText.copyTo(view, at + 2);
  }

  private writePendingText(): void {
    const { pendingText } = this;
    const at = this.reserve(pendingText.length);
    this.byteOps.writeLatin1(pendingText, this.slab.bytes, at);
    this.regionEnd = this.slab.used = at + pendingText.length;
    this.pendingText = "";
  }

  /**
   * Reserves `size` bytes in the slab, and returns their position. Extends the current region, unless another writer
   * has added to the slab since.
   */
  private reserve(size: number): number {
    if (this.slab === NO_SLAB) this.slab = new Slab(this.byteOps, OWN_SLAB_SIZE);
    const { slab } = this;
    slab.reserve(size);
    if (this.region !== slab.bytes || this.regionEnd !== slab.used) {
      this.endRegion();
      this.region = slab.bytes;
      this.regionStart = slab.used;
      if (this.heldMemory !== slab.bytes) this.heldMemory = slab.hold();
    }
    return slab.used;
  }

  private endRegion(): void {
    if (this.region === undefined) return;
    this.addPart(this.region.subarray(this.regionStart, this.regionEnd));
    this.region = undefined;
  }

  private addPart(part: Uint8Array): void {
    if (this.parts === NO_PARTS) this.parts = [part];
    else this.parts.push(part);
  }

  /** Adds large pieces of `data` as parts of their own, and copies the small pieces between them to the slab. */
  private addLarge(data: IoData, size: number): void {
    if (Array.isArray(data)) {
      forEachPart(data as IoData, (part) => this.addLarge(part, ioLength(part, this.byteOps)));
      return;
    }
    if (size < COPY_LIMIT) {
      const at = this.reserve(size);
      this.regionEnd = this.slab.used = writeIoData(data, this.slab.bytes, at, this.byteOps, size);
      return;
    }
    this.endRegion();
    if (data instanceof Uint8Array) {
      this.addPart(data);
    } else if (data === this.byteOps.lastText.text && !this.byteOps.lastText.isTransient(data)) {
      this.addPart(this.byteOps.lastText.bytes);
    } else {
      const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : this.byteOps.allocOutput(size);
      if (typeof data === "string") this.byteOps.writeUtf8(data, bytes, 0, size);
      this.addPart(bytes);
    }
  }
}

/** The maximum number of writers that are kept for reuse. */
const MAX_IDLE_WRITERS = 256;

/** For each host, writers that no connection uses. */
const idleWriters = new WeakMap<ByteOps, FrameWriter[]>();

/** Returns a writer for a connection that has something to send. */
export const takeWriter = (byteOps: ByteOps): FrameWriter =>
  idleWriters.get(byteOps)?.pop() ?? new FrameWriter(byteOps);

/** Everything that was added to the writer is flushed, and its connection does not use it any more. */
export const recycleWriter = (writer: FrameWriter): void => {
  writer.onFlushed();
  writer.useOwnSlab(false);
  const idle = idleWriters.get(writer.byteOps);
  if (idle === undefined) idleWriters.set(writer.byteOps, [writer]);
  else if (idle.length < MAX_IDLE_WRITERS) idle.push(writer);
};

/** Stands in for the writer of a connection that has nothing to send. Never add to it. */
export const NO_FRAMES = new FrameWriter(portableByteOps);
