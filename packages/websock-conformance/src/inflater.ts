/**
 * A strict DEFLATE decoder (RFC 1951). zlib tolerates errors that this suite has to find: references beyond the
 * negotiated window, messages that end within a block, surplus bytes.
 */
import { Failure } from "./outcome.ts";

const LENGTH_BASE = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
];
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_EXTRA = Array.from({ length: 30 }, (_, i) => Math.max(0, (i >> 1) - 1));
const DISTANCE_BASE = DISTANCE_EXTRA.map((_, i) => (i < 2 ? i + 1 : ((2 + (i & 1)) << ((i >> 1) - 1)) + 1));
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** §3.2.2: canonical Huffman codes: how many there are of each length, and the symbols in order. */
interface Codes {
  readonly count: readonly number[];
  readonly symbols: readonly number[];
}

const codesOf = (lengths: readonly number[]): Codes => {
  const count = new Array<number>(16).fill(0);
  for (const length of lengths) count[length]!++;
  count[0] = 0;
  const symbols = lengths
    .map((length, symbol) => ({ length, symbol }))
    .filter(({ length }) => length > 0)
    .sort((a, b) => a.length - b.length || a.symbol - b.symbol);
  return { count, symbols: symbols.map(({ symbol }) => symbol) };
};

/** §3.2.6 */
const FIXED: readonly [Codes, Codes] = [
  codesOf(Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8))),
  codesOf(new Array<number>(30).fill(5)),
];

/** Decompresses messages in order, and keeps the data that later messages may refer to. */
export class Inflater {
  /** The largest distance of a reference so far, in bytes. */
  farthest = 0;

  private readonly window: number;
  private readonly takeover: boolean;
  /** The history, followed by the output of the current message. */
  private out: Buffer = Buffer.alloc(0);
  private at = 0;
  private input: Uint8Array = Buffer.alloc(0);
  /** In bits. */
  private position = 0;

  constructor(windowBits: number, takeover: boolean) {
    this.window = 2 ** windowBits;
    this.takeover = takeover;
  }

  /**
   * Decompresses a message, after appending the four bytes that the sender has removed (RFC 7692 §7.2.2).
   *
   * @throws Failure if the data is invalid
   */
  inflate(message: Uint8Array): Buffer {
    const start = Math.min(this.at, this.takeover ? this.window : 0);
    this.out = Buffer.concat([this.out.subarray(this.at - start, this.at), Buffer.alloc(message.length * 4 + 64)]);
    this.at = start;
    this.input = Buffer.concat([message, Buffer.from([0, 0, 0xff, 0xff])]);
    this.position = 0;
    // After a final block (BFINAL), the next block starts at a byte boundary (§7.2.1).
    while (this.position < this.input.length * 8) {
      const final = this.bits(1) === 1;
      this.block(this.bits(2));
      if (final) this.position = (this.position + 7) & ~7;
    }
    return Buffer.from(this.out.subarray(start, this.at));
  }

  private bits(count: number): number {
    if (this.position + count > this.input.length * 8) throw new Failure("compressed data that ends within a block");
    let value = 0;
    for (let i = 0; i < count; i++, this.position++) {
      value |= ((this.input[this.position >> 3]! >> (this.position & 7)) & 1) << i;
    }
    return value;
  }

  private put(byte: number): void {
    if (this.at === this.out.length) this.out = Buffer.concat([this.out, Buffer.alloc(this.out.length)]);
    this.out[this.at++] = byte;
  }

  private block(type: number): void {
    if (type === 0) this.stored();
    else if (type === 1) this.compressed(...FIXED);
    else if (type === 2) this.compressed(...this.dynamicCodes());
    else throw new Failure("compressed data with a block of the reserved type 3");
  }

  private stored(): void {
    this.position = (this.position + 7) & ~7;
    const length = this.bits(16);
    if (this.bits(16) !== (~length & 0xffff)) throw new Failure("a stored block whose length and complement differ");
    const start = this.position >> 3;
    if (start + length > this.input.length) throw new Failure("compressed data that ends within a block");
    for (let i = start; i < start + length; i++) this.put(this.input[i]!);
    this.position += length * 8;
  }

  /** §3.2.7 */
  private dynamicCodes(): [Codes, Codes] {
    const [literals, distances, known] = [this.bits(5) + 257, this.bits(5) + 1, this.bits(4) + 4];
    const order = new Array<number>(19).fill(0);
    for (let i = 0; i < known; i++) order[CODE_LENGTH_ORDER[i]!] = this.bits(3);
    const codes = codesOf(order);
    const lengths: number[] = [];
    while (lengths.length < literals + distances) {
      const symbol = this.symbol(codes);
      if (symbol < 16) lengths.push(symbol);
      else {
        const [repeated, times] =
          symbol === 16
            ? [lengths.at(-1) ?? 0, 3 + this.bits(2)]
            : [0, symbol === 17 ? 3 + this.bits(3) : 11 + this.bits(7)];
        for (let i = 0; i < times; i++) lengths.push(repeated);
      }
    }
    return [codesOf(lengths.slice(0, literals)), codesOf(lengths.slice(literals))];
  }

  private symbol({ count, symbols }: Codes): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length < 16; length++) {
      code |= this.bits(1);
      const many = count[length]!;
      if (code - first < many) return symbols[index + code - first]!;
      index += many;
      first = (first + many) << 1;
      code <<= 1;
    }
    throw new Failure("compressed data with an undefined code");
  }

  private compressed(literals: Codes, distances: Codes): void {
    for (;;) {
      const symbol = this.symbol(literals);
      if (symbol === 256) return;
      if (symbol < 256) {
        this.put(symbol);
        continue;
      }
      if (symbol > 285) throw new Failure("compressed data with an undefined length");
      const length = LENGTH_BASE[symbol - 257]! + this.bits(LENGTH_EXTRA[symbol - 257]!);
      const code = this.symbol(distances);
      if (code > 29) throw new Failure("compressed data with an undefined distance");
      const distance = DISTANCE_BASE[code]! + this.bits(DISTANCE_EXTRA[code]!);
      this.farthest = Math.max(this.farthest, distance);
      if (distance > this.at)
        throw new Failure(`compressed data that refers back ${distance} bytes, before the start of the data`);
      if (distance > this.window) {
        throw new Failure(`compressed data that refers back ${distance} bytes, with a window of ${this.window}`);
      }
      for (let i = 0; i < length; i++) this.put(this.out[this.at - distance]!);
    }
  }
}
