/** RFC 6455 §8.1, read strictly: a text is refused at the first octet that no further octets can make good. */
import { describe, expect, test } from "vitest";
import { frame, join, OP } from "../support/client-frames.ts";
import { allOctets, parseAll, refusedAfter, textSeen } from "./parsing.ts";

const HEADER = 6;

/** Octets, and how many of them it takes to know that they are no text. */
const invalid: [name: string, octets: number[], known: number][] = [
  ["a continuation octet by itself", [0x80], 1],
  ["a continuation octet after text", [0x61, 0x62, 0xbf], 3],
  ["0xc0", [0xc0, 0x80], 1],
  ["0xc1", [0xc1, 0xbf], 1],
  ["0xf5", [0xf5, 0x80, 0x80, 0x80], 1],
  ["0xff", [0xff], 1],
  ["a second octet that is ASCII", [0xc3, 0x28], 2],
  ["an overlong form of three octets", [0xe0, 0x9f, 0x80], 2],
  ["an overlong form of four octets", [0xf0, 0x8f, 0x80, 0x80], 2],
  ["a high surrogate", [0xed, 0xa0, 0x80], 2],
  ["a low surrogate", [0xed, 0xbf, 0xbf], 2],
  ["past U+10FFFF", [0xf4, 0x90, 0x80, 0x80], 2],
  ["a third octet that is none", [0xe2, 0x82, 0x41], 3],
  ["a fourth octet that is none", [0xf0, 0x9f, 0x98, 0xc3], 4],
  ["Autobahn 6.4: κόσμε and worse", [0xce, 0xba, 0xe1, 0xbd, 0xb9, 0xcf, 0x83, 0xf4, 0x90, 0x80, 0x80], 9],
];

const valid = ["é", "€", "😀", "\u0800", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{10ffff}", "\u0080", "\u07ff"];

describe.each(allOctets)("text in FrameParser with $name", ({ byteOps }) => {
  const run = { byteOps };

  // A whole short frame, long enough ones for the host's validator, and a position behind other characters.
  const prefixes = ["", "x", "é", "x".repeat(40), "€".repeat(40)];

  test.each(invalid)("%s: refused at that octet", (_name, bad, known) => {
    for (const prefix of prefixes) {
      const before = new TextEncoder().encode(prefix);
      const payload = join(before, Uint8Array.from(bad), new Uint8Array(3).fill(0x61));
      const bytes = frame({ opcode: OP.text, payload });
      const header = bytes.length - payload.length;
      expect(refusedAfter(bytes, run)).toEqual({ octets: header + before.length + known, code: 1007 });
      expect(parseAll([bytes], run)).toEqual([["error", 1007]]);
    }
  });

  test.each(invalid)("%s: refused at that octet when every octet is a frame", (_name, bad, known) => {
    const frames = bad.map((octet, i) =>
      frame({ opcode: i === 0 ? OP.text : OP.continuation, payload: Uint8Array.of(octet), fin: false }),
    );
    expect(refusedAfter(join(...frames), run)).toEqual({ octets: known * (HEADER + 1), code: 1007 });
  });

  test.each(invalid)("%s: refused in the fragment that has it, before its frame is whole", (_name, bad, known) => {
    const first = frame({ opcode: OP.text, payload: "x".repeat(50), fin: false });
    const second = frame({ opcode: OP.continuation, payload: join(Uint8Array.from(bad), new Uint8Array(200)) });
    const cut = second.slice(0, second.length - 200 - bad.length + known);
    expect(parseAll([first, cut], run)).toEqual([["error", 1007]]);
    expect(parseAll([first, cut.slice(0, -1)], run)).toEqual([]);
  });

  test.each(valid)("%j is text wherever it is split", (character) => {
    const payload = new TextEncoder().encode(`${character}x${character.repeat(20)}`);
    for (let cut = 0; cut <= payload.length; cut++) {
      const chunks = [
        frame({ opcode: OP.text, payload: payload.slice(0, cut), fin: false }),
        frame({ opcode: OP.continuation, payload: payload.slice(cut) }),
      ];
      expect(parseAll(chunks, run)).toEqual([textSeen(new TextDecoder().decode(payload))]);
    }
  });

  test("that ends within a character is refused when its last frame is there", () => {
    for (const character of valid) {
      const whole = new TextEncoder().encode(character);
      for (let length = 1; length < whole.length; length++) {
        const payload = whole.slice(0, length);
        const one = frame({ opcode: OP.text, payload });
        expect(refusedAfter(one, run)).toEqual({ octets: one.length, code: 1007 });
        expect(parseAll([one], run)).toEqual([["error", 1007]]);
        const two = join(frame({ opcode: OP.text, payload, fin: false }), frame({ opcode: OP.continuation }));
        expect(refusedAfter(two, run)).toEqual({ octets: two.length, code: 1007 });
      }
    }
  });

  test("may be split across frames with a ping between the octets of a character", () => {
    const bytes = join(
      frame({ opcode: OP.text, payload: Uint8Array.of(0xe2), fin: false }),
      frame({ opcode: OP.ping, payload: Uint8Array.of(0xff, 0xff) }),
      frame({ opcode: OP.continuation, payload: Uint8Array.of(0x82, 0xac) }),
    );
    expect(parseAll([bytes], run).at(-1)).toEqual(textSeen("€"));
  });

  test("is not what a binary message has to be", () => {
    const bytes = join(
      frame({ opcode: OP.binary, payload: Uint8Array.of(0xff), fin: false }),
      frame({ opcode: OP.continuation, payload: Uint8Array.of(0xc0) }),
    );
    expect(parseAll([bytes], run)).toEqual([["message", { opcode: "binary", data: Uint8Array.of(0xff, 0xc0) }, 2]]);
  });
});
