/** Messages to octets: the sending half of RFC 6455 §5, on the server's side. */
import type { IoData } from "../message.ts";
import { type ByteOps, portableByteOps } from "./byte-ops.ts";
import { headerSize, writeHeader } from "./frame.ts";
import { forEachPart, ioLength, writeIoData } from "./io-data.ts";
import { SHORT, TEXT } from "./short-text/run.ts";

/** Payloads from here on are handed on as they are, not copied behind their header. */
const COPY_LIMIT = 16_384;

/** Memory for small frames, handed out front to back; from the front again once all that was handed out is taken. */
class Slab {
  private readonly byteOps: ByteOps;
  private readonly size: number;
  bytes: Uint8Array = new Uint8Array(0);
  view = viewOf(this.bytes);
  used = 0;
  /** How many writers have frames in it that may not be taken yet. One that never says so keeps it from being used again. */
  private holders = 0;

  constructor(byteOps: ByteOps, size: number) {
    this.byteOps = byteOps;
    this.size = size;
  }

  reserve(size: number): void {
    if (this.used + size <= this.bytes.length) return;
    // Those who read the old memory keep it alive.
    this.bytes = this.byteOps.allocOutput(Math.max(size, this.size));
    this.view = viewOf(this.bytes);
    this.used = this.holders = 0;
  }

  hold(): Uint8Array {
    this.holders++;
    return this.bytes;
  }

  /** What a writer has put into this memory is taken. */
  release(bytes: Uint8Array): void {
    if (bytes === this.bytes && --this.holders === 0) this.used = 0;
  }
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);

const SHARED_SLAB_SIZE = 65_536;
const OWN_SLAB_SIZE = 16_384;

/** One slab serves every connection of a host: nearly always a connection's frames are on their way at the end of its turn. */
const sharedSlabs = new WeakMap<ByteOps, Slab>();

const sharedSlab = (byteOps: ByteOps): Slab => {
  let slab = sharedSlabs.get(byteOps);
  if (slab === undefined) sharedSlabs.set(byteOps, (slab = new Slab(byteOps, SHARED_SLAB_SIZE)));
  return slab;
};

/** Nothing is ever put into it. */
const NO_SLAB = new Slab(portableByteOps, 0);

/** The header of a text in one frame, for each short length, as characters. */
const TEXT_HEADERS = Array.from({ length: SHORT + 1 }, (_, size) => String.fromCharCode(TEXT, size));

/** Never added to. */
const NONE: Uint8Array[] = [];

/** Gathers the frames of one connection until they are taken: side by side where they are small, so that one write does. */
export class FrameWriter {
  /** Octets that wait to be taken. */
  bytes = 0;

  private readonly byteOps: ByteOps;
  private slab: Slab;
  private hasOwnSlab = false;
  private parts: Uint8Array[] = NONE;
  /** The stretch of the slab that is not among the parts yet. */
  private stretch: Uint8Array | undefined;
  private start = 0;
  private end = 0;
  /** The slab's memory, if frames of ours that are not taken are in it. */
  private held: Uint8Array | undefined;
  /** Whole frames of short ASCII text that are not in the slab yet, each octet a character. */
  private text = "";

  constructor(byteOps: ByteOps) {
    this.byteOps = byteOps;
    this.slab = sharedSlab(byteOps);
  }

  /** Adds a frame: its first octet, and `data` of `size` octets. */
  add(first: number, data: IoData, size: number): void {
    const header = headerSize(size);
    this.bytes += header + size;
    if (typeof data === "string" && size <= SHORT) {
      const { lastText } = this.byteOps;
      if (data === lastText.text && lastText.view !== undefined) {
        this.addLastText(first, size);
        return;
      }
      // One call of the host then writes many frames.
      if (size === data.length && first === TEXT && !this.hasOwnSlab) {
        this.text += TEXT_HEADERS[size]! + data;
        return;
      }
    }
    if (this.text !== "") this.writeText();
    const copied = size < COPY_LIMIT;
    const at = this.room(copied ? header + size : header);
    const { bytes } = this.slab;
    const payload = writeHeader(bytes, at, first, size);
    this.end = this.slab.used = copied ? writeIoData(data, bytes, payload, this.byteOps, size) : payload;
    if (!copied) this.addLarge(data, size);
  }

  /** Hands over everything that waits. */
  take(): readonly Uint8Array[] {
    if (this.text !== "") this.writeText();
    this.endStretch();
    const { parts } = this;
    this.parts = NONE;
    this.bytes = 0;
    return parts;
  }

  /** All that {@link take} has handed over so far is copied away or sent: the memory may be used again. */
  onFlushed(): void {
    if (this.held === undefined) return;
    this.slab.release(this.held);
    this.held = undefined;
  }

  /**
   * What is added from now on may wait for long: it goes to memory of this connection alone, so that it stays together
   * and keeps nobody else's alive. `false`: back to the shared memory.
   */
  useOwnSlab(apart: boolean): void {
    if (apart === this.hasOwnSlab) return;
    if (this.text !== "") this.writeText();
    this.endStretch();
    this.held = undefined;
    this.hasOwnSlab = apart;
    // Its own slab is made when there is something for it.
    this.slab = apart ? NO_SLAB : sharedSlab(this.byteOps);
  }

  /** Adds a short text that has just arrived. */
  private addLastText(first: number, size: number): void {
    if (this.text !== "") this.writeText();
    const at = this.room(2 + size);
    const { view } = this.slab;
    view.setUint16(at, (first << 8) | size);
    this.end = this.slab.used = this.byteOps.lastText.copyTo(view, at + 2);
  }

  private writeText(): void {
    const { text } = this;
    const at = this.room(text.length);
    this.byteOps.writeLatin1(text, this.slab.bytes, at);
    this.end = this.slab.used = at + text.length;
    this.text = "";
  }

  /** Makes room in the slab, going on with the current stretch where nobody else has written behind it. */
  private room(size: number): number {
    if (this.slab === NO_SLAB) this.slab = new Slab(this.byteOps, OWN_SLAB_SIZE);
    const { slab } = this;
    slab.reserve(size);
    if (this.stretch !== slab.bytes || this.end !== slab.used) {
      this.endStretch();
      this.stretch = slab.bytes;
      this.start = slab.used;
      if (this.held !== slab.bytes) this.held = slab.hold();
    }
    return slab.used;
  }

  private endStretch(): void {
    if (this.stretch === undefined) return;
    this.addPart(this.stretch.subarray(this.start, this.end));
    this.stretch = undefined;
  }

  private addPart(part: Uint8Array): void {
    if (this.parts === NONE) this.parts = [part];
    else this.parts.push(part);
  }

  /** Hands large parts on as they are, and writes the small ones between them side by side. */
  private addLarge(data: IoData, size: number): void {
    if (Array.isArray(data)) {
      forEachPart(data as IoData, (part) => this.addLarge(part, ioLength(part, this.byteOps)));
      return;
    }
    if (size < COPY_LIMIT) {
      const at = this.room(size);
      this.end = this.slab.used = writeIoData(data, this.slab.bytes, at, this.byteOps, size);
      return;
    }
    this.endStretch();
    if (data instanceof Uint8Array) {
      this.addPart(data);
    } else if (data === this.byteOps.lastText.text) {
      this.addPart(this.byteOps.lastText.bytes);
    } else {
      const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : this.byteOps.allocOutput(size);
      if (typeof data === "string") this.byteOps.writeUtf8(data, bytes, 0, size);
      this.addPart(bytes);
    }
  }
}
