import { describe, expect, test } from "vitest";
import { MessageBuffer } from "../../src/protocol/message-buffer.ts";
import { allByteOps } from "./parsing.ts";

const MEGABYTE = 1024 * 1024;

describe.each(allByteOps)("MessageBuffer with $name", ({ byteOps }) => {
  const append = (buffer: MessageBuffer, bytes: Uint8Array, expected = buffer.length + bytes.length): void =>
    buffer.append(bytes, 0, bytes.length, expected);

  test("collects the appended bytes", () => {
    const buffer = new MessageBuffer(byteOps);
    append(buffer, Uint8Array.of(1, 2, 3));
    append(buffer, new Uint8Array(0));
    buffer.append(Uint8Array.of(9, 9, 4, 5, 9), 2, 4, 5);
    expect(buffer.length).toBe(5);
    expect([...buffer.memory.subarray(0, 5)]).toEqual([1, 2, 3, 4, 5]);
    expect([...buffer.take()]).toEqual([1, 2, 3, 4, 5]);
  });

  test("is empty after take or clear, and a taken message does not change", () => {
    const buffer = new MessageBuffer(byteOps);
    append(buffer, Uint8Array.of(1, 2, 3));
    const taken = buffer.take();
    expect(buffer.length).toBe(0);
    append(buffer, Uint8Array.of(7, 7, 7, 7));
    expect([...taken]).toEqual([1, 2, 3]);
    expect(taken.buffer).not.toBe(buffer.memory.buffer);
    buffer.clear();
    expect(buffer.length).toBe(0);
    expect(buffer.memory.length).toBe(0);
    expect([...buffer.take()]).toEqual([]);
  });

  test("allocates the announced length of a small message immediately", () => {
    for (const expected of [10, 1000, MEGABYTE]) {
      const buffer = new MessageBuffer(byteOps);
      append(buffer, Uint8Array.of(1), expected);
      expect(buffer.memory.length).toBe(expected);
    }
  });

  test("allocates at most 1 MiB for an announced length, and doubles from there", () => {
    const buffer = new MessageBuffer(byteOps);
    const total = 5 * MEGABYTE;
    const sizes = new Set<number>();
    const chunk = new Uint8Array(65_536);
    while (buffer.length < total) {
      append(buffer, chunk, total);
      sizes.add(buffer.memory.length);
      // At most twice the received size is allocated, or 1 MiB.
      expect(buffer.memory.length).toBeLessThanOrEqual(Math.max(MEGABYTE, 2 * buffer.length));
    }
    expect([...sizes]).toEqual([MEGABYTE, 2 * MEGABYTE, 4 * MEGABYTE, 8 * MEGABYTE]);
  });

  test("a message shorter than expected keeps at most twice its size in memory", () => {
    for (const expected of [3, 5, 6, 7, 9, 100_000]) {
      const buffer = new MessageBuffer(byteOps);
      append(buffer, Uint8Array.of(1, 2, 3), expected);
      const taken = buffer.take();
      expect([...taken]).toEqual([1, 2, 3]);
      expect(taken.buffer.byteLength).toBeLessThanOrEqual(6);
    }
  });
});
