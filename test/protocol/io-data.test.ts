import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { IoData } from "../../src/message.ts";
import { portableByteOps } from "../../src/protocol/byte-ops.ts";
import { ioLength, writeIoData } from "../../src/protocol/io-data.ts";
import { join } from "../support/client-frames.ts";
import { allOctets } from "./parsing.ts";

/** What it should come to, by joining it. */
const joined = (data: IoData): Uint8Array =>
  typeof data === "string"
    ? new TextEncoder().encode(data)
    : data instanceof ArrayBuffer
      ? new Uint8Array(data)
      : data instanceof Uint8Array
        ? data
        : join(...data.map(joined));

const { data: anyData } = fc.letrec<{ data: IoData; list: readonly IoData[] }>((tie) => ({
  data: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.string({ unit: "binary", maxLength: 50 }),
    fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 40 }).map((units) => String.fromCharCode(...units)),
    fc.uint8Array({ maxLength: 50 }),
    fc.uint8Array({ maxLength: 50 }).map((bytes) => bytes.slice().buffer),
    fc.uint8Array({ minLength: 3, maxLength: 50 }).map((bytes) => Buffer.from(bytes).subarray(1, -1)),
    tie("list"),
  ),
  list: fc.array(tie("data"), { maxLength: 5 }),
}));

const cases: [string, IoData, number][] = [
  ["an empty string", "", 0],
  ["an empty list", [], 0],
  ["nested empty lists", [[], [[]], ""], 0],
  ["ASCII of 32 units", "x".repeat(32), 32],
  ["ASCII of 33 units", "x".repeat(33), 33],
  ["a short text whose last unit is not ASCII", "abcé", 5],
  ["a lone surrogate", "\ud800", 3],
  ["a pair", "😀", 4],
  ["a pair in two strings: two lone surrogates", ["\ud83d", "\ude00"], 6],
  ["a Uint8Array", Uint8Array.of(1, 2, 3), 3],
  ["a view in the middle of its memory", new Uint8Array(new ArrayBuffer(10), 4, 3), 3],
  ["a Buffer", Buffer.from("abc"), 3],
  ["an ArrayBuffer", new ArrayBuffer(7), 7],
  ["a nested list", ["a", ["é", [Uint8Array.of(1), new ArrayBuffer(2)]], "c"], 7],
];

/** As an accumulator in Elixir grows: `data = [data, "chunk "]`. */
const nested = (depth: number): IoData => {
  let data: IoData = "";
  for (let i = 0; i < depth; i++) data = [data, "chunk "];
  return data;
};

describe("deeply nested lists", () => {
  const DEPTH = 200_000;

  test("are measured and written in linear time, without overflowing the stack", () => {
    const data = nested(DEPTH);
    const size = ioLength(data);
    expect(size).toBe(DEPTH * 6);
    const target = new Uint8Array(size);
    expect(writeIoData(data, target, 0, portableByteOps)).toBe(size);
    expect(new TextDecoder().decode(target)).toBe("chunk ".repeat(DEPTH));
  });

  test("are refused where a list contains itself, at any depth", () => {
    const cycle: IoData[] = ["a"];
    cycle.push([["b", cycle]]);
    expect(() => ioLength(cycle)).toThrow("contains itself");
    expect(() => ioLength([nested(3_000), cycle])).toThrow("contains itself");
  });

  test("may contain the same list several times", () => {
    const shared: IoData[] = ["ab"];
    let data: IoData[] = [shared, shared];
    for (let i = 0; i < 1_500; i++) data = [data];
    expect(ioLength([data, data, shared])).toBe(10);
  });
});

describe("ioLength", () => {
  test.each(cases)("of %s", (_name, data, length) => {
    expect(ioLength(data)).toBe(length);
  });

  test.each<[string, unknown]>([
    ["a number", 1],
    ["null", null],
    ["undefined", undefined],
    ["an object", { length: 3 }],
    ["a DataView", new DataView(new ArrayBuffer(2))],
    ["an Int16Array", new Int16Array(2)],
    ["a function", () => "x"],
    ["a list with a number in it", ["a", [1]]],
    ["a list with a hole", ["a", undefined]],
    ["a SharedArrayBuffer", new SharedArrayBuffer(2)],
  ])("of %s throws", (_name, data) => {
    expect(() => ioLength(data as IoData)).toThrow(TypeError);
  });
});

describe.each(allOctets)("writeIoData with $name", ({ byteOps }) => {
  const write = (data: IoData): number[] => {
    const length = ioLength(data);
    const target = byteOps.allocOutput(length + 6).fill(0xee);
    expect(writeIoData(data, target, 3, byteOps)).toBe(length + 3);
    expect([...target.subarray(0, 3), ...target.subarray(length + 3)]).toEqual(Array(6).fill(0xee));
    return [...target.subarray(3, length + 3)];
  };

  test.each(cases)("writes %s", (_name, data) => {
    expect(write(data)).toEqual([...joined(data)]);
  });

  test("writes anything as if it were joined, and nothing beside it", () => {
    fc.assert(
      fc.property(anyData, (data) => {
        expect(write(data)).toEqual([...joined(data)]);
      }),
      { numRuns: 500 },
    );
  });
});
