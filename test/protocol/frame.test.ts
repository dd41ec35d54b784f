import { describe, expect, test } from "vitest";
import { FIN, headerSize, OPCODE, writeHeader } from "../../src/protocol/frame.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("frame headers", () => {
  test.each([
    [0, "8200"],
    [1, "8201"],
    [125, "827d"],
    [126, "827e007e"],
    [127, "827e007f"],
    [256, "827e0100"],
    [65_535, "827effff"],
    [65_536, "827f0000000000010000"],
    [2 ** 31, "827f0000000080000000"],
    [2 ** 32 - 1, "827f00000000ffffffff"],
    [2 ** 32, "827f0000000100000000"],
    [Number.MAX_SAFE_INTEGER, "827f001fffffffffffff"],
  ])("of %i octets has the shortest form", (length, expected) => {
    const target = new Uint8Array(14).fill(0xaa);
    const end = writeHeader(target, 2, FIN | OPCODE.binary, length);
    expect(hex(target.subarray(2, end))).toBe(expected);
    expect(headerSize(length)).toBe(end - 2);
    // Nothing around it is touched.
    expect(hex(target.subarray(0, 2))).toBe("aaaa");
    expect(target.subarray(end).every((octet) => octet === 0xaa)).toBe(true);
  });
});
