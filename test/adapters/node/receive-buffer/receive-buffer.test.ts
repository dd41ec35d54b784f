import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { instantiateMask } from "../../../../src/adapters/node/receive-buffer/receive-buffer.ts";
import { receiveBuffers } from "../../../support/receive-buffers.ts";

test("this Node runs the WebAssembly module", () => {
  expect(instantiateMask()).toBeDefined();
});

describe.each(receiveBuffers)("SocketReceiveBuffer, masking in $name", ({ buffer }) => {
  const { bytes, start } = buffer;

  test("masks any bytes at any position as RFC 6455 §5.3 says, and nothing beside them", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300, size: "max" }),
        fc.nat(70),
        fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)),
        (payload, offset, key) => {
          const from = start + offset;
          const to = from + payload.length;
          bytes.fill(0xee, 0, to + 100);
          bytes.set(payload, from);
          const result = payload.map((byte, i) => byte ^ key[i % 4]!);
          const ascii = buffer.applyMask(from, to, key[0] | (key[1] << 8) | (key[2] << 16) | (key[3] << 24));
          expect(ascii).toBe(result.every((byte) => byte < 0x80));
          expect(Buffer.compare(bytes.subarray(from, to), result)).toBe(0);
          expect([...bytes.subarray(0, from), ...bytes.subarray(to, to + 100)].every((byte) => byte === 0xee)).toBe(
            true,
          );
        },
      ),
    );
  });

  test.each([1, 15, 16, 17, 63, 64, 65, 79, 80, 200])(
    "notices a single byte that is not ASCII anywhere in %i",
    (size) => {
      for (let at = 0; at < size; at++) {
        bytes.fill(0x7f, start, start + size);
        expect(buffer.applyMask(start, start + size, 0)).toBe(true);
        bytes[start + at] = 0x80;
        expect(buffer.applyMask(start, start + size, 0), `${at} of ${size}`).toBe(false);
      }
    },
  );

  test("masks the whole memory to its last byte", () => {
    const end = bytes.length;
    bytes.fill(1, end - 1000);
    expect(buffer.applyMask(end - 1000, end, 0x01010101)).toBe(true);
    expect(bytes.subarray(end - 1000).every((byte) => byte === 0)).toBe(true);
  });

  test("reads 64 KiB, or up to the end of a larger frame", () => {
    const { window } = buffer;
    expect(window.byteOffset).toBe(bytes.byteOffset + start);
    // A frame with 64 KiB, and its header.
    expect(window.length).toBeGreaterThanOrEqual(65_536 + 14);
    expect(window.length).toBeLessThan(66_000);
    for (const expected of [-1, 0, 1, 125, window.length - 1]) expect(buffer.windowFor(expected)).toBe(window);
    for (const expected of [window.length, 100_000, 500_000]) {
      const large = buffer.windowFor(expected);
      expect([large.byteOffset, large.length]).toEqual([window.byteOffset, expected]);
    }
    const largest = buffer.windowFor(10_000_000);
    expect(largest.byteOffset + largest.length).toBe(bytes.byteOffset + bytes.length);
    expect(largest.length).toBeGreaterThan(500_000);
  });
});
