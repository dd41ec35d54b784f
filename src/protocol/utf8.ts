/** UTF-8 (RFC 3629): its length, and whether octets that arrive piece by piece are it. */

/** How many octets `text` takes; a lone surrogate is written as U+FFFD, which takes three. */
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
    // A pair is two units and four octets: the low one adds nothing.
    if (unit >= 0xd800 && unit < 0xdc00 && i + 1 < units && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) i++;
  }
  return length;
};

/** How many octets a character has, by the first of them; 1 for any that cannot be a first one. */
const sequenceLength = (first: number): number => (first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1);

/** Below this many octets, stepping through them costs less than a call of the host. */
const STEP_LIMIT = 32;

/** What the validator needs of `ByteOps`, which imports this module. */
interface Utf8Ops {
  readonly isUtf8: (bytes: Uint8Array) => boolean;
}

/**
 * Validates a text as it arrives, and refuses it at the first octet that no further octets can make good
 * (RFC 6455 §8.1, read strictly: fail fast).
 */
export class Utf8Validator {
  private readonly byteOps: Utf8Ops;
  /** How many octets are missing from the character that was begun, and between which bounds the next one is. */
  private missing = 0;
  private lower = 0x80;
  private upper = 0xbf;

  constructor(byteOps: Utf8Ops) {
    this.byteOps = byteOps;
  }

  /** Takes the next octets. `false`: the text cannot become valid any more. */
  push(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    let at = start;
    while (this.missing > 0 && at < end) if (!this.step(bytes[at++]!)) return false;
    if (end - at > STEP_LIMIT) {
      // Whole characters go to the host at once; a last one that is cut off is for us to remember.
      const cut = startOfCutCharacter(bytes, at, end);
      if (!this.byteOps.isUtf8(bytes.subarray(at, cut))) return false;
      at = cut;
    }
    while (at < end) if (!this.step(bytes[at++]!)) return false;
    return true;
  }

  /** Whether the text may end here. */
  get complete(): boolean {
    return this.missing === 0;
  }

  /** RFC 3629 §4: the second octet's bounds keep out overlong forms, surrogates, and what is past U+10FFFF. */
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

const startOfCutCharacter = (bytes: Uint8Array, start: number, end: number): number => {
  for (let at = end - 1; at >= start && at >= end - 3; at--) {
    const byte = bytes[at]!;
    if (byte >= 0xc0) return sequenceLength(byte) > end - at ? at : end;
    if (byte < 0x80) return end;
  }
  return end;
};
