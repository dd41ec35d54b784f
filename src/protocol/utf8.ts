/** UTF-8 (RFC 3629): the encoded length of a string, and an incremental validator. */

/** The number of bytes of `text` in UTF-8. A lone surrogate counts three: it is encoded as U+FFFD. */
export const utf8Length = (text: string): number => {
  const units = text.length;
  let length = units;
  for (let i = 0; i < units; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) {
      length++;
      continue;
    }
    length += 2;
    // A surrogate pair is two code units and four bytes: skip the low surrogate.
    if (unit >= 0xd800 && unit < 0xdc00 && i + 1 < units && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) i++;
  }
  return length;
};

/** The length of a character, given its first byte. 1 for a byte that can't be the first. */
const sequenceLength = (first: number): number => (first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1);

/** Up to this many bytes, checking them one by one is faster than a call to the host. */
const MAX_STEPPED = 32;

/** The part of `ByteOps` that the validator needs. (`byte-ops.ts` imports this module.) */
interface Utf8Ops {
  readonly isUtf8: (bytes: Uint8Array) => boolean;
}

/**
 * Validates a text incrementally (RFC 6455 §8.1). It fails fast: at the first byte after which the text can't become
 * valid.
 */
export class Utf8Validator {
  private readonly byteOps: Utf8Ops;
  /** The number of bytes that are missing from an incomplete character, and the bounds of the next one. */
  private missing = 0;
  private lower = 0x80;
  private upper = 0xbf;

  constructor(byteOps: Utf8Ops) {
    this.byteOps = byteOps;
  }

  /** Checks the next bytes. `false`: the text can't become valid any more. */
  push(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    let at = start;
    while (this.missing > 0 && at < end) if (!this.step(bytes[at++]!)) return false;
    if (end - at > MAX_STEPPED) {
      // The host validates complete characters. The state of an incomplete last character is kept here.
      const wholeEnd = startOfTruncatedCharacter(bytes, at, end);
      if (!this.byteOps.isUtf8(bytes.subarray(at, wholeEnd))) return false;
      at = wholeEnd;
    }
    while (at < end) if (!this.step(bytes[at++]!)) return false;
    return true;
  }

  /** Whether the text may end here, that is, not within a character. */
  get complete(): boolean {
    return this.missing === 0;
  }

  /** RFC 3629 §4: the bounds of the second byte exclude overlong forms, surrogates, and values above U+10FFFF. */
  private step(byte: number): boolean {
    if (this.missing > 0) {
      if (byte < this.lower || byte > this.upper) return false;
      this.lower = 0x80;
      this.upper = 0xbf;
      this.missing--;
      return true;
    }
    if (byte < 0x80) return true;
    if (byte < 0xc2 || byte > 0xf4) return false;
    this.missing = sequenceLength(byte) - 1;
    if (byte === 0xe0) this.lower = 0xa0;
    else if (byte === 0xed) this.upper = 0x9f;
    else if (byte === 0xf0) this.lower = 0x90;
    else if (byte === 0xf4) this.upper = 0x8f;
    return true;
  }
}

const startOfTruncatedCharacter = (bytes: Uint8Array, start: number, end: number): number => {
  for (let at = end - 1; at >= start && at >= end - 3; at--) {
    const byte = bytes[at]!;
    if (byte >= 0xc0) return sequenceLength(byte) > end - at ? at : end;
    if (byte < 0x80) return end;
  }
  return end;
};
