import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cutAt, cutEvery, frame, join, OP } from "./client-frames.ts";
import { allOctets, binarySeen, controlSeen, makeParser, parseAll, type Run, type Seen, textSeen } from "./parsing.ts";

const octet = fc.integer({ min: 0, max: 255 });
const mask = fc.tuple(octet, octet, octet, octet);
const next = <T>(endless: Iterator<T>): T => endless.next().value as T;
const control = fc.record({
  opcode: fc.constantFrom("ping" as const, "pong" as const),
  payload: fc.uint8Array({ maxLength: 125 }),
  mask,
});

/** A message as a client may send it: in any fragments, any control frames between them, any keys. */
const sent = fc
  .record({
    content: fc.oneof(
      fc.string({ unit: "binary", maxLength: 200, size: "max" }),
      fc.string({ unit: "binary-ascii", maxLength: 200, size: "max" }),
      fc.uint8Array({ maxLength: 400, size: "max" }),
    ),
    cuts: fc.array(fc.nat(400), { maxLength: 4 }),
    empties: fc.nat(2),
    masks: fc.infiniteStream(mask),
    controls: fc.infiniteStream(fc.option(control, { freq: 2 })),
  })
  .map(({ content, cuts, empties, masks, controls }) => {
    const payload = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const pieces: Uint8Array[] = [...cutAt(payload, cuts), ...Array<Uint8Array>(empties).fill(new Uint8Array(0))];
    if (pieces.length === 0) pieces.push(payload);
    const frames: Uint8Array[] = [];
    const expected: Seen[] = [];
    pieces.forEach((piece, i) => {
      const opcode = i > 0 ? OP.continuation : typeof content === "string" ? OP.text : OP.binary;
      frames.push(frame({ opcode, payload: piece, fin: i === pieces.length - 1, mask: next(masks) }));
      const between = i < pieces.length - 1 ? next(controls) : null;
      if (between === null) return;
      frames.push(frame({ opcode: OP[between.opcode], payload: between.payload, mask: between.mask }));
      expected.push(controlSeen(between.opcode, between.payload));
    });
    expected.push(typeof content === "string" ? textSeen(content) : binarySeen(content));
    return { wire: join(...frames), expected };
  });

const cuts = fc.array(fc.nat(), { maxLength: 20 });

/** Streams that are nearly right: random octets alone would hardly ever get past a header. */
const nearlyRight = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: sent.map(({ wire }) => wire) },
      {
        weight: 2,
        arbitrary: fc
          .record({
            opcode: fc.constantFrom(0, 1, 2, 8, 9, 10, 3, 11),
            payload: fc.uint8Array({ maxLength: 140, size: "max" }),
            fin: fc.boolean(),
            rsv: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(7) }),
            mask: fc.oneof({ weight: 8, arbitrary: mask }, { weight: 1, arbitrary: fc.constant(null) }),
          })
          .map(frame),
      },
      {
        weight: 1,
        arbitrary: fc
          .record({
            payload: fc.uint8Array({ min: 0x78, maxLength: 8 }),
            opcode: fc.constantFrom(0, 1),
            fin: fc.boolean(),
          })
          .map(frame),
      },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }) },
    ),
    { maxLength: 5 },
  )
  .map((parts) => join(...parts));

const limits = fc.record({
  maxFrameSize: fc.constantFrom(1, 50, 125, Number.POSITIVE_INFINITY),
  maxMessageSize: fc.constantFrom(1, 100, 200, 10_000_000),
  maxFragments: fc.constantFrom(1, 2, 3, 524_288),
  validateUtf8: fc.boolean(),
});

describe.each(allOctets)("FrameParser with $name", ({ octets }) => {
  it("reads what was written, however it is cut", () => {
    fc.assert(
      fc.property(fc.array(sent, { maxLength: 6 }), cuts, (messages, cuts) => {
        const wire = join(...messages.map((message) => message.wire));
        const expected = messages.flatMap((message) => message.expected);
        expect(parseAll([wire], { octets })).toEqual(expected);
        expect(parseAll(cutAt(wire, cuts), { octets })).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it("gives the same for any split of any octets as for the whole, errors and limits included", () => {
    fc.assert(
      fc.property(nearlyRight, cuts, limits, fc.integer({ min: 1, max: 9 }), (wire, cuts, limits, every) => {
        const run: Run = { octets, limits };
        const whole = parseAll([wire], run);
        expect(parseAll(cutAt(wire, cuts), run)).toEqual(whole);
        expect(parseAll(cutEvery(wire, every), run)).toEqual(whole);
      }),
      { numRuns: 500 },
    );
  });

  it("gives the same when it is stopped at every event and goes on later", () => {
    fc.assert(
      fc.property(fc.array(sent, { maxLength: 4 }), cuts, (messages, cuts) => {
        const wire = join(...messages.map((message) => message.wire));
        const { parser, recorder, seen } = makeParser({ octets });
        recorder.onEvent = () => {
          parser.stopped = true;
        };
        for (const chunk of cutAt(wire, cuts)) {
          parser.feed(chunk);
          parser.parse();
        }
        for (let before = -1; before < seen.length; ) {
          before = seen.length;
          parser.stopped = false;
          parser.parse();
        }
        expect(seen).toEqual(messages.flatMap((message) => message.expected));
      }),
    );
  });

  it("raises nothing but ProtocolErrors with the documented codes, whatever arrives", () => {
    fc.assert(
      fc.property(fc.oneof(nearlyRight, fc.uint8Array({ maxLength: 100 })), cuts, limits, (wire, cuts, limits) => {
        // Any other error escapes from parseAll, and fails this.
        for (const event of parseAll(cutAt(wire, cuts), { octets, limits })) {
          if (event[0] !== "error") continue;
          expect([1002, 1007, 1008, 1009]).toContain(event[1]);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("never reads past the limits: no message is larger than maxMessageSize", () => {
    fc.assert(
      fc.property(nearlyRight, fc.integer({ min: 1, max: 300 }), (wire, maxMessageSize) => {
        for (const event of parseAll([wire], { octets, limits: { maxMessageSize } })) {
          if (event[0] === "message") expect(event[2]).toBeLessThanOrEqual(maxMessageSize);
        }
      }),
    );
  });
});
