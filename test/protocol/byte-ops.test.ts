import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { utf8Length } from "../../src/protocol/utf8.ts";
import { allOctets } from "./parsing.ts";

const texts = ["", "a", "hello", "é", "€", "😀", "\ufeffbom", "a\0b", "\ud800", "x".repeat(100), "é€😀".repeat(50)];

/** Lone surrogates are written as U+FFFD. */
const wellFormed = (text: string): string => text.replace(/\p{Surrogate}/gu, "\ufffd");

describe.each(allOctets)("$name", ({ byteOps }) => {
  test.each([0, 1, 100, 10_000])("alloc(%i) is memory of exactly that size, and nobody else's", (size) => {
    const [one, other] = [byteOps.alloc(size), byteOps.alloc(size)];
    expect(one.length).toBe(size);
    expect(one.buffer.byteLength).toBe(size);
    expect(one.byteOffset).toBe(0);
    expect(one.buffer).not.toBe(other.buffer);
    expect(Object.getPrototypeOf(one)).toBe(Uint8Array.prototype);
    expect(byteOps.allocOutput(size).length).toBe(size);
  });

  test.each(texts)("writes %j as TextEncoder does, where it is told to, and nothing beside it", (text) => {
    const expected = new TextEncoder().encode(text);
    for (const make of [byteOps.alloc, byteOps.allocOutput]) {
      const target = make(expected.length + 4).fill(0xee);
      byteOps.writeUtf8(text, target, 2, expected.length);
      expect([...target]).toEqual([0xee, 0xee, ...expected, 0xee, 0xee]);
      // With no room to spare.
      const exact = make(expected.length);
      byteOps.writeUtf8(text, exact, 0, expected.length);
      expect([...exact]).toEqual([...expected]);
    }
  });

  test.each(texts)("reads %j from the stretch it is told to", (text) => {
    const encoded = new TextEncoder().encode(text);
    const bytes = Uint8Array.of(0xff, 0x80, ...encoded, 0xc3);
    expect(byteOps.decodeUtf8(bytes, 2, 2 + encoded.length)).toBe(wellFormed(text));
    // Within a larger memory, as a socket's chunk is.
    const view = new Uint8Array(bytes.buffer, 1);
    expect(byteOps.decodeUtf8(view, 1, 1 + encoded.length)).toBe(wellFormed(text));
  });

  test("reads every ASCII octet", () => {
    const ascii = Uint8Array.from({ length: 128 }, (_, i) => i);
    expect(byteOps.decodeAscii(ascii, 0, 128)).toBe(String.fromCharCode(...ascii));
    expect(byteOps.decodeAscii(ascii, 65, 68)).toBe("ABC");
    expect(byteOps.decodeAscii(new Uint8Array(ascii.buffer, 10), 55, 58)).toBe("ABC");
    expect(byteOps.decodeAscii(ascii, 5, 5)).toBe("");
  });

  test("makes a character of each octet that is not ASCII, so that the others are where they were", () => {
    const all = Uint8Array.from({ length: 512 }, (_, i) => (i & 1 ? 65 + (i % 26) : i >> 1));
    const text = byteOps.decodeAscii(all, 0, 512);
    expect(text.length).toBe(512);
    expect([...all.keys()].filter((i) => all[i]! < 128 && text.charCodeAt(i) !== all[i])).toEqual([]);
  });

  test("replaces what is not UTF-8 as TextDecoder does", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
        const expected = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
        expect(byteOps.decodeUtf8(bytes, 0, bytes.length)).toBe(expected);
      }),
      { numRuns: 1000 },
    );
  });

  test("tells UTF-8 from other octets", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 6 }),
          fc.string().map((s) => new TextEncoder().encode(s)),
        ),
        (bytes) => {
          const round = new TextEncoder().encode(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
          expect(byteOps.isUtf8(bytes)).toBe(Buffer.compare(round, bytes) === 0);
        },
      ),
      { numRuns: 1000 },
    );
    expect(byteOps.isUtf8(Uint8Array.of(0xef, 0xbb, 0xbf))).toBe(true);
  });

  test("writes as many octets as utf8Length says", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff })), (units) => {
        const text = String.fromCharCode(...units);
        const target = byteOps.allocOutput(utf8Length(text) + 1).fill(0xff);
        byteOps.writeUtf8(text, target, 0, utf8Length(text));
        // 0xff is in no UTF-8: the first one is where the text ended.
        expect(target.indexOf(0xff)).toBe(utf8Length(text));
      }),
    );
  });

  test("writes Latin-1 an octet a character", () => {
    const text = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));
    const target = byteOps.allocOutput(300).fill(0xee);
    byteOps.writeLatin1(text, target, 3);
    expect([...target.subarray(2, 260)]).toEqual([0xee, ...Array.from({ length: 256 }, (_, i) => i), 0xee]);
  });
});
