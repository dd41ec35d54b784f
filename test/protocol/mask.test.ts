import { describe, expect, test } from "vitest";
import { applyMask, applyMaskInView } from "../../src/protocol/mask.ts";

type Key = [number, number, number, number];

/** A key as the parser reads it: its first octet is the lowest. */
const pack = (key: Key): number => key[0] | (key[1] << 8) | (key[2] << 16) | (key[3] << 24);

/** RFC 6455 §5.3, word for word: octet i of the data XOR octet i mod 4 of the key. */
const byTheBook = (bytes: readonly number[], key: Key): number[] => bytes.map((octet, i) => octet ^ key[i % 4]!);

const pattern = (length: number, seed = 0): number[] => Array.from({ length }, (_, i) => (i * 31 + seed) & 0xff);

const both: [name: string, apply: typeof applyMask][] = [
  ["applyMask", applyMask],
  [
    "applyMaskThrough",
    (bytes, ...rest) => applyMaskInView(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), ...rest),
  ],
];

describe.each(both)("%s", (_name, applyMask) => {
  const lengths = [0, 1, 2, 3, 4, 5, 7, 8, 63, 64, 94, 95, 96, 97, 98, 99, 100, 101, 127, 128, 129, 1000, 1001];
  const keys: Key[] = [
    [0, 0, 0, 0],
    [0x37, 0xfa, 0x21, 0x3d],
    [0x80, 0xff, 0x7f, 0xfe],
    [1, 2, 3, 0x80],
  ];

  test.each(lengths)("masks %i octets at every alignment, and touches nothing around them", (length) => {
    for (const key of keys) {
      // `offset`: where the view begins in its memory; `start`: where the payload begins in the view.
      for (const offset of [0, 1, 2, 3, 8]) {
        for (const start of [0, 1, 2, 3, 6, 14]) {
          const memory = new Uint8Array(offset + start + length + 5).fill(0xee);
          const bytes = memory.subarray(offset);
          bytes.set(pattern(length), start);
          applyMask(bytes, start, start + length, pack(key));
          const expected = [
            ...Array(offset + start).fill(0xee),
            ...byTheBook(pattern(length), key),
            ...Array(5).fill(0xee),
          ];
          expect([...memory], `offset ${offset}, start ${start}`).toEqual(expected);
        }
      }
    }
  });

  test("tells whether all that comes out is ASCII, wherever the one octet is that is not", () => {
    for (const length of [1, 2, 3, 4, 5, 6, 7, 8, 95, 96, 97, 98, 99, 103]) {
      for (const offset of [0, 1, 2, 3]) {
        const key: Key = [0x91, 0x12, 0xf3, 0x74];
        const masked = (text: readonly number[]): Uint8Array => {
          const bytes = new Uint8Array(new ArrayBuffer(offset + length), offset);
          bytes.set(byTheBook(text, key));
          return bytes;
        };
        const ascii = Array<number>(length).fill(0x7f);
        expect(applyMask(masked(ascii), 0, length, pack(key))).toBe(true);
        for (let at = 0; at < length; at++) {
          const text = ascii.with(at, 0x80);
          expect(applyMask(masked(text), 0, length, pack(key)), `${at} of ${length}`).toBe(false);
        }
      }
    }
  });

  test("is not fooled by what is beside the payload", () => {
    const bytes = new Uint8Array(200).fill(0xff);
    bytes.fill(0x41, 50, 150);
    expect(applyMask(bytes, 50, 150, 0)).toBe(true);
    expect(applyMask(bytes, 50, 151, 0)).toBe(false);
    expect(applyMask(bytes, 49, 150, 0)).toBe(false);
  });
});
