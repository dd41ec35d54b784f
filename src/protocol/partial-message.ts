/** A message that has not arrived completely: its fragments, and the frame whose payload is arriving. */
import type { ByteOps } from "./byte-ops.ts";
import { OPCODE } from "./frame.ts";
import { applyMask, rotateKey } from "./mask.ts";
import { MessageBuffer } from "./message-buffer.ts";
import { invalidUtf8 } from "./text.ts";
import { Utf8Validator } from "./utf8.ts";

/** Few connections have one at a time. */
export class PartialMessage {
  readonly opcode: number;
  readonly compressed: boolean;
  readonly buffer: MessageBuffer;
  fragments = 0;
  ascii = true;

  /** The header of a frame has been read, and not all of its payload. */
  inPayload = false;
  /** The number of bytes that are missing from that payload. */
  remaining = 0;
  /** That frame is the last one of the message. */
  final = false;
  private key = 0;
  /** Validates a text as it arrives. A compressed one can't be validated before it is inflated. */
  private readonly utf8: Utf8Validator | undefined;

  constructor(opcode: number, compressed: boolean, byteOps: ByteOps, validateUtf8: boolean) {
    this.opcode = opcode;
    this.compressed = compressed;
    this.buffer = new MessageBuffer(byteOps);
    this.utf8 = opcode === OPCODE.text && validateUtf8 && !compressed ? new Utf8Validator(byteOps) : undefined;
  }

  /** The header of the next frame has been read. */
  startFrame(length: number, final: boolean, key: number): void {
    this.inPayload = true;
    this.remaining = length;
    this.final = final;
    this.key = key;
    this.fragments++;
  }

  /**
   * Copies and unmasks what has arrived of the payload, from `start` on, and returns how many bytes that is.
   *
   * @throws ProtocolError 1007 as soon as the text can't become valid UTF-8
   */
  append(chunk: Uint8Array, start: number): number {
    const { buffer } = this;
    const size = Math.min(this.remaining, chunk.length - start);
    if (size > 0) {
      const at = buffer.append(chunk, start, start + size, buffer.length + this.remaining);
      this.remaining -= size;
      const ascii = applyMask(buffer.memory, at, at + size, this.key);
      this.key = rotateKey(this.key, size);
      this.ascii &&= ascii;
      this.validate(at, at + size, ascii);
    }
    this.inPayload = this.remaining > 0;
    return size;
  }

  /** @throws ProtocolError 1007 if a text ends within a character */
  checkEnd(): void {
    if (this.utf8?.complete === false) throw invalidUtf8();
  }

  private validate(start: number, end: number, ascii: boolean): void {
    const { utf8 } = this;
    if (utf8 === undefined || (ascii && utf8.complete)) return;
    if (!utf8.push(this.buffer.memory, start, end)) throw invalidUtf8();
  }
}
