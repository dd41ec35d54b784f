/** Writing and reading the fields of an envelope. */
import { withCode } from "../../error-codes.ts";
import type { IoData } from "../../message.ts";
import { type ByteOps, portableByteOps } from "../../protocol/byte-ops.ts";
import { ioLength, writeIoData } from "../../protocol/io-data.ts";

const INITIAL_SIZE = 256;
const MAX_VARINT = 0xffff_ffff;

/** Collects bytes in a buffer that grows. */
export class ByteWriter {
  length = 0;
  private bytes = new Uint8Array(INITIAL_SIZE);
  private view = new DataView(this.bytes.buffer);
  private readonly byteOps: ByteOps = portableByteOps;

  /** What was written. It must not be written to any more. */
  get written(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** Writes an unsigned integer of `size` bytes, at most 6. */
  uint(value: number, size: number): void {
    this.reserve(size);
    let rest = value;
    for (let i = size - 1; i >= 0; i--) {
      this.bytes[this.length + i] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    this.length += size;
  }

  setUint16(at: number, value: number): void {
    this.view.setUint16(at, value);
  }

  /** Writes an unsigned integer below 2³². */
  varint(value: number): void {
    this.reserve(5);
    let rest = value;
    while (rest > 0x7f) {
      this.bytes[this.length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.length++] = rest;
  }

  /** Writes the length of `data` in bytes, and `data`. */
  sized(data: IoData, size: number = ioLength(data, this.byteOps)): void {
    this.varint(size);
    this.reserve(size);
    writeIoData(data, this.bytes, this.length, this.byteOps, size);
    this.length += size;
  }

  raw(data: Uint8Array): void {
    this.reserve(data.length);
    this.bytes.set(data, this.length);
    this.length += data.length;
  }

  private reserve(size: number): void {
    const needed = this.length + size;
    if (needed <= this.bytes.length) return;
    const bytes = new Uint8Array(Math.max(needed, 2 * this.bytes.length));
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }
}

/** Bytes that came from the engine do not have the format of an envelope. */
export class MalformedError extends Error {
  readonly code = "WEBSOCK_MALFORMED_ENVELOPE";
  constructor(message: string) {
    super(withCode("WEBSOCK_MALFORMED_ENVELOPE", message));
  }
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** Reads fields. Everything that it reads may have been written by anybody. */
export class ByteReader {
  private readonly bytes: Uint8Array;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.at === this.bytes.length;
  }

  /** @throws MalformedError if fewer bytes are left */
  uint(size: number): number {
    let value = 0;
    for (const byte of this.take(size)) value = value * 256 + byte;
    return value;
  }

  /** @throws MalformedError if the value does not end, or is not below 2³² */
  varint(): number {
    let value = 0;
    for (let factor = 1; factor <= 2 ** 28; factor *= 128) {
      const byte = this.uint(1);
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        if (value <= MAX_VARINT) return value;
        break;
      }
    }
    throw new MalformedError("a number is too large");
  }

  /** @throws MalformedError if fewer bytes are left */
  take(size: number): Uint8Array {
    const end = this.at + size;
    if (end > this.bytes.length) throw new MalformedError("a field ends after the envelope");
    const taken = this.bytes.subarray(this.at, end);
    this.at = end;
    return taken;
  }

  sized(): Uint8Array {
    return this.take(this.varint());
  }

  rest(): Uint8Array {
    return this.take(this.bytes.length - this.at);
  }

  sizedText(): string {
    return textOf(this.sized());
  }
}

/** @throws MalformedError for bytes that are not UTF-8 */
export const textOf = (bytes: Uint8Array): string => {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new MalformedError("a text is not UTF-8");
  }
};
