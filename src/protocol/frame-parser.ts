/** Octets to messages: the receiving half of RFC 6455 §5, on the server's side. */
import { ProtocolError } from "../errors.ts";
import type { ControlMessage } from "../message.ts";
import type { ByteOps } from "./byte-ops.ts";
import { CLOSE, type CloseFrame, parseClose } from "./close.ts";
import { COPY_BY_HAND, copy } from "./copy.ts";
import { FIN, OPCODE, RSV1 } from "./frame.ts";
import { checkHeader, readLength16, readLength64 } from "./frame-header.ts";
import { applyMask, applyMaskInView, copyUnmasked, copyUnmaskedInView } from "./mask.ts";
import { PartialMessage } from "./partial-message.ts";
import { pingsIn } from "./pings-ahead.ts";
import { maskRun, SHORT, SHORT_HEADER, unmaskRun } from "./short-text/run.ts";
import { decodeAscii, decodeText, decodeUtf8 } from "./text.ts";

/** What the parser found, in the order in which it arrived. */
export interface FrameEvents {
  /** A whole text message; `size` is its octets before it was decoded. */
  onText(data: string, size: number): void;
  /** A whole binary message. */
  onBinary(data: Uint8Array<ArrayBuffer>): void;
  /** A whole message as it came, compressed. `payload` is the parser's: it is to be read during the call. */
  onCompressed(opcode: number, payload: Uint8Array): void;
  /** A ping that is `answered` was among those that {@link FrameParser.takePingsAhead} has returned before. */
  onControl(message: ControlMessage, answered: boolean): void;
  onClose(frame: CloseFrame): void;
}

export interface ParserLimits {
  readonly maxFrameSize: number;
  readonly maxMessageSize: number;
  readonly maxFragments: number;
  readonly validateUtf8: boolean;
}

const NOTHING = new Uint8Array(0);

/** A chunk of at least this size gets a DataView: it is likely to contain several short frames. */
const VIEW_FROM = 128;

/** Payloads up to this size are unmasked through the DataView of their chunk. */
const UNMASK_IN_VIEW = 128;

/**
 * Pure: octets go in through {@link feed}, events come out of {@link parse}, which throws a ProtocolError at the first
 * octet that breaks the protocol. Everything is judged as early as it can be: sizes from the header alone, text as it
 * arrives.
 */
export class FrameParser {
  /** Set by the owner, from within an event too, to keep {@link parse} from going on. What was fed is kept. */
  stopped = false;

  readonly limits: ParserLimits;
  private readonly byteOps: ByteOps;
  private readonly events: FrameEvents;
  /** permessage-deflate was agreed on: RSV1 has a meaning (RFC 7692 §6). */
  private readonly compression: boolean;

  private chunk: Uint8Array = NOTHING;
  private offset = 0;
  /** The chunk again, where it is likely to have several short frames. */
  private view: DataView | undefined = undefined;
  /** While a run is handed out: where it ends. Its frames are unmasked already. */
  private runEnd = 0;
  private partial: PartialMessage | undefined = undefined;
  /** How many of the next pings have been answered before they are parsed. */
  private pingsAnswered = 0;

  constructor(limits: ParserLimits, byteOps: ByteOps, events: FrameEvents, compression = false) {
    this.limits = limits;
    this.byteOps = byteOps;
    this.events = events;
    this.compression = compression;
  }

  /** Hands over the next octets. They belong to the parser now: it unmasks in place. */
  feed(chunk: Uint8Array): void {
    this.endRun();
    const left = this.chunk.length - this.offset;
    if (left === 0) {
      this.chunk = chunk;
    } else {
      const joined = this.byteOps.alloc(left + chunk.length);
      joined.set(this.chunk.subarray(this.offset));
      joined.set(chunk, left);
      this.chunk = joined;
    }
    this.offset = 0;
    const { length } = this.chunk;
    this.view = length < VIEW_FROM ? undefined : new DataView(this.chunk.buffer, this.chunk.byteOffset, length);
  }

  /** Reads what was fed, until it is used up or {@link stopped} is set. */
  parse(): void {
    while (!this.stopped && (this.partial?.inPayload ? this.readPayload(this.partial) : this.readFrame()));
    // The start of a frame that waits for its rest must not pin the chunk it came in; nor must nothing at all.
    const left = this.chunk.length - this.offset;
    if (left === 0) this.chunk = NOTHING;
    else if (!this.stopped && left < this.chunk.buffer.byteLength) {
      this.chunk = copy(this.chunk, this.offset, this.chunk.length);
    } else return;
    this.view = undefined;
    this.offset = 0;
  }

  /**
   * The payloads of whole pings that were fed and that {@link stopped} keeps from being parsed, each of them once: RFC 6455
   * §5.5.2 wants an answer as soon as is practical. They are still parsed in their turn.
   */
  takePingsAhead(): readonly Uint8Array<ArrayBuffer>[] {
    const at = this.offset + (this.partial?.inPayload ? this.partial.remaining : 0);
    const pings = pingsIn(this.chunk, at);
    const fresh = pings.slice(this.pingsAnswered);
    this.pingsAnswered = pings.length;
    return fresh;
  }

  /** Reads one frame, or the header of one. `false`: more octets are needed. */
  private readFrame(): boolean {
    const { chunk, offset } = this;
    const available = chunk.length - offset;
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
      if (end > chunk.length) return false;
      this.offset = end;
      this.readControl(opcode, at, end, key);
      return true;
    }
    if (opcode !== OPCODE.continuation && (first & FIN) !== 0 && end <= chunk.length) {
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
    // What can't be compressed grows by five octets for every 16 KiB or so.
    if (size > (compressed ? maxMessageSize * 1.001 + 64 : maxMessageSize)) {
      throw new ProtocolError(CLOSE.tooBig, `received a message of more than ${maxMessageSize} bytes`);
    }
  }

  private readControl(opcode: number, start: number, end: number, key: number): void {
    applyMask(this.chunk, start, end, key);
    const data = copy(this.chunk, start, end);
    if (opcode === OPCODE.close) this.events.onClose(parseClose(data, this.byteOps));
    else if (opcode === OPCODE.pong) this.events.onControl({ opcode: "pong", data }, false);
    else {
      const answered = this.pingsAnswered > 0;
      if (answered) this.pingsAnswered--;
      this.events.onControl({ opcode: "ping", data }, answered);
    }
  }

  /** The common case: a message in one frame, all of it in this chunk. */
  private readWhole(opcode: number, start: number, end: number, key: number): void {
    const { chunk, view } = this;
    const size = end - start;
    if (opcode === OPCODE.text && size <= SHORT && view !== undefined) {
      this.readTexts(view, start, end, key);
      return;
    }
    if (opcode === OPCODE.binary && size <= COPY_BY_HAND) {
      const data =
        view === undefined ? copyUnmasked(chunk, start, size, key) : copyUnmaskedInView(view, start, size, key);
      this.events.onBinary(data);
      return;
    }
    const ascii =
      view !== undefined && size <= UNMASK_IN_VIEW
        ? applyMaskInView(view, start, end, key)
        : applyMask(chunk, start, end, key);
    if (opcode === OPCODE.text) {
      const { byteOps } = this;
      const data = ascii
        ? decodeAscii(chunk, start, end, byteOps)
        : decodeText(chunk.subarray(start, end), byteOps, this.limits.validateUtf8);
      this.events.onText(data, size);
    } else {
      // A view is handed out only where it does not keep much more alive than itself.
      const data =
        size * 2 >= chunk.buffer.byteLength
          ? new Uint8Array(chunk.buffer as ArrayBuffer, chunk.byteOffset + start, size)
          : copy(chunk, start, end);
      this.events.onBinary(data);
    }
  }

  /** A short text, and those right behind it: until the owner stops us, or feeds us more from within an event. */
  private readTexts(view: DataView, start: number, end: number, key: number): void {
    const { chunk, events, byteOps } = this;
    const { maxFrameSize, maxMessageSize, validateUtf8 } = this.limits;
    if (!applyMaskInView(view, start, end, key)) {
      events.onText(decodeText(chunk.subarray(start, end), byteOps, validateUtf8), end - start);
      return;
    }
    const { lastText } = byteOps;
    this.runEnd = unmaskRun(view, start, end, Math.min(SHORT, maxFrameSize, maxMessageSize));
    const texts = byteOps.decodeAscii(chunk, start, this.runEnd);
    for (let at = start; ; at = end + SHORT_HEADER, end = at + (view.getUint8(end + 1) & 0x7f)) {
      const data = texts.substring(at - start, end - start);
      lastText.set(data, chunk, at, end, view);
      this.offset = end;
      events.onText(data, end - at);
      if (this.stopped || end >= this.runEnd) break;
    }
    this.endRun();
  }

  /** What is left of a run becomes what it was again. */
  private endRun(): void {
    if (this.runEnd > this.offset) maskRun(this.view!, this.offset, this.runEnd);
    this.runEnd = 0;
  }

  private readCompressed(opcode: number, start: number, end: number, key: number): void {
    applyMask(this.chunk, start, end, key);
    this.events.onCompressed(opcode, this.chunk.subarray(start, end));
  }

  private startPayload(partial: PartialMessage, length: number, final: boolean, key: number): void {
    partial.startFrame(length, final, key);
    const { maxFragments } = this.limits;
    if (partial.fragments > maxFragments) {
      throw new ProtocolError(CLOSE.policyViolation, `received a message of more than ${maxFragments} fragments`);
    }
  }

  /** Reads what has arrived of a data frame's payload. `false`: more octets are needed. */
  private readPayload(partial: PartialMessage): boolean {
    this.offset += partial.append(this.chunk, this.offset);
    if (partial.inPayload) return false;
    if (partial.final) {
      this.partial = undefined;
      this.finishMessage(partial);
    }
    return true;
  }

  private finishMessage(partial: PartialMessage): void {
    const { opcode, compressed, ascii, buffer } = partial;
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
