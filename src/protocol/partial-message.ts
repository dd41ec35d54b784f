/** A message that has not arrived completely: the buffered fragments, and the frame whose payload is arriving. */
import type { ByteOps } from "./byte-ops.ts";
import { OPCODE } from "./frame.ts";
import { rotateKey } from "./mask.ts";
import { MessageBuffer } from "./message-buffer.ts";
import { invalidUtf8 } from "./text.ts";
import { Utf8Validator } from "./utf8.ts";

/** An object of its own, because few connections have an incomplete message at any one time. */
export class PartialMessage {
  readonly opcode: number;
  readonly compressed: boolean;
  readonly buffer: MessageBuffer;
  fragments = 0;
  ascii = true;

  /** A frame's header has been read, but not all of its payload. */
  inPayload = false;
  /** The number of bytes of that payload that have not arrived. */
  remaining = 0;
  /** That frame is the last of the message. */
  final = false;
  /** The masking key, for the next byte of that payload. */
  key = 0;
  /** Validates a text as it arrives. `undefined` for a compressed text: it is validated after inflation. */
  private readonly utf8: Utf8Validator | undefined;

  constructor(opcode: number, compressed: boolean, byteOps: ByteOps, validateUtf8: boolean) {
    this.opcode = opcode;
    this.compressed = compressed;
    this.buffer = new MessageBuffer(byteOps);
    this.utf8 = opcode === OPCODE.text && validateUtf8 && !compressed ? new Utf8Validator(byteOps) : undefined;
  }

  /** The header of the next fragment has been read. */
  startFrame(length: number, final: boolean, key: number): void {
    this.inPayload = true;
    this.remaining = length;
    this.final = final;
    this.key = key;
    this.fragments++;
  }

  /**
   * Appends the next bytes of the payload, `source[start..end)`, which are unmasked.
   *
   * @param ascii whether all of these bytes are ASCII
   * @throws ProtocolError 1007 as soon as the text can't become valid UTF-8
   */
  append(source: Uint8Array, start: number, end: number, ascii: boolean): void {
    this.validate(source, start, end, ascii);
    const { buffer } = this;
    buffer.append(source, start, end, buffer.length + this.remaining);
    const size = end - start;
    this.remaining -= size;
    this.key = rotateKey(this.key, size);
    this.ascii &&= ascii;
  }

  /** @throws ProtocolError 1007 if a text ends within a character */
  checkEnd(): void {
    if (this.utf8?.complete === false) throw invalidUtf8();
  }

  private validate(source: Uint8Array, start: number, end: number, ascii: boolean): void {
    const { utf8 } = this;
    if (utf8 === undefined || (ascii && utf8.complete)) return;
    if (!utf8.push(source, start, end)) throw invalidUtf8();
  }
}
