import { describe, expect, test } from "vitest";
import type { IoData } from "../../src/message.ts";
import type { ByteOps } from "../../src/protocol/byte-ops.ts";
import { FIN, OPCODE } from "../../src/protocol/frame.ts";
import { FrameWriter } from "../../src/protocol/frame-writer.ts";
import { ioLength } from "../../src/protocol/io-data.ts";
import { join, serverFrames, utf8 } from "../support/client-frames.ts";
import { allOctets } from "./parsing.ts";

const LARGE = 16_384;

/** Memory of its own for each test: the writers of a host share theirs. */
const fresh = (byteOps: ByteOps): ByteOps => ({ ...byteOps });

const add = (writer: FrameWriter, data: IoData, opcode: number = OPCODE.text): void =>
  writer.add(FIN | opcode, data, ioLength(data));

const texts = (parts: readonly Uint8Array[]): string[] =>
  serverFrames(join(...parts)).map(({ payload }) => utf8(payload));

describe.each(allOctets)("FrameWriter with $name", ({ byteOps }) => {
  test.each([0, 1, 125, 126, 127, 16_383, 16_384, 16_385, 65_535, 65_536, 200_000])("frames %i octets", (length) => {
    const data = Uint8Array.from({ length }, (_, i) => i & 0xff);
    const writer = new FrameWriter(fresh(byteOps));
    add(writer, data, OPCODE.binary);
    const size = writer.bytes;
    const wire = join(...writer.take());
    expect(wire.length).toBe(size);
    const [frame, ...others] = serverFrames(wire);
    expect(others).toEqual([]);
    // FIN, no reserved bits, not masked: a server's frame.
    expect(frame!.first).toBe(0x82);
    expect(Buffer.compare(frame!.payload, data)).toBe(0);
  });

  test.each([
    ["text", 0x81],
    ["binary", 0x82],
    ["close", 0x88],
    ["ping", 0x89],
    ["pong", 0x8a],
  ] as const)("writes the opcode of a %s", (name, first) => {
    const writer = new FrameWriter(fresh(byteOps));
    add(writer, "x", OPCODE[name]);
    expect(join(...writer.take())).toEqual(Uint8Array.of(first, 1, 0x78));
  });

  test("puts small frames side by side, so that one part has them all", () => {
    const writer = new FrameWriter(fresh(byteOps));
    for (let i = 0; i < 100; i++) add(writer, `message ${i}`);
    const parts = writer.take();
    expect(parts.length).toBe(1);
    expect(texts(parts)).toEqual(Array.from({ length: 100 }, (_, i) => `message ${i}`));
  });

  test("keeps the order of short texts, which it gathers, and of all else", () => {
    const writer = new FrameWriter(fresh(byteOps));
    const sent = ["", "a", "é", "b", "x".repeat(125), "y".repeat(126), "c", "\u00ff", "d"];
    for (const data of sent) {
      add(writer, data);
      add(writer, data, OPCODE.binary);
    }
    add(writer, "last");
    expect(texts(writer.take())).toEqual([...sent.flatMap((data) => [data, data]), "last"]);
  });

  test("starts anew when it was taken", () => {
    const writer = new FrameWriter(fresh(byteOps));
    expect(writer.bytes).toBe(0);
    expect(writer.take()).toEqual([]);
    add(writer, "one");
    const first = writer.take();
    expect(writer.bytes).toBe(0);
    expect(writer.take()).toEqual([]);
    add(writer, "two");
    const second = writer.take();
    // What was handed over is not touched by what comes after it.
    expect([texts(first), texts(second)]).toEqual([["one"], ["two"]]);
  });

  test("hands a large payload on as it is, between its header and what comes next", () => {
    const writer = new FrameWriter(fresh(byteOps));
    const data = new Uint8Array(LARGE).fill(0x61);
    add(writer, "before");
    add(writer, data);
    add(writer, "after");
    const parts = writer.take();
    expect(parts.length).toBe(3);
    expect(parts[1]).toBe(data);
    expect(texts(parts)).toEqual(["before", "a".repeat(LARGE), "after"]);
  });

  test("copies what is just below that, so that its owner may change it", () => {
    const writer = new FrameWriter(fresh(byteOps));
    const data = new Uint8Array(LARGE - 1).fill(0x61);
    add(writer, data);
    data.fill(0x62);
    expect(texts(writer.take())).toEqual(["a".repeat(LARGE - 1)]);
  });

  test("hands large parts of a nested list on as they are, and joins the small ones", () => {
    const writer = new FrameWriter(fresh(byteOps));
    const [one, two] = [new Uint8Array(LARGE).fill(0x31), new Uint8Array(LARGE + 1).fill(0x32).buffer];
    const long = "é".repeat(LARGE);
    add(writer, ["a", [one, ["b", "", ["c"]]], two, [], long, "d", Uint8Array.of(0x65)]);
    add(writer, "next");
    const parts = writer.take();
    expect(parts.map((part) => part.length)).toEqual([
      10 + 1, // header and "a"
      LARGE,
      2, // "bc"
      LARGE + 1,
      2 * LARGE,
      1 + 1 + 2 + 4, // "d", "e", and the next frame
    ]);
    expect(parts[1]).toBe(one);
    expect(parts[3]!.buffer).toBe(two);
    expect(texts(parts)).toEqual([`a${"1".repeat(LARGE)}bc${"2".repeat(LARGE + 1)}${long}de`, "next"]);
  });

  test("takes a list of many small parts as one large message", () => {
    const writer = new FrameWriter(fresh(byteOps));
    const data = Array.from({ length: 5000 }, (_, i) => `part ${i};`);
    add(writer, data);
    expect(texts(writer.take())).toEqual([data.join("")]);
  });

  test("goes on when the shared memory is used up", () => {
    const writer = new FrameWriter(fresh(byteOps));
    const sent = Array.from({ length: 200 }, (_, i) => String(i).padStart(1000, "."));
    for (const data of sent) add(writer, data);
    const parts = writer.take();
    expect(parts.length).toBeLessThan(6);
    expect(texts(parts)).toEqual(sent);
  });

  test("shares memory with other connections of the host, and mixes nothing up", () => {
    const host = fresh(byteOps);
    const writers = [new FrameWriter(host), new FrameWriter(host), new FrameWriter(host)];
    for (let i = 0; i < 50; i++) for (const [w, writer] of writers.entries()) add(writer, `${w}.${i}`);
    const all = writers.map((writer) => writer.take());
    expect(all.map(texts)).toEqual([0, 1, 2].map((w) => Array.from({ length: 50 }, (_, i) => `${w}.${i}`)));
    // One memory for all of them, and each octet of it handed out once.
    expect(new Set(all.flat().map((part) => part.buffer)).size).toBe(1);
    const stretches = all.flat().map((part) => [part.byteOffset, part.byteOffset + part.length] as const);
    stretches.sort(([a], [b]) => a - b);
    for (let i = 1; i < stretches.length; i++) expect(stretches[i]![0]).toBeGreaterThanOrEqual(stretches[i - 1]![1]);
  });

  test("uses its memory again once all who have frames in it say that they are taken, and not before", () => {
    const host = fresh(byteOps);
    const [one, other] = [new FrameWriter(host), new FrameWriter(host)];
    const where = (writer: FrameWriter): number => {
      add(writer, new Uint8Array(10), OPCODE.binary);
      const [part] = writer.take();
      return part!.byteOffset;
    };
    const start = where(one);
    expect(where(other)).toBe(start + 12);
    one.onFlushed();
    expect(where(one)).toBe(start + 24);
    other.onFlushed();
    one.onFlushed();
    one.onFlushed(); // said twice, it counts once
    expect(where(other)).toBe(start);
    expect(where(one)).toBe(start + 12);
  });

  test("keepApart: what waits goes to memory of its own, and stays together", () => {
    const host = fresh(byteOps);
    const [slow, busy] = [new FrameWriter(host), new FrameWriter(host)];
    add(slow, "shared");
    slow.useOwnSlab(true);
    for (let i = 0; i < 50; i++) {
      add(slow, `slow ${i}`);
      add(busy, `busy ${i}`);
    }
    const parts = slow.take();
    expect(parts.length).toBe(2);
    const own = parts[1]!.buffer;
    expect(busy.take().every((part) => part.buffer !== own)).toBe(true);
    expect(texts(parts)).toEqual(["shared", ...Array.from({ length: 50 }, (_, i) => `slow ${i}`)]);

    slow.useOwnSlab(false);
    add(slow, "back");
    const back = slow.take();
    expect(back[0]!.buffer).not.toBe(own);
    expect(back[0]!.buffer).toBe(parts[0]!.buffer);
    expect(texts(back)).toEqual(["back"]);
  });

  test("keepApart in either direction loses nothing that waits, said once or twice", () => {
    const writer = new FrameWriter(fresh(byteOps));
    for (const [i, apart] of [true, true, false, false, true, false].entries()) {
      add(writer, `${i}`);
      writer.useOwnSlab(apart);
    }
    expect(texts(writer.take())).toEqual(["0", "1", "2", "3", "4", "5"]);
  });
});
