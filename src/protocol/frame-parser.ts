/** Octets to messages: the receiving half of RFC 6455 §5, on the server's side. */
import { ProtocolError } from "../errors.ts";
import type { ControlMessage } from "../message.ts";
import type { Octets } from "./byte-ops.ts";
import { CLOSE, type CloseFrame, parseClose } from "./close.ts";
import { COPY_BY_HAND, copy, copyUnmasked, copyUnmaskedThrough } from "./copy.ts";
import { FIN, MASKED, MAX_CONTROL_PAYLOAD, OPCODE, RSV1, RSV2_RSV3 } from "./frame.ts";
import { applyMask, applyMaskThrough, rotateKey } from "./mask.ts";
import { MessageBuffer } from "./message-buffer.ts";
import { pingsIn } from "./pings-ahead.ts";
import { RECENT_FROM, recentText } from "./short-text/last-text.ts";
import { maskRun, SHORT, SHORT_HEADER, unmaskRun } from "./short-text/run.ts";
import { Utf8Validator } from "./utf8.ts";

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

/** A message of which not all has arrived, and the frame of it whose payload is arriving. Few connections have one. */
class PartialMessage {
  readonly opcode: number;
  readonly compressed: boolean;
  readonly buffer: MessageBuffer;
  /** Checks a text as it arrives; what is compressed can't be checked before it is inflated. */
  readonly utf8: Utf8Validator | undefined;
  fragments = 0;
  ascii = true;

  inPayload = false;
  remaining = 0;
  final = false;
  key = 0;

  constructor(opcode: number, compressed: boolean, octets: Octets, validateUtf8: boolean) {
    this.opcode = opcode;
    this.compressed = compressed;
    this.buffer = new MessageBuffer(octets);
    this.utf8 = opcode === OPCODE.text && validateUtf8 && !compressed ? new Utf8Validator(octets) : undefined;
  }
}

/**
 * Pure: octets go in through {@link feed}, events come out of {@link parse}, which throws a ProtocolError at the first
 * octet that breaks the protocol. Everything is judged as early as it can be: sizes from the header alone, text as it
 * arrives.
 */
export class FrameParser {
  /** Set by the owner, from within an event too, to keep {@link parse} from going on. What was fed is kept. */
  stopped = false;

  private readonly limits: ParserLimits;
  private readonly octets: Octets;
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

  constructor(limits: ParserLimits, octets: Octets, events: FrameEvents, compression = false) {
    this.limits = limits;
    this.octets = octets;
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
      const joined = this.octets.alloc(left + chunk.length);
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
    this.checkFirstOctets(first, opcode, second);

    let length = second & 0x7f;
    let at = offset + 2;
    if (length === 126) {
      if (available < 4) return false;
      length = (chunk[at]! << 8) | chunk[at + 1]!;
      if (length < 126)
        throw new ProtocolError(
          CLOSE.protocolError,
          "received a frame with a payload length that is not minimally encoded",
        );
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
    this.partial ??= new PartialMessage(opcode, compressed, this.octets, this.limits.validateUtf8);
    this.startPayload(this.partial, length, (first & FIN) !== 0, key);
    return true;
  }

  private checkFirstOctets(first: number, opcode: number, second: number): void {
    // §5.2: MUST be 0 unless an extension is negotiated that defines meanings for non-zero values.
    if ((first & (RSV1 | RSV2_RSV3)) !== 0) this.checkReserved(first, opcode);
    // §5.1: the server MUST close the connection upon receiving a frame that is not masked.
    if ((second & MASKED) === 0) throw new ProtocolError(CLOSE.protocolError, "received an unmasked frame");
    if (opcode >= OPCODE.close) {
      if (opcode > OPCODE.pong)
        throw new ProtocolError(CLOSE.protocolError, `received a frame with the reserved opcode ${opcode}`);
      // §5.5: control frames are not fragmented and have 125 octets at most.
      if ((first & FIN) === 0) throw new ProtocolError(CLOSE.protocolError, "received a fragmented control frame");
      if ((second & 0x7f) > MAX_CONTROL_PAYLOAD) {
        throw new ProtocolError(CLOSE.protocolError, "received a control frame with a payload of more than 125 bytes");
      }
      return;
    }
    if (opcode > OPCODE.binary)
      throw new ProtocolError(CLOSE.protocolError, `received a frame with the reserved opcode ${opcode}`);
    // §5.4: fragments of one message are not interleaved with another's.
    if (opcode === OPCODE.continuation) {
      if (this.partial === undefined)
        throw new ProtocolError(CLOSE.protocolError, "received a continuation frame that continues no message");
    } else if (this.partial !== undefined) {
      throw new ProtocolError(
        CLOSE.protocolError,
        "received a new message before the last fragment of the previous one",
      );
    }
  }

  /** RFC 7692 §6.1: RSV1 marks the first frame of a compressed message, and no other frame. */
  private checkReserved(first: number, opcode: number): void {
    const marksCompressed = this.compression && (opcode === OPCODE.text || opcode === OPCODE.binary);
    if (marksCompressed && (first & RSV2_RSV3) === 0) return;
    throw new ProtocolError(CLOSE.protocolError, "received a frame with a reserved bit set");
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
    if (opcode === OPCODE.close) this.events.onClose(parseClose(data, this.octets));
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
        view === undefined ? copyUnmasked(chunk, start, size, key) : copyUnmaskedThrough(view, start, size, key);
      this.events.onBinary(data);
      return;
    }
    const ascii =
      view !== undefined && size <= THROUGH_VIEW
        ? applyMaskThrough(view, start, end, key)
        : applyMask(chunk, start, end, key);
    if (opcode === OPCODE.text) {
      const data = ascii ? this.decode(true, chunk, start, end) : this.decodeWhole(chunk.subarray(start, end));
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
    const { chunk, events } = this;
    if (!applyMaskThrough(view, start, end, key)) {
      events.onText(this.decodeWhole(chunk.subarray(start, end)), end - start);
      return;
    }
    const { maxFrameSize, maxMessageSize } = this.limits;
    this.runEnd = unmaskRun(view, start, end, Math.min(SHORT, maxFrameSize, maxMessageSize));
    const texts = this.octets.decodeAscii(chunk, start, this.runEnd);
    for (let at = start; ; at = end + SHORT_HEADER, end = at + (view.getUint8(end + 1) & 0x7f)) {
      const data = texts.substring(at - start, end - start);
      recentText.set(data, chunk, at, end, view);
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

  /**
   * The text of whole octets.
   *
   * @throws ProtocolError 1007 if they are not UTF-8, unless `validateUtf8` is off
   */
  decodeWhole(bytes: Uint8Array): string {
    if (this.limits.validateUtf8 && !this.octets.isUtf8(bytes)) throw invalidUtf8();
    return this.decode(false, bytes, 0, bytes.length);
  }

  private decode(ascii: boolean, bytes: Uint8Array, start: number, end: number): string {
    let text: string;
    try {
      text = ascii ? this.octets.decodeAscii(bytes, start, end) : this.octets.decodeUtf8(bytes, start, end);
    } catch {
      // With a `maxMessageSize` beyond what a string can have.
      throw new ProtocolError(CLOSE.tooBig, "received a text message longer than the maximum length of a string");
    }
    if (end - start >= RECENT_FROM && (ascii || this.limits.validateUtf8)) recentText.set(text, bytes, start, end);
    return text;
  }

  private readCompressed(opcode: number, start: number, end: number, key: number): void {
    applyMask(this.chunk, start, end, key);
    this.events.onCompressed(opcode, this.chunk.subarray(start, end));
  }

  private startPayload(partial: PartialMessage, length: number, final: boolean, key: number): void {
    partial.inPayload = true;
    partial.remaining = length;
    partial.final = final;
    partial.key = key;
    if (++partial.fragments > this.limits.maxFragments) {
      throw new ProtocolError(
        CLOSE.policyViolation,
        `received a message of more than ${this.limits.maxFragments} fragments`,
      );
    }
  }

  /** Takes what is there of a data frame's payload. `false`: more octets are needed. */
  private readPayload(partial: PartialMessage): boolean {
    const { buffer } = partial;
    const start = this.offset;
    const taken = Math.min(partial.remaining, this.chunk.length - start);
    if (taken > 0) {
      const at = buffer.append(this.chunk, start, start + taken, buffer.length + partial.remaining);
      this.offset += taken;
      partial.remaining -= taken;
      const ascii = applyMask(buffer.memory, at, at + taken, partial.key);
      partial.key = rotateKey(partial.key, taken);
      partial.ascii &&= ascii;
      validate(partial, at, at + taken, ascii);
    }
    if (partial.remaining > 0) return false;
    partial.inPayload = false;
    if (partial.final) {
      this.partial = undefined;
      this.finishMessage(partial);
    }
    return true;
  }

  private finishMessage({ opcode, compressed, ascii, buffer, utf8 }: PartialMessage): void {
    const size = buffer.length;
    if (compressed) {
      this.events.onCompressed(opcode, buffer.memory.subarray(0, size));
    } else if (opcode === OPCODE.binary) {
      this.events.onBinary(buffer.take());
    } else {
      if (utf8?.complete === false) throw invalidUtf8();
      this.events.onText(this.decode(ascii, buffer.memory, 0, size), size);
    }
  }
}

const validate = ({ utf8, buffer }: PartialMessage, start: number, end: number, ascii: boolean): void => {
  if (utf8 === undefined || (ascii && utf8.complete)) return;
  if (!utf8.push(buffer.memory, start, end)) throw invalidUtf8();
};

const invalidUtf8 = (): ProtocolError =>
  new ProtocolError(CLOSE.invalidPayload, "received a text message that is not valid UTF-8");

/** A chunk of so many octets gets a view. */
const VIEW_FROM = 128;

/** Up to so many octets are unmasked through the view of their chunk. */
const THROUGH_VIEW = 128;

/** §5.2: a 64-bit unsigned integer; the most significant bit MUST be 0. */
const readLength64 = (chunk: Uint8Array, at: number): number => {
  if (chunk[at]! & 0x80)
    throw new ProtocolError(CLOSE.protocolError, "received a frame with a payload length that has its highest bit set");
  let length = 0;
  for (let i = 0; i < 8; i++) length = length * 256 + chunk[at + i]!;
  if (length < 65_536)
    throw new ProtocolError(
      CLOSE.protocolError,
      "received a frame with a payload length that is not minimally encoded",
    );
  return length;
};
