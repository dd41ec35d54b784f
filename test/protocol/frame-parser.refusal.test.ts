/** What the parser refuses, with which close code, and how early. */
import { describe, expect, test } from "vitest";
import { ProtocolError } from "../../src/errors.ts";
import { type Frame, frame, join, OP } from "../support/client-frames.ts";
import { allOctets, asText, binarySeen, makeParser, parseAll, refusedAfter, textSeen } from "./parsing.ts";

const start: Frame = { opcode: OP.text, payload: "a", fin: false };
const closePayload = (code: number, text: Uint8Array | string = ""): Uint8Array =>
  join(Uint8Array.of(code >> 8, code & 0xff), typeof text === "string" ? new TextEncoder().encode(text) : text);

/** Frames, the close code they earn, and after how many octets of the last frame that is known. */
const refusals: [name: string, frames: Frame[], code: number, header: number][] = [
  ["an unmasked text", [{ opcode: OP.text, payload: "hello", mask: null }], 1002, 2],
  ["an unmasked ping", [{ opcode: OP.ping, mask: null }], 1002, 2],
  ["an unmasked close", [{ opcode: OP.close, mask: null }], 1002, 2],
  ...[1, 2, 4, 7].flatMap((rsv): [string, Frame[], number, number][] => [
    [`reserved bits ${rsv} on a text`, [{ opcode: OP.text, payload: "x", rsv }], 1002, 2],
    [`reserved bits ${rsv} on a continuation`, [start, { opcode: OP.continuation, rsv }], 1002, 2],
    [`reserved bits ${rsv} on a ping`, [{ opcode: OP.ping, rsv }], 1002, 2],
  ]),
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].flatMap((opcode): [string, Frame[], number, number][] => [
    [`opcode ${opcode}`, [{ opcode, payload: "x" }], 1002, 2],
    [`opcode ${opcode} within a message`, [start, { opcode }], 1002, 2],
  ]),
  ["a 16-bit length of 125", [{ opcode: OP.binary, payload: new Uint8Array(125), lengthForm: 16 }], 1002, 4],
  ["a 16-bit length of 0", [{ opcode: OP.text, lengthForm: 16 }], 1002, 4],
  ["a 64-bit length of 125", [{ opcode: OP.binary, payload: new Uint8Array(125), lengthForm: 64 }], 1002, 10],
  ["a 64-bit length of 65 535", [{ opcode: OP.binary, claims: 65_535, lengthForm: 64 }], 1002, 10],
  ["a 64-bit length with its top bit", [{ opcode: OP.binary, claims: 2n ** 63n }], 1002, 10],
  ["a 64-bit length, all ones", [{ opcode: OP.text, claims: 2n ** 64n - 1n }], 1002, 10],
  ["a fragmented ping", [{ opcode: OP.ping, fin: false }], 1002, 2],
  ["a fragmented pong", [{ opcode: OP.pong, fin: false }], 1002, 2],
  ["a fragmented close", [{ opcode: OP.close, fin: false }], 1002, 2],
  ["a ping of 126 octets", [{ opcode: OP.ping, payload: new Uint8Array(126) }], 1002, 2],
  ["a pong with a 64-bit length", [{ opcode: OP.pong, payload: new Uint8Array(65_536) }], 1002, 2],
  ["a close of 126 octets", [{ opcode: OP.close, payload: closePayload(1000, "x".repeat(124)) }], 1002, 2],
  ["a continuation of nothing", [{ opcode: OP.continuation, payload: "x" }], 1002, 2],
  ["a continuation of nothing, not final", [{ opcode: OP.continuation, payload: "x", fin: false }], 1002, 2],
  ["a continuation after a whole message", [{ opcode: OP.text }, { opcode: OP.continuation }], 1002, 2],
  [
    "a continuation after the last fragment",
    [start, { opcode: OP.continuation }, { opcode: OP.continuation }],
    1002,
    2,
  ],
  ["a text within a text", [start, { opcode: OP.text, payload: "b" }], 1002, 2],
  ["a binary within a text", [start, { opcode: OP.binary, payload: "b" }], 1002, 2],
  [
    "a text within a binary",
    [
      { opcode: OP.binary, fin: false },
      { opcode: OP.text, fin: false },
    ],
    1002,
    2,
  ],
  ["a close payload of one octet", [{ opcode: OP.close, payload: Uint8Array.of(3) }], 1002, 7],
];

describe.each(allOctets)("FrameParser with $name refuses", ({ byteOps }) => {
  const run = { byteOps };

  test.each(refusals)("%s", (_name, frames, code, header) => {
    const bytes = frames.map(frame);
    const last = bytes.pop()!;
    const before = join(...bytes);
    // As a whole, octet by octet, and no later than the header tells.
    expect(parseAll([join(before, last)], run).at(-1)).toEqual(["error", code]);
    expect(refusedAfter(join(before, last), run)).toEqual({ octets: before.length + header, code });
  });

  test.each([0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])("close code %i", (code) => {
    for (const text of ["", "why"]) {
      const bytes = frame({ opcode: OP.close, payload: closePayload(code, text) });
      expect(parseAll([bytes], run)).toEqual([["error", 1002]]);
    }
  });

  test.each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])(
    "but not close code %i",
    (code) => {
      const bytes = frame({ opcode: OP.close, payload: closePayload(code, "gründe") });
      expect(parseAll([bytes], run)).toEqual([["close", { code, text: "gründe" }]]);
    },
  );

  test("but not an empty close, nor one of 125 octets", () => {
    expect(parseAll([frame({ opcode: OP.close })], run)).toEqual([["close", { code: undefined, text: "" }]]);
    const text = "€".repeat(41);
    const bytes = frame({ opcode: OP.close, payload: closePayload(4000, text) });
    expect(parseAll([bytes], run)).toEqual([["close", { code: 4000, text }]]);
  });

  test.each([
    ["a stray octet", [0x80]],
    ["an overlong form", [0xc0, 0xaf]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["a character that is cut off", [0x61, 0xe2, 0x82]],
  ])("a close text with %s", (_name, text) => {
    const bytes = frame({ opcode: OP.close, payload: closePayload(1000, Uint8Array.from(text)) });
    expect(parseAll([bytes], run)).toEqual([["error", 1007]]);
    expect(refusedAfter(bytes, run)).toEqual({ octets: bytes.length, code: 1007 });
  });

  test("gives what came before it", () => {
    const bytes = join(frame({ opcode: OP.text, payload: "fine" }), frame({ opcode: 3 }));
    expect(parseAll([bytes], run)).toEqual([textSeen("fine"), ["error", 1002]]);
  });

  test("with an error that says why, and never quotes the payload", () => {
    const { parser } = makeParser(run);
    parser.feed(frame({ opcode: OP.text, payload: "secret", rsv: 4 }));
    const refusal = (): void => parser.parse();
    expect(refusal).toThrow(ProtocolError);
    expect(refusal).toThrow(/reserved bit/);
    expect(refusal).not.toThrow(/secret/);
  });
});

describe.each(allOctets)("limits of FrameParser with $name", ({ byteOps }) => {
  test.each([1, 125, 126, 65_535, 65_536, 1_000_000])(
    "maxFrameSize %i: judged from the header alone",
    (maxFrameSize) => {
      const run = { byteOps, limits: { maxFrameSize } };
      const larger = frame({ opcode: OP.binary, claims: maxFrameSize + 1 }).subarray(0, -4);
      expect(refusedAfter(larger, run)).toEqual({ octets: larger.length, code: 1009 });
      const payload = new Uint8Array(maxFrameSize);
      expect(asText(parseAll([frame({ opcode: OP.binary, payload })], run))).toEqual(asText([binarySeen(payload)]));
    },
  );

  test("maxFrameSize is for each frame, not for the message", () => {
    const run = { byteOps, limits: { maxFrameSize: 3 } };
    const chunks = [
      frame({ opcode: OP.text, payload: "abc", fin: false }),
      frame({ opcode: OP.continuation, payload: "def" }),
    ];
    expect(parseAll(chunks, run)).toEqual([textSeen("abcdef")]);
    const long = frame({ opcode: OP.continuation, payload: "defg" });
    expect(parseAll([chunks[0]!, long], run)).toEqual([["error", 1009]]);
  });

  test.each([1, 125, 126, 65_536, 10_000_000])("maxMessageSize %i: judged from the header alone", (maxMessageSize) => {
    const run = { byteOps, limits: { maxMessageSize } };
    const larger = frame({ opcode: OP.text, claims: maxMessageSize + 1 }).subarray(0, -4);
    expect(refusedAfter(larger, run)).toEqual({ octets: larger.length, code: 1009 });
  });

  test("a claim of 2^63 - 1 octets is refused, or waited for without setting memory aside", () => {
    const claim = frame({ opcode: OP.binary, claims: 2n ** 63n - 1n });
    expect(parseAll([claim], { byteOps, limits: { maxMessageSize: 10_000_000 } })).toEqual([["error", 1009]]);
    expect(parseAll([claim, new Uint8Array(10)], { byteOps })).toEqual([]);
  });

  test("maxMessageSize adds up over fragments, and is judged from the header of the one that exceeds it", () => {
    const run = { byteOps, limits: { maxMessageSize: 10 } };
    const first = frame({ opcode: OP.text, payload: "123456", fin: false });
    const ping = frame({ opcode: OP.ping, payload: "x".repeat(100) });
    const fits = frame({ opcode: OP.continuation, payload: "7890" });
    expect(parseAll([first, ping, fits, first, fits], run).filter(([kind]) => kind !== "control")).toEqual([
      textSeen("1234567890"),
      textSeen("1234567890"),
    ]);
    const exceeds = join(first, ping, frame({ opcode: OP.continuation, payload: "7890!" }));
    expect(refusedAfter(exceeds, run)).toEqual({ octets: first.length + ping.length + 2, code: 1009 });
  });

  test("limits do not count control frames", () => {
    const run = { byteOps, limits: { maxFrameSize: 1, maxMessageSize: 1, maxFragments: 1 } };
    const bytes = join(frame({ opcode: OP.ping, payload: "x".repeat(125) }), frame({ opcode: OP.text, payload: "x" }));
    expect(parseAll([bytes], run).map(([kind]) => kind)).toEqual(["control", "message"]);
  });

  test.each([1, 2, 3, 100])(
    "maxFragments %i: so many frames are a message, one more is refused, empty or not",
    (maxFragments) => {
      const run = { byteOps, limits: { maxFragments } };
      for (const payload of ["", "x"]) {
        const frames = (count: number): Uint8Array =>
          join(
            ...Array.from({ length: count }, (_, i) =>
              frame({ opcode: i === 0 ? OP.text : OP.continuation, payload, fin: i === count - 1 }),
            ),
          );
        const whole = frames(maxFragments);
        expect(parseAll([whole, whole], run)).toEqual(Array(2).fill(textSeen(payload.repeat(maxFragments))));
        const more = frames(maxFragments + 1);
        const { octets: refusedAt, code } = refusedAfter(more, run)!;
        expect(code).toBe(1008);
        // Known with the header of the one too many.
        expect(refusedAt).toBe(more.length - payload.length);
      }
    },
  );

  test("a text that no string can hold is too big", () => {
    const tooLong = (): never => {
      throw new Error("Cannot create a string longer than 0x1fffffe8 characters");
    };
    const run = { byteOps: { ...byteOps, decodeAscii: tooLong, decodeUtf8: tooLong } };
    const first = { opcode: OP.text, payload: "hello", fin: false };
    const last = { opcode: OP.continuation, payload: "hello" };
    for (const frames of [[{ ...first, fin: true }], [{ ...first, fin: true, payload: "é" }], [first, last]]) {
      expect(parseAll([join(...frames.map(frame))], run)).toEqual([["error", 1009]]);
    }
  });
});
