import { describe, expect, test } from "vitest";
import { frame, join, KEY, OP } from "../support/client-frames.ts";
import {
  allByteOps,
  asText,
  binaryEvent,
  controlEvent,
  makeParser,
  type ParserEvent,
  parseAll,
  textEvent,
} from "./parsing.ts";

const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
const LENGTHS = [0, 1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 65, 95, 96, 97, 98, 99, 125, 126, 127, 65_535, 65_536, 65_537];

describe.each(allByteOps)("FrameParser with $name", ({ byteOps }) => {
  const run = { byteOps };

  describe.each(LENGTHS)("a payload of %i bytes", (length) => {
    test("is read as binary", () => {
      const payload = bytesOf(length);
      expect(asText(parseAll([frame({ opcode: OP.binary, payload })], run))).toEqual(asText([binaryEvent(payload)]));
    });

    test("is read as ASCII text", () => {
      const text = "abcdefghijklmnopqrstuvwxyz~".repeat(2600).slice(0, length);
      expect(parseAll([frame({ opcode: OP.text, payload: text })], run)).toEqual([textEvent(text)]);
    });

    test("is read as non-ASCII text, whatever it begins and ends with", () => {
      // Characters of 1, 2, 3 and 4 bytes, so that every length is possible.
      const rest = ["", "x", "é", "€"][length % 4]!;
      const text = "😀".repeat(length >> 2) + rest;
      expect(parseAll([frame({ opcode: OP.text, payload: text })], run)).toEqual([textEvent(text)]);
    });

    test("is read in two chunks, split within the header, behind it, and before the last byte", () => {
      const payload = bytesOf(length);
      const bytes = frame({ opcode: OP.binary, payload });
      for (const cut of [1, 2, bytes.length - length - 1, bytes.length - length, bytes.length - 1]) {
        const chunks = [bytes.slice(0, cut), bytes.slice(cut)];
        expect(asText(parseAll(chunks, run)), `cut at ${cut}`).toEqual(asText([binaryEvent(payload)]));
      }
    });
  });

  test.each<[mask: readonly [number, number, number, number]]>([
    [[0, 0, 0, 0]],
    [[0xff, 0xff, 0xff, 0xff]],
    [[0x80, 0, 0, 0]],
    [[0, 0, 0, 0x80]],
    [[1, 2, 3, 4]],
    [KEY],
  ])("unmasks with the key %o", (mask) => {
    for (const length of [3, 100, 1000]) {
      const payload = bytesOf(length);
      expect(parseAll([frame({ opcode: OP.binary, payload, mask })], run)).toEqual([binaryEvent(payload)]);
      const text = "é".repeat(length);
      expect(parseAll([frame({ opcode: OP.text, payload: text, mask })], run)).toEqual([textEvent(text)]);
    }
  });

  test("keeps a byte order mark and U+0000", () => {
    for (const text of ["\ufeff", "\ufeffhello", "a\0b", "\ufeff".repeat(50)]) {
      expect(parseAll([frame({ opcode: OP.text, payload: text })], run)).toEqual([textEvent(text)]);
      expect(
        parseAll([frame({ opcode: OP.text, payload: text, fin: false }), frame({ opcode: OP.continuation })], run),
      ).toEqual([textEvent(text)]);
    }
  });

  test("reads every frame of a chunk, in order", () => {
    const bytes = join(
      frame({ opcode: OP.text, payload: "one" }),
      frame({ opcode: OP.ping, payload: "p" }),
      frame({ opcode: OP.binary, payload: bytesOf(300) }),
      frame({ opcode: OP.pong }),
      frame({ opcode: OP.text }),
      frame({ opcode: OP.close, payload: Uint8Array.of(0x03, 0xe8, 0x62, 0x79, 0x65) }),
    );
    const expected: ParserEvent[] = [
      textEvent("one"),
      controlEvent("ping", "p"),
      binaryEvent(bytesOf(300)),
      controlEvent("pong"),
      textEvent(""),
      ["close", { code: 1000, text: "bye" }],
    ];
    expect(parseAll([bytes], run)).toEqual(expected);
    expect(
      parseAll(
        Array.from(bytes, (byte) => Uint8Array.of(byte)),
        run,
      ),
    ).toEqual(expected);
  });

  describe("fragments", () => {
    test("are joined, and control frames between them are reported when they arrive", () => {
      const bytes = join(
        frame({ opcode: OP.text, payload: "a", fin: false }),
        frame({ opcode: OP.ping, payload: "1" }),
        frame({ opcode: OP.continuation, payload: "b", fin: false }),
        frame({ opcode: OP.pong, payload: "2" }),
        frame({ opcode: OP.continuation, payload: "", fin: false }),
        frame({ opcode: OP.ping, payload: "3" }),
        frame({ opcode: OP.continuation, payload: "c" }),
        frame({ opcode: OP.text, payload: "next" }),
      );
      expect(parseAll([bytes], run)).toEqual([
        controlEvent("ping", "1"),
        controlEvent("pong", "2"),
        controlEvent("ping", "3"),
        textEvent("abc"),
        textEvent("next"),
      ]);
    });

    test("may each have a key of their own, and may split a character", () => {
      const [first, ...rest] = new TextEncoder().encode("😀");
      const bytes = join(
        frame({ opcode: OP.text, payload: Uint8Array.of(first!), fin: false, mask: [1, 2, 3, 4] }),
        ...rest.map((byte, i) =>
          frame({ opcode: OP.continuation, payload: Uint8Array.of(byte), fin: i === 2, mask: [i, 0xff, i, 0x80] }),
        ),
      );
      expect(parseAll([bytes], run)).toEqual([textEvent("😀")]);
    });

    test("may all be empty", () => {
      const bytes = join(
        frame({ opcode: OP.binary, fin: false }),
        frame({ opcode: OP.continuation, fin: false }),
        frame({ opcode: OP.continuation }),
      );
      expect(parseAll([bytes], run)).toEqual([binaryEvent(new Uint8Array(0))]);
    });

    test("of two messages one after the other do not mix", () => {
      const bytes = join(
        frame({ opcode: OP.text, payload: "é", fin: false }),
        frame({ opcode: OP.continuation, payload: "é" }),
        frame({ opcode: OP.binary, payload: bytesOf(5), fin: false }),
        frame({ opcode: OP.continuation, payload: bytesOf(6) }),
        frame({ opcode: OP.text, payload: "x", fin: false }),
        frame({ opcode: OP.continuation, payload: "y" }),
      );
      expect(parseAll([bytes], run)).toEqual([
        textEvent("éé"),
        binaryEvent(join(bytesOf(5), bytesOf(6))),
        textEvent("xy"),
      ]);
    });
  });

  describe("validateUtf8: false", () => {
    const lenient = { byteOps, limits: { validateUtf8: false } };
    const broken = Uint8Array.of(0x61, 0xff, 0x62);

    test("replaces invalid UTF-8", () => {
      expect(parseAll([frame({ opcode: OP.text, payload: broken })], lenient)).toEqual([
        ["message", { opcode: "text", data: "a\ufffdb" }, 3],
      ]);
    });

    test("replaces it also in a fragmented message", () => {
      const chunks = [
        frame({ opcode: OP.text, payload: Uint8Array.of(0xe2, 0x82), fin: false }),
        frame({ opcode: OP.continuation, payload: Uint8Array.of(0xac, 0xc3) }),
      ];
      expect(parseAll(chunks, lenient)).toEqual([["message", { opcode: "text", data: "€\ufffd" }, 4]]);
    });

    test("still refuses a close text that is not UTF-8", () => {
      const payload = Uint8Array.of(0x03, 0xe8, 0xff);
      expect(parseAll([frame({ opcode: OP.close, payload })], lenient)).toEqual([["error", 1007]]);
    });
  });

  describe("stopped", () => {
    const three = join(...["one", "two", "three"].map((payload) => frame({ opcode: OP.text, payload })));

    test("set from within an event, holds back the rest of the chunk and later chunks", () => {
      const { parser, recorder, events } = makeParser(run);
      recorder.onEvent = () => {
        parser.stopped = true;
      };
      parser.feed(three.slice());
      parser.parse();
      expect(events).toEqual([textEvent("one")]);
      parser.feed(frame({ opcode: OP.ping }));
      parser.parse();
      expect(events).toEqual([textEvent("one")]);

      parser.stopped = false;
      parser.parse();
      expect(events).toEqual([textEvent("one"), textEvent("two")]);
      recorder.onEvent = () => {};
      parser.stopped = false;
      parser.parse();
      expect(events).toEqual([textEvent("one"), textEvent("two"), textEvent("three"), controlEvent("ping")]);
    });

    test("set within a fragmented message, parsing later continues there", () => {
      const { parser, recorder, events } = makeParser(run);
      recorder.onEvent = () => {
        parser.stopped = true;
      };
      const bytes = join(
        frame({ opcode: OP.text, payload: "é", fin: false }),
        frame({ opcode: OP.ping }),
        frame({ opcode: OP.continuation, payload: "€" }),
      );
      parser.feed(bytes.slice(0, -2));
      parser.parse();
      expect(events).toEqual([controlEvent("ping")]);
      parser.feed(bytes.slice(-2));
      parser.stopped = false;
      parser.parse();
      expect(events).toEqual([controlEvent("ping"), textEvent("é€")]);
    });

    test("set before the first chunk, keeps the whole chunk", () => {
      const { parser, events } = makeParser(run);
      parser.stopped = true;
      for (const byte of three) {
        parser.feed(Uint8Array.of(byte));
        parser.parse();
      }
      expect(events).toEqual([]);
      parser.stopped = false;
      parser.parse();
      expect(events).toEqual([textEvent("one"), textEvent("two"), textEvent("three")]);
    });
  });
});
