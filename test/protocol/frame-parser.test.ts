import { describe, expect, test } from "vitest";
import { frame, join, KEY, OP } from "../support/client-frames.ts";
import { allOctets, asText, binarySeen, controlSeen, makeParser, parseAll, type Seen, textSeen } from "./parsing.ts";

const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
const LENGTHS = [0, 1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 65, 95, 96, 97, 98, 99, 125, 126, 127, 65_535, 65_536, 65_537];

describe.each(allOctets)("FrameParser with $name", ({ byteOps }) => {
  const run = { byteOps };

  describe.each(LENGTHS)("a payload of %i octets", (length) => {
    test("is read as binary", () => {
      const payload = bytesOf(length);
      expect(asText(parseAll([frame({ opcode: OP.binary, payload })], run))).toEqual(asText([binarySeen(payload)]));
    });

    test("is read as ASCII text", () => {
      const text = "abcdefghijklmnopqrstuvwxyz~".repeat(2600).slice(0, length);
      expect(parseAll([frame({ opcode: OP.text, payload: text })], run)).toEqual([textSeen(text)]);
    });

    test("is read as other text, whatever it begins and ends with", () => {
      // 1, 2, 3 and 4 octets a character: every length can be made.
      const rest = ["", "x", "é", "€"][length % 4]!;
      const text = "😀".repeat(length >> 2) + rest;
      expect(parseAll([frame({ opcode: OP.text, payload: text })], run)).toEqual([textSeen(text)]);
    });

    test("is read in two chunks, cut in the header, behind it, and before the last octet", () => {
      const payload = bytesOf(length);
      const bytes = frame({ opcode: OP.binary, payload });
      for (const cut of [1, 2, bytes.length - length - 1, bytes.length - length, bytes.length - 1]) {
        const chunks = [bytes.slice(0, cut), bytes.slice(cut)];
        expect(asText(parseAll(chunks, run)), `cut at ${cut}`).toEqual(asText([binarySeen(payload)]));
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
      expect(parseAll([frame({ opcode: OP.binary, payload, mask })], run)).toEqual([binarySeen(payload)]);
      const text = "é".repeat(length);
      expect(parseAll([frame({ opcode: OP.text, payload: text, mask })], run)).toEqual([textSeen(text)]);
    }
  });

  test("keeps a byte order mark, and U+0000: they are text like any other", () => {
    for (const text of ["\ufeff", "\ufeffhello", "a\0b", "\ufeff".repeat(50)]) {
      expect(parseAll([frame({ opcode: OP.text, payload: text })], run)).toEqual([textSeen(text)]);
      expect(
        parseAll([frame({ opcode: OP.text, payload: text, fin: false }), frame({ opcode: OP.continuation })], run),
      ).toEqual([textSeen(text)]);
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
    const expected: Seen[] = [
      textSeen("one"),
      controlSeen("ping", "p"),
      binarySeen(bytesOf(300)),
      controlSeen("pong"),
      textSeen(""),
      ["close", { code: 1000, text: "bye" }],
    ];
    expect(parseAll([bytes], run)).toEqual(expected);
    expect(
      parseAll(
        Array.from(bytes, (octet) => Uint8Array.of(octet)),
        run,
      ),
    ).toEqual(expected);
  });

  describe("fragments", () => {
    test("are joined, and control frames between them come when they arrive", () => {
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
        controlSeen("ping", "1"),
        controlSeen("pong", "2"),
        controlSeen("ping", "3"),
        textSeen("abc"),
        textSeen("next"),
      ]);
    });

    test("may each have a key of their own, and split a character", () => {
      const [first, ...rest] = new TextEncoder().encode("😀");
      const bytes = join(
        frame({ opcode: OP.text, payload: Uint8Array.of(first!), fin: false, mask: [1, 2, 3, 4] }),
        ...rest.map((octet, i) =>
          frame({ opcode: OP.continuation, payload: Uint8Array.of(octet), fin: i === 2, mask: [i, 0xff, i, 0x80] }),
        ),
      );
      expect(parseAll([bytes], run)).toEqual([textSeen("😀")]);
    });

    test("may all be empty", () => {
      const bytes = join(
        frame({ opcode: OP.binary, fin: false }),
        frame({ opcode: OP.continuation, fin: false }),
        frame({ opcode: OP.continuation }),
      );
      expect(parseAll([bytes], run)).toEqual([binarySeen(new Uint8Array(0))]);
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
        textSeen("éé"),
        binarySeen(join(bytesOf(5), bytesOf(6))),
        textSeen("xy"),
      ]);
    });
  });

  describe("validateUtf8: false", () => {
    const lenient = { byteOps, limits: { validateUtf8: false } };
    const broken = Uint8Array.of(0x61, 0xff, 0x62);

    test("replaces what is not UTF-8", () => {
      expect(parseAll([frame({ opcode: OP.text, payload: broken })], lenient)).toEqual([
        ["message", { opcode: "text", data: "a\ufffdb" }, 3],
      ]);
    });

    test("replaces it in a fragmented message too, once it is whole", () => {
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

    test("set from within an event, holds back the rest of the chunk, and what is fed after it", () => {
      const { parser, recorder, seen } = makeParser(run);
      recorder.onEvent = () => {
        parser.stopped = true;
      };
      parser.feed(three.slice());
      parser.parse();
      expect(seen).toEqual([textSeen("one")]);
      parser.feed(frame({ opcode: OP.ping }));
      parser.parse();
      expect(seen).toEqual([textSeen("one")]);

      parser.stopped = false;
      parser.parse();
      expect(seen).toEqual([textSeen("one"), textSeen("two")]);
      recorder.onEvent = () => {};
      parser.stopped = false;
      parser.parse();
      expect(seen).toEqual([textSeen("one"), textSeen("two"), textSeen("three"), controlSeen("ping")]);
    });

    test("in the middle of a fragmented message, goes on where it was", () => {
      const { parser, recorder, seen } = makeParser(run);
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
      expect(seen).toEqual([controlSeen("ping")]);
      parser.feed(bytes.slice(-2));
      parser.stopped = false;
      parser.parse();
      expect(seen).toEqual([controlSeen("ping"), textSeen("é€")]);
    });

    test("before anything was fed, keeps all of it", () => {
      const { parser, seen } = makeParser(run);
      parser.stopped = true;
      for (const octet of three) {
        parser.feed(Uint8Array.of(octet));
        parser.parse();
      }
      expect(seen).toEqual([]);
      parser.stopped = false;
      parser.parse();
      expect(seen).toEqual([textSeen("one"), textSeen("two"), textSeen("three")]);
    });
  });
});
