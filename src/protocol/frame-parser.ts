/** The frame parser: turns received bytes into messages (RFC 6455 §5, server side). */
import { ProtocolError } from "../errors.ts";
import type { ControlMessage } from "../message.ts";
import type { ByteOps } from "./byte-ops.ts";
import { CLOSE, type CloseFrame, parseClose } from "./close.ts";
import { copy, MAX_LOOP_COPY, NO_BYTES, viewOrCopy } from "./copy.ts";
import { FIN, OPCODE, RSV1 } from "./frame.ts";
import { checkHeader, readLength16, readLength64 } from "./frame-header.ts";
import { applyMask, applyMaskInView, copyUnmasked, copyUnmaskedInView } from "./mask.ts";
import { PartialMessage } from "./partial-message.ts";
import { pingsIn } from "./pings-ahead.ts";
import type { ReceiveBuffer } from "./receive-buffer.ts";
import { MAX_SHORT, maskRun, SHORT_HEADER, unmaskRun } from "./short-text/run.ts";
import { decodeAscii, decodeText, decodeUtf8 } from "./text.ts";

/** What the parser reports, in the order in which it arrived. */
export interface FrameEvents {
  /** A complete text message. `size`: its payload in bytes. */
  onText(data: string, size: number): void;
  /** A complete binary message. */
  onBinary(data: Uint8Array<ArrayBuffer>): void;
  /** A complete compressed message. `payload` belongs to the parser, and is valid only during the call. */
  onCompressed(opcode: number, payload: Uint8Array): void;
  /** A ping or pong. `answered`: {@link FrameParser.takePingsAhead} has already returned this ping. */
  onControl(message: ControlMessage, answered: boolean): void;
  onClose(frame: CloseFrame): void;
  /** A message that consists of more than one frame is complete, and is reported next. */
  onFragmented?(frames: number): void;
}

export interface ParserLimits {
  readonly maxFrameSize: number;
  readonly maxMessageSize: number;
  readonly maxFragments: number;
  readonly validateUtf8: boolean;
}

/** A DataView is created for chunks of at least this size: they are likely to contain several short frames. */
const MIN_VIEW_CHUNK = 128;

/** Payloads up to this size are unmasked through their chunk's DataView. */
const MAX_UNMASK_IN_VIEW = 128;

/** The same in a receive buffer, whose own function is faster from this size on. */
const MAX_UNMASK_IN_SHARED_VIEW = 12;

/**
 * The parser of one connection. {@link feed} and {@link feedShared} add received bytes, and {@link parse} reports the
 * messages in them. It unmasks the bytes in place, and throws a ProtocolError if they violate the protocol. Violations
 * are found as early as possible: the size of a data frame is checked as soon as its length has arrived, and an
 * uncompressed text is validated while its bytes arrive.
 */
export class FrameParser {
  /**
   * `parse` reports nothing while this is `true`, and keeps the remaining bytes. The owner may set it at any time, also
   * within an event: {@link parse} then returns after that event.
   */
  stopped = false;

  readonly byteOps: ByteOps;
  private limits: ParserLimits;
  private events: FrameEvents;
  /** permessage-deflate was negotiated: RSV1 marks compressed messages (RFC 7692 §6). */
  private compression: boolean;

  /** The bytes from `offset` to `end` of this memory are not parsed yet. */
  private chunk: Uint8Array = NO_BYTES;
  private offset = 0;
  private end = 0;
  /** A view of the chunk, if it is likely to contain several short frames. */
  private view: DataView | undefined = undefined;
  /** Set while the chunk is the memory of this receive buffer, that is, until {@link parse} returns. */
  private shared: ReceiveBuffer | undefined = undefined;
  /**
   * The end of the run (short texts that are decoded together, see {@link readTexts}) whose texts are being delivered;
   * 0 otherwise. All frames of the run are already unmasked.
   */
  private runEnd = 0;
  private partial: PartialMessage | undefined = undefined;
  /** The number of pings that {@link takePingsAhead} has returned, and that have not been parsed yet. */
  private pingsAnsweredAhead = 0;

  constructor(limits: ParserLimits, byteOps: ByteOps, events: FrameEvents, compression = false) {
    this.limits = limits;
    this.byteOps = byteOps;
    this.events = events;
    this.compression = compression;
  }

  /** From now on, the parser is that of another connection. It must be {@link isEmpty}. */
  reuse(limits: ParserLimits, events: FrameEvents, compression: boolean): void {
    this.limits = limits;
    this.events = events;
    this.compression = compression;
    this.pingsAnsweredAhead = 0;
  }

  /** Drops the references to the connection. */
  release(): void {
    this.events = NOBODY;
  }

  /** Whether everything that was fed is parsed and reported. */
  get isEmpty(): boolean {
    return this.offset === this.end && this.partial === undefined;
  }

  /** Adds the next chunk. From now on, the chunk belongs to the parser, which unmasks its frames in place. */
  feed(chunk: Uint8Array): void {
    this.endRun();
    this.setChunk(this.end === this.offset ? chunk : this.joinWith(chunk));
  }

  /** Adds the `size` bytes that have been read into a receive buffer. {@link parse} must be called immediately. */
  feedShared(buffer: ReceiveBuffer, size: number): void {
    const { start, bytes } = buffer;
    const remaining = this.end - this.offset;
    if (remaining > start) {
      this.feed(copy(bytes, start, start + size));
      return;
    }
    this.endRun();
    // The beginning of the frame is put before the rest of it.
    if (remaining > 0) bytes.set(this.chunk.subarray(this.offset, this.end), start - remaining);
    this.chunk = bytes;
    this.view = buffer.view;
    this.shared = buffer;
    this.offset = start - remaining;
    this.end = start + size;
  }

  private joinWith(chunk: Uint8Array): Uint8Array {
    const remaining = this.end - this.offset;
    const joined = this.byteOps.alloc(remaining + chunk.length);
    joined.set(this.chunk.subarray(this.offset, this.end));
    joined.set(chunk, remaining);
    return joined;
  }

  private setChunk(chunk: Uint8Array): void {
    const { length } = chunk;
    this.chunk = chunk;
    this.view = length < MIN_VIEW_CHUNK ? undefined : new DataView(chunk.buffer, chunk.byteOffset, length);
    this.shared = undefined;
    this.offset = 0;
    this.end = length;
  }

  /** Drops everything that has not been parsed, and stops. */
  discard(): void {
    this.stopped = true;
    this.runEnd = 0;
    this.dropChunk();
  }

  private dropChunk(): void {
    this.chunk = NO_BYTES;
    this.view = this.shared = undefined;
    this.offset = this.end = 0;
  }

  /** The number of bytes of the current frame's payload that have not arrived. */
  get expected(): number {
    return this.partial === undefined ? 0 : this.partial.remaining;
  }

  /**
   * Parses until {@link stopped} is set or more bytes are needed. What has arrived of an incomplete data frame is
   * consumed as well; an incomplete header or control frame is kept.
   */
  parse(): void {
    while (!this.stopped && (this.partial?.inPayload ? this.readPayload(this.partial) : this.readFrame()));
    const remaining = this.end - this.offset;
    if (remaining === 0) this.dropChunk();
    // Don't keep the whole chunk in memory if more bytes are needed. Other streams use a receive buffer after this one.
    else if (this.shared !== undefined || (!this.stopped && remaining < this.chunk.buffer.byteLength)) {
      this.chunk = copy(this.chunk, this.offset, this.end);
      this.view = this.shared = undefined;
      this.offset = 0;
      this.end = remaining;
    }
  }

  /**
   * Returns the payloads of the complete pings that have arrived but are not parsed, because {@link stopped} is set.
   * They can then be answered "as soon as is practical" (RFC 6455 §5.5.2). Each ping is returned once. When parsing
   * reaches it, it is still reported, with `answered` set.
   */
  takePingsAhead(): readonly Uint8Array<ArrayBuffer>[] {
    const at = this.offset + (this.partial?.inPayload ? this.partial.remaining : 0);
    const pings = pingsIn(this.chunk, at);
    const unanswered = pings.slice(this.pingsAnsweredAhead);
    this.pingsAnsweredAhead = pings.length;
    return unanswered;
  }

  /**
   * Reads a control frame or an unfragmented message, if all of it has arrived; of any other data frame, only the
   * header. `false`: more bytes are needed.
   */
  private readFrame(): boolean {
    const { chunk, offset } = this;
    const available = this.end - offset;
    if (available < 2) return false;
    const first = chunk[offset]!;
    const second = chunk[offset + 1]!;
    const opcode = first & 0x0f;
    checkHeader(first, second, this.partial !== undefined, this.compression);

    let length = second & 0x7f;
    let at = offset + 2;
    if (length === 126) {
      if (available < 4) return false;
      length = readLength16(chunk, at);
      at += 2;
    } else if (length === 127) {
      if (available < 10) return false;
      length = readLength64(chunk, at);
      at += 8;
    }
    const compressed = opcode === OPCODE.continuation ? this.partial!.compressed : (first & RSV1) !== 0;
    if (opcode < OPCODE.close) this.checkLength(length, compressed);
    if (available < at - offset + 4) return false;
    const key = chunk[at]! | (chunk[at + 1]! << 8) | (chunk[at + 2]! << 16) | (chunk[at + 3]! << 24);
    at += 4;
    const end = at + length;

    if (opcode >= OPCODE.close) {
      if (end > this.end) return false;
      this.offset = end;
      this.readControl(opcode, at, end, key);
      return true;
    }
    if (opcode !== OPCODE.continuation && (first & FIN) !== 0 && end <= this.end) {
      this.offset = end;
      if (compressed) this.readCompressed(opcode, at, end, key);
      else this.readWhole(opcode, at, end, key);
      return true;
    }
    this.offset = at;
    this.partial ??= new PartialMessage(opcode, compressed, this.byteOps, this.limits.validateUtf8);
    this.startPayload(this.partial, length, (first & FIN) !== 0, key);
    return true;
  }

  private checkLength(length: number, compressed: boolean): void {
    const { maxFrameSize, maxMessageSize } = this.limits;
    if (length > maxFrameSize)
      throw new ProtocolError(CLOSE.tooBig, `received a frame of more than ${maxFrameSize} bytes`);
    const size = length + (this.partial?.buffer.length ?? 0);
    // DEFLATE enlarges incompressible data, by about 5 bytes per 16 KiB. An allowance of 0.1% and 64 bytes is more than
    // that, and the inflated message must not exceed `maxMessageSize` anyway.
    if (size > (compressed ? maxMessageSize * 1.001 + 64 : maxMessageSize)) {
      throw new ProtocolError(CLOSE.tooBig, `received a message of more than ${maxMessageSize} bytes`);
    }
  }

  private readControl(opcode: number, start: number, end: number, key: number): void {
    this.unmask(start, end, key);
    const data = copy(this.chunk, start, end);
    if (opcode === OPCODE.close) this.events.onClose(parseClose(data, this.byteOps));
    else if (opcode === OPCODE.pong) this.events.onControl({ opcode: "pong", data }, false);
    else {
      const answered = this.pingsAnsweredAhead > 0;
      if (answered) this.pingsAnsweredAhead--;
      this.events.onControl({ opcode: "ping", data }, answered);
    }
  }

  /** Unmasks bytes in place, and returns whether the result is ASCII. */
  private unmask(start: number, end: number, key: number): boolean {
    const { view, shared } = this;
    const size = end - start;
    if (shared !== undefined && size > MAX_UNMASK_IN_SHARED_VIEW) return shared.applyMask(start, end, key);
    return view !== undefined && size <= MAX_UNMASK_IN_VIEW
      ? applyMaskInView(view, start, end, key)
      : applyMask(this.chunk, start, end, key);
  }

  /** The common case: an unfragmented message whose frame is completely in this chunk. */
  private readWhole(opcode: number, start: number, end: number, key: number): void {
    const { chunk, view, shared } = this;
    const size = end - start;
    if (opcode === OPCODE.text && size <= MAX_SHORT && view !== undefined) {
      this.readTexts(view, start, end, key);
      return;
    }
    if (opcode === OPCODE.binary && size <= MAX_LOOP_COPY) {
      const data =
        view === undefined ? copyUnmasked(chunk, start, size, key) : copyUnmaskedInView(view, start, size, key);
      this.events.onBinary(data);
      return;
    }
    const ascii = this.unmask(start, end, key);
    if (opcode === OPCODE.text) {
      const { byteOps } = this;
      const isShared = shared !== undefined;
      const data = ascii
        ? decodeAscii(chunk, start, end, byteOps, isShared)
        : decodeText(chunk.subarray(start, end), byteOps, this.limits.validateUtf8, isShared);
      this.events.onText(data, size);
    } else {
      this.events.onBinary(shared === undefined ? viewOrCopy(chunk, start, end) : copy(chunk, start, end));
    }
  }

  /**
   * Reads a short text. If it is ASCII, also reads the rest of its run: the short ASCII texts that directly follow it,
   * up to a maximum size (see `short-text/README.md`). Stops within the run if an event's listener sets {@link stopped}
   * or calls {@link feed}.
   */
  private readTexts(view: DataView, start: number, end: number, key: number): void {
    const { chunk, events, byteOps } = this;
    const isShared = this.shared !== undefined;
    const { maxFrameSize, maxMessageSize, validateUtf8 } = this.limits;
    if (!this.unmask(start, end, key)) {
      events.onText(decodeText(chunk.subarray(start, end), byteOps, validateUtf8, isShared), end - start);
      return;
    }
    const { lastText } = byteOps;
    this.runEnd = unmaskRun(view, start, end, this.end, Math.min(MAX_SHORT, maxFrameSize, maxMessageSize));
    const texts = byteOps.decodeAscii(chunk, start, this.runEnd);
    for (let at = start; ; at = end + SHORT_HEADER, end = at + (view.getUint8(end + 1) & 0x7f)) {
      const data = texts.substring(at - start, end - start);
      lastText.set(data, chunk, at, end, isShared, view);
      this.offset = end;
      events.onText(data, end - at);
      if (this.stopped || end >= this.runEnd) break;
    }
    this.endRun();
  }

  /** Re-masks the frames of the current run that were not delivered, so that they can be parsed later. */
  private endRun(): void {
    if (this.runEnd > this.offset) maskRun(this.view!, this.offset, this.runEnd);
    this.runEnd = 0;
  }

  private readCompressed(opcode: number, start: number, end: number, key: number): void {
    this.unmask(start, end, key);
    this.events.onCompressed(opcode, this.chunk.subarray(start, end));
  }

  private startPayload(partial: PartialMessage, length: number, final: boolean, key: number): void {
    partial.startFrame(length, final, key);
    const { maxFragments } = this.limits;
    if (partial.fragments > maxFragments) {
      throw new ProtocolError(CLOSE.policyViolation, `received a message of more than ${maxFragments} fragments`);
    }
  }

  /** Reads the part of a data frame's payload that has arrived. `false`: more bytes are needed. */
  private readPayload(partial: PartialMessage): boolean {
    const { chunk, offset } = this;
    const size = Math.min(partial.remaining, this.end - offset);
    if (size > 0) {
      const ascii = this.unmask(offset, offset + size, partial.key);
      this.offset += size;
      partial.append(chunk, offset, offset + size, ascii);
    }
    partial.inPayload = partial.remaining > 0;
    if (partial.inPayload) return false;
    if (partial.final) {
      this.partial = undefined;
      this.finishMessage(partial);
    }
    return true;
  }

  private finishMessage(partial: PartialMessage): void {
    const { opcode, compressed, ascii, buffer, fragments } = partial;
    if (fragments > 1) this.events.onFragmented?.(fragments);
    const { byteOps } = this;
    const size = buffer.length;
    if (compressed) {
      this.events.onCompressed(opcode, buffer.memory.subarray(0, size));
    } else if (opcode === OPCODE.binary) {
      this.events.onBinary(buffer.take());
    } else {
      partial.checkEnd();
      const text = ascii
        ? decodeAscii(buffer.memory, 0, size, byteOps)
        : decodeUtf8(buffer.memory, 0, size, byteOps, this.limits.validateUtf8);
      this.events.onText(text, size);
    }
  }
}

/** Stands in for the connection of a parser that has none. Nothing is reported to it. */
const NOBODY = {} as FrameEvents;

/**
 * For each host, a parser that no connection uses. Nearly always, a chunk leaves nothing to keep, so that one is
 * enough.
 */
const idleParsers = new WeakMap<ByteOps, { parser: FrameParser | undefined }>();

const idleParserOf = (byteOps: ByteOps): { parser: FrameParser | undefined } => {
  let idle = idleParsers.get(byteOps);
  if (idle === undefined) idleParsers.set(byteOps, (idle = { parser: undefined }));
  return idle;
};

/** A parser for the bytes of one connection. */
export const takeParser = (
  byteOps: ByteOps,
  limits: ParserLimits,
  events: FrameEvents,
  compression: boolean,
): FrameParser => {
  const idle = idleParserOf(byteOps);
  const { parser } = idle;
  if (parser === undefined) return new FrameParser(limits, byteOps, events, compression);
  idle.parser = undefined;
  parser.reuse(limits, events, compression);
  return parser;
};

/** The parser {@link FrameParser.isEmpty}, and its connection does not use it any more. */
export const recycleParser = (parser: FrameParser): void => {
  parser.release();
  idleParserOf(parser.byteOps).parser = parser;
};
