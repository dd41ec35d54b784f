/** Tests of runs of short texts: they are reported like single texts, also if the parser is stopped within a run. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ByteOps } from "../../../src/protocol/byte-ops.ts";
import { maskRun, unmaskRun } from "../../../src/protocol/short-text/run.ts";
import { bytesOf, type Frame, frame, join, OP } from "../../support/client-frames.ts";
import { makeWire } from "../fake-wire.ts";
import { allByteOps, asText, makeParser, type ParserEvent, parseAll, textEvent } from "../parsing.ts";

const mask = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255));
const text = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: "binary-ascii", maxLength: 130 }) },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 40 }) },
);
const shortFrame: fc.Arbitrary<Frame> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ opcode: fc.constant(OP.text), payload: text, mask }) },
  {
    weight: 1,
    arbitrary: fc.record({ opcode: fc.constant(OP.binary), payload: fc.uint8Array({ maxLength: 70 }), mask }),
  },
  { weight: 1, arbitrary: fc.record({ opcode: fc.constant(OP.ping), payload: fc.string({ maxLength: 20 }), mask }) },
);
const frames = fc.array(shortFrame, { minLength: 1, maxLength: 40 });

const alone = (all: readonly Frame[], byteOps: ByteOps): readonly ParserEvent[] =>
  all.flatMap((one) => parseAll([frame(one)], { byteOps: byteOps }));

describe.each(allByteOps)("a run of short texts, with $name", ({ byteOps }) => {
  test("is reported as if each frame had arrived alone", () => {
    fc.assert(
      fc.property(frames, (all) => {
        const together = parseAll([join(...all.map(frame))], { byteOps });
        expect(asText(together)).toEqual(asText(alone(all, byteOps)));
      }),
    );
  });

  test("continues where it was stopped, also if another chunk was fed in between or from within an event", () => {
    const step = fc.constantFrom("go on", "stop", "stop and feed", "feed within");
    fc.assert(
      fc.property(frames, fc.array(fc.tuple(step, shortFrame), { maxLength: 12 }), (first, steps) => {
        const { parser, recorder, events } = makeParser({ byteOps });
        const fed = [...first];
        let event = 0;
        let feedWhenStopped: Frame | undefined;
        recorder.onEvent = () => {
          const [kind, more] = steps[event++] ?? ["go on"];
          if (kind === "feed within" && more !== undefined) {
            fed.push(more);
            parser.feed(frame(more));
          }
          if (!kind.startsWith("stop")) return;
          parser.stopped = true;
          feedWhenStopped = kind === "stop and feed" ? more : undefined;
        };
        parser.feed(join(...first.map(frame)));
        parser.parse();
        while (parser.stopped) {
          parser.stopped = false;
          if (feedWhenStopped !== undefined) {
            fed.push(feedWhenStopped);
            parser.feed(frame(feedWhenStopped));
          }
          parser.parse();
        }
        expect(asText(events)).toEqual(asText(alone(fed, byteOps)));
      }),
    );
  });

  test.each([1, 20])("ends its chunk, and %i more texts are fed within the event of its last text", (count) => {
    const texts = Array.from({ length: 10 + count }, (_, i) => `number ${i} 0123456789`);
    const bytes = texts.map((payload) => frame({ opcode: OP.text, payload }));
    const { parser, recorder, events } = makeParser({ byteOps });
    recorder.onEvent = () => {
      if (events.length === 10) parser.feed(join(...bytes.slice(10)));
    };
    parser.feed(join(...bytes.slice(0, 10)));
    parser.parse();
    expect(events).toEqual(texts.map(textEvent));
  });

  test("is sent as it has arrived, among other texts", () => {
    fc.assert(
      fc.property(frames, text, (all, other) => {
        const { stream, session, send, receive } = makeWire(byteOps);
        const expected: string[] = [];
        session.onEvent.message = ({ opcode, data }, size) => {
          if (opcode !== "text") return;
          const otherFirst = size % 2 === 0;
          if (otherFirst) send(other);
          send(data);
          expected.push(...(otherFirst ? [other, data] : [data]));
        };
        receive(...all.filter(({ opcode }) => opcode !== OP.ping));
        stream.tick();
        expect(stream.frames.map(({ first, payload }) => [first, payload])).toEqual(
          expected.map((data) => [0x81, bytesOf(data)]),
        );
      }),
    );
  });

  test("ends before a frame that is too large, which is then refused", () => {
    const all = ["a".repeat(20), "b".repeat(20), "c".repeat(21), "d"].map((payload) =>
      frame({ opcode: OP.text, payload }),
    );
    const filler = frame({ opcode: OP.text, payload: "e".repeat(20) });
    const bytes = join(filler, filler, filler, ...all);
    for (const limits of [{ maxFrameSize: 20 }, { maxMessageSize: 20 }]) {
      expect(parseAll([bytes], { byteOps, limits }).slice(3)).toEqual([
        textEvent("a".repeat(20)),
        textEvent("b".repeat(20)),
        ["error", 1009],
      ]);
    }
  });

  test("has at most 256 bytes, so that a text keeps no more than that in memory", () => {
    const decoded: number[] = [];
    const watching: ByteOps = {
      ...byteOps,
      decodeAscii: (bytes, start, end) => {
        decoded.push(end - start);
        return byteOps.decodeAscii(bytes, start, end);
      },
    };
    for (const size of [1, 13, 32, 100, 125]) {
      const one = frame({ opcode: OP.text, payload: "x".repeat(size) });
      parseAll([join(...Array<Uint8Array>(50).fill(one))], { byteOps: watching });
    }
    expect(Math.max(...decoded)).toBeLessThanOrEqual(256);
    expect(decoded.length).toBeLessThan(150);
  });
});

describe("unmaskRun", () => {
  const bytes = join(
    ...["one", "two", "three", "é", "four"].map((payload, i) =>
      frame({ opcode: OP.text, payload, mask: [i, 0x80 + i, 3 * i, 255] }),
    ),
  );
  const endOf = (count: number): number => ["one", "two", "three"].slice(0, count).join("").length + 6 * count;

  test("unmasks complete, short, ASCII texts, and nothing else; maskRun undoes it", () => {
    const run = bytes.slice();
    const view = new DataView(run.buffer);
    expect(unmaskRun(view, 0, 0, run.length, 125)).toBe(endOf(3));
    expect(new TextDecoder("latin1").decode(run.subarray(6, 9))).toBe("one");
    expect([...run.subarray(endOf(3))]).toEqual([...bytes.subarray(endOf(3))]);
    maskRun(view, 0, endOf(3));
    expect([...run]).toEqual([...bytes]);
  });

  test.each([
    ["one that is longer than may be", 4, bytes, endOf(2)],
    ["one of which an byte is missing", 125, bytes.slice(0, endOf(3) - 1), endOf(2)],
    ["one of which the header is cut", 125, bytes.slice(0, endOf(2) + 5), endOf(2)],
    [
      "one that is not masked",
      125,
      join(bytes.slice(0, endOf(1)), frame({ opcode: OP.text, mask: null, payload: "a long one" })),
      endOf(1),
    ],
    ["a fragment", 125, join(bytes.slice(0, endOf(1)), frame({ opcode: OP.text, fin: false, payload: "a" })), endOf(1)],
    ["another opcode", 125, join(bytes.slice(0, endOf(1)), frame({ opcode: OP.ping, payload: "a" })), endOf(1)],
    ["a reserved bit", 125, join(bytes.slice(0, endOf(1)), frame({ opcode: OP.text, rsv: 4, payload: "a" })), endOf(1)],
    [
      "a length of two bytes",
      125,
      join(bytes.slice(0, endOf(1)), frame({ opcode: OP.text, payload: "a".repeat(126) })),
      endOf(1),
    ],
  ])("ends before %s", (_, longest, input, expected) => {
    const run = input.slice();
    expect(unmaskRun(new DataView(run.buffer), 0, 0, run.length, longest)).toBe(expected);
    expect([...run.subarray(expected)]).toEqual([...input.subarray(expected)]);
  });
});
