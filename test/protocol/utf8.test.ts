import { describe, expect, test } from "vitest";
import { Utf8Validator, utf8Length } from "../../src/protocol/utf8.ts";
import { join } from "../support/client-frames.ts";
import { allOctets } from "./parsing.ts";

describe("utf8Length", () => {
  test.each([
    ["", 0],
    ["a", 1],
    ["\x7f", 1],
    ["\x80", 2],
    ["\u07ff", 2],
    ["\u0800", 3],
    ["\uffff", 3],
    ["\u{10000}", 4],
    ["\u{10ffff}", 4],
    ["\ud800", 3],
    ["\udc00", 3],
    ["\udc00\ud800", 6],
    ["\ud800\ud800\udc00", 7],
    ["\ud83dx", 4],
  ])("of %j is %i", (text, length) => {
    expect(utf8Length(text)).toBe(length);
    expect(new TextEncoder().encode(text).length).toBe(length);
  });
});

const isText = (bytes: Uint8Array): boolean => {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
};

describe.each(allOctets)("Utf8Validator with $name", ({ byteOps }) => {
  const accepts = (pieces: readonly Uint8Array[]): boolean => {
    const validator = new Utf8Validator(byteOps);
    return pieces.every((piece) => validator.push(piece)) && validator.complete;
  };

  test("agrees with it on every sequence of two octets, and of three and four at the bounds", () => {
    const padding = new Uint8Array(40).fill(0x61);
    const bounds = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];
    const sequences: number[][] = [];
    for (let first = 0; first < 256; first++) {
      for (let second = 0; second < 256; second++) sequences.push([first, second]);
    }
    for (let first = 0xe0; first < 256; first++) {
      for (const second of bounds) {
        for (const third of bounds) {
          sequences.push([first, second, third]);
          for (const fourth of bounds) sequences.push([first, second, third, fourth]);
        }
      }
    }
    const disagreements = sequences.filter((sequence) => {
      const bytes = Uint8Array.from(sequence);
      const expected = isText(bytes);
      // By steps alone, and with the host's help for what comes before it.
      return accepts([bytes]) !== expected || accepts([join(padding, bytes)]) !== expected;
    });
    expect(disagreements).toEqual([]);
  });

  test("looks at the stretch it is told to, and no further", () => {
    const bytes = join(Uint8Array.of(0xff), new Uint8Array(50).fill(0x61), Uint8Array.of(0xff));
    expect(new Utf8Validator(byteOps).push(bytes, 1, 51)).toBe(true);
    expect(new Utf8Validator(byteOps).push(bytes, 0, 51)).toBe(false);
    expect(new Utf8Validator(byteOps).push(bytes, 1)).toBe(false);
    expect(new Utf8Validator(byteOps).push(bytes, 1, 1)).toBe(true);
  });

  test("is complete at the ends of characters only", () => {
    const validator = new Utf8Validator(byteOps);
    const complete = Array.from(new TextEncoder().encode("aé€😀"), (octet) => {
      expect(validator.push(Uint8Array.of(octet))).toBe(true);
      return validator.complete;
    });
    expect(complete).toEqual([true, false, true, false, false, true, false, false, false, true]);
  });
});
