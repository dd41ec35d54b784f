/**
 * Tests of memory ownership: messages that a handler keeps never change, and keep little more than themselves in
 * memory.
 */
import { Buffer } from "node:buffer";
import { describe, expect, test } from "vitest";
import type { ByteOps } from "../../src/protocol/byte-ops.ts";
import { cutEvery, frame, join, OP } from "../support/client-frames.ts";
import { allByteOps, makeParser } from "./parsing.ts";

const binaries = (byteOps: ByteOps, chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer>[] => {
  const { parser, events } = makeParser({ byteOps: byteOps });
  for (const chunk of chunks) {
    parser.feed(chunk);
    parser.parse();
  }
  return events.map((event) => {
    if (event[0] === "message" && event[1].opcode === "binary") return event[1].data;
    if (event[0] === "control") return event[1].data;
    throw new Error(`unexpected ${event[0]}`);
  });
};

describe.each(allByteOps)("memory of FrameParser with $name", ({ byteOps }) => {
  test.each([0, 1, 10, 100, 1000, 16_000, 40_000, 65_000])(
    "a message of %i bytes never keeps more than twice its size in memory",
    (size) => {
      const payload = new Uint8Array(size).fill(7);
      const one = frame({ opcode: OP.binary, payload });
      const filler = frame({ opcode: OP.binary, payload: new Uint8Array(9000) });
      const halves = [
        frame({ opcode: OP.binary, payload: payload.slice(0, size >> 1), fin: false }),
        frame({ opcode: OP.continuation, payload: payload.slice(size >> 1) }),
      ];
      const ways: Record<string, Uint8Array[]> = {
        alone: [one.slice()],
        "behind another": [join(filler, one)],
        "before another": [join(one, filler)],
        "in pieces": cutEvery(one, 1500),
        "byte after byte": cutEvery(one, size > 1000 ? 97 : 1),
        "in fragments": halves,
        // As from a host that reads into a slab, like Node's HTTP/2.
        "in a slab": [new Uint8Array(200_000).fill(1).subarray(50_000, 50_000 + one.length)],
      };
      ways["in a slab"]![0]!.set(one);
      for (const [way, chunks] of Object.entries(ways)) {
        const kept = binaries(byteOps, chunks).find((data) => data.length === size)!;
        expect(Buffer.compare(kept, payload), way).toBe(0);
        expect(kept.buffer, way).toBeInstanceOf(ArrayBuffer);
        expect(kept.buffer.byteLength, way).toBeLessThanOrEqual(size * 2);
      }
    },
  );

  test("the payload of a ping does not keep its chunk in memory", () => {
    const chunk = join(
      frame({ opcode: OP.ping, payload: "abc" }),
      frame({ opcode: OP.binary, payload: new Uint8Array(5000) }),
    );
    expect(binaries(byteOps, [chunk])[0]!.buffer.byteLength).toBe(3);
  });

  test("no two messages share bytes, and later chunks change none", () => {
    const { parser, events } = makeParser({ byteOps });
    const send = (fill: number, chunks: (bytes: Uint8Array) => Uint8Array[]): void => {
      const payload = new Uint8Array(1000).fill(fill);
      const halves = join(
        frame({ opcode: OP.binary, payload: payload.slice(0, 600), fin: false }),
        frame({ opcode: OP.continuation, payload: payload.slice(600) }),
      );
      for (const bytes of [frame({ opcode: OP.binary, payload }), halves]) {
        for (const chunk of chunks(bytes)) {
          parser.feed(chunk);
          parser.parse();
        }
      }
    };
    send(1, (bytes) => [bytes.slice()]);
    send(2, (bytes) => cutEvery(bytes, 100));
    send(3, (bytes) => cutEvery(bytes, 1));
    send(4, (bytes) => cutEvery(bytes, 999));
    const kept = events.map((event) => (event[1] as { data: Uint8Array }).data);
    const fills = [1, 1, 2, 2, 3, 3, 4, 4];
    expect(kept.map((data) => new Set(data))).toEqual(fills.map((fill) => new Set([fill])));
    // A handler may write to a message: this changes no other message.
    for (const [i, data] of kept.entries()) data.fill(100 + i);
    expect(kept.map((data) => new Set(data))).toEqual(fills.map((_, i) => new Set([100 + i])));
  });

  test("an announced megabyte is not allocated before it arrives: a thousand peers may announce one", () => {
    let allocated = 0;
    const counting: ByteOps = {
      ...byteOps,
      alloc: (size) => {
        allocated += size;
        return byteOps.alloc(size);
      },
    };
    const { parser } = makeParser({ byteOps: counting });
    parser.feed(frame({ opcode: OP.binary, claims: 1_000_000_000, payload: new Uint8Array(10) }));
    parser.parse();
    expect(allocated).toBeLessThanOrEqual(1024 * 1024);
  });

  test("a hundred thousand tiny fragments need as much memory as the message, not a slice each", () => {
    let allocated = 0;
    const counting: ByteOps = {
      ...byteOps,
      alloc: (size) => {
        allocated += size;
        return byteOps.alloc(size);
      },
    };
    const { parser, events } = makeParser({ byteOps: counting });
    const count = 100_000;
    const fragment = frame({ opcode: OP.continuation, payload: "x", fin: false });
    parser.feed(frame({ opcode: OP.binary, payload: "x", fin: false }));
    parser.parse();
    for (let i = 0; i < count / 100; i++) {
      parser.feed(join(...Array<Uint8Array>(100).fill(fragment)));
      parser.parse();
    }
    // The buffer doubles, so that the sum of all allocations is below four times the result.
    expect(allocated).toBeLessThan(4 * count);
    parser.feed(frame({ opcode: OP.continuation }));
    parser.parse();
    expect(events).toEqual([["message", expect.anything(), count + 1]]);
  });

  test("an incomplete frame does not keep its chunk in memory", () => {
    const { parser } = makeParser({ byteOps });
    const slab = new Uint8Array(65_536);
    const header = frame({ opcode: OP.text, payload: "hello" }).subarray(0, 5);
    slab.set(header, 100);
    parser.feed(slab.subarray(100, 105));
    parser.parse();
    const { chunk } = parser as unknown as { chunk: Uint8Array };
    expect([...chunk]).toEqual([...header]);
    expect(chunk.buffer.byteLength).toBe(5);
  });

  test("between messages no memory is kept", () => {
    const { parser } = makeParser({ byteOps });
    parser.feed(frame({ opcode: OP.text, payload: "x".repeat(5000) }));
    parser.parse();
    const { chunk, partial } = parser as unknown as { chunk: Uint8Array; partial: unknown };
    expect(chunk.buffer.byteLength).toBe(0);
    expect(partial).toBeUndefined();
  });
});
