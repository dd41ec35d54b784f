/** UTF-8 (RFC 3629) in text messages: the server accepts all of it and nothing else, and fails fast (RFC 6455 §8.1). */
import { each, echoes, fails, failsFast, failsFastInFrame, type Row, section, wireClass } from "../case.ts";
import { binary, encode, type Frame, fragments, last, more, parts, ping, TEXT, text } from "../frames.ts";
import { ascii, bytes, hex, mixed } from "../payloads.ts";

const utf8 = (...points: readonly number[]): Buffer => Buffer.from(String.fromCodePoint(...points));
const named = (point: number): string => `U+${point.toString(16).toUpperCase().padStart(4, "0")}`;

/** Code points where the length or the first byte changes, and some that are often mistaken for invalid ones. */
const POINTS = [
  0x00, 0x01, 0x7f, 0x80, 0x7ff, 0x800, 0xfff, 0x1000, 0xcfff, 0xd000, 0xd7ff, 0xe000, 0xfdd0, 0xfeff, 0xfffd, 0xfffe,
  0xffff, 0x10000, 0x1fffe, 0x3ffff, 0x40000, 0xfffff, 0x100000, 0x10fffe, 0x10ffff,
];

/**
 * Sequences whose last byte is the first invalid one: no following byte can make them UTF-8. Then the bytes that would
 * complete the character, for a server that accepts the sequence.
 */
const IMPOSSIBLE: readonly (readonly [title: string, digits: string, rest?: string])[] = [
  ["the lowest continuation byte", "80"],
  ["the highest continuation byte", "bf"],
  ["C0, which would be overlong", "c0", "80"],
  ["C1, which would be overlong", "c1", "bf"],
  ["F5, past U+10FFFF", "f5", "80 80 80"],
  ["F8, five bytes", "f8", "88 80 80 80"],
  ["FC, six bytes", "fc", "84 80 80 80 80"],
  ["FE", "fe"],
  ["FF", "ff"],
  ["two bytes, the second ASCII", "c2 41"],
  ["two bytes, the second 7F", "df 7f"],
  ["two bytes, the second a leading byte", "c2 c0"],
  ["three bytes, overlong, the lowest", "e0 80", "80"],
  ["three bytes, overlong, the highest", "e0 9f", "bf"],
  ["three bytes, the second ASCII", "e1 7f"],
  ["three bytes, the second a leading byte", "ef c0"],
  ["three bytes, the third ASCII", "e2 82 41"],
  ["three bytes, the third a leading byte", "e2 82 e2"],
  ["a high surrogate, U+D800", "ed a0", "80"],
  ["a low surrogate, U+DFFF", "ed bf", "bf"],
  ["four bytes, overlong, the lowest", "f0 80", "80 80"],
  ["four bytes, overlong, the highest", "f0 8f", "bf bf"],
  ["four bytes, the second ASCII", "f1 7f"],
  ["four bytes, the second a leading byte", "f3 c0"],
  ["four bytes, the third ASCII", "f0 9f 41"],
  ["four bytes, the third a leading byte", "f0 9f ff"],
  ["four bytes, the fourth ASCII", "f0 9f 98 41"],
  ["four bytes, the fourth a leading byte", "f0 9f 98 c2"],
  ["past U+10FFFF, the lowest", "f4 90", "80 80"],
  ["past U+10FFFF, the highest", "f4 bf", "bf bf"],
];

/** Incomplete characters: invalid only because the message ends there. */
const INCOMPLETE = [
  "c2",
  "df",
  "e0",
  "e0 a0",
  "e1",
  "ed 9f",
  "ef bf",
  "f0",
  "f0 90",
  "f0 9f 98",
  "f4",
  "f4 8f",
  "f4 8f bf",
];

const GREEK = Buffer.from("κόσμε");
const END = Buffer.from(" and on");

/** A case for each row of the table, made from the invalid bytes and the bytes after them. */
const impossible = (make: (title: string, bad: Buffer, rest: Buffer) => Row): Row[] =>
  IMPOSSIBLE.map(([title, digits, rest = ""]) =>
    make(`${title} (${digits})`, hex(digits), Buffer.concat([hex(rest), END])),
  );

/** The same with one text that contains the invalid bytes in the middle. */
const invalid = (make: (title: string, bytes: Buffer) => Row, before: Buffer = GREEK): Row[] =>
  impossible((title, bad, rest) => make(title, Buffer.concat([before, bad, rest])));

/** A frame that is split after the invalid byte. */
const cutFrame = (before: Buffer, bad: Buffer, rest: Buffer): [head: Buffer, tail: Buffer] => {
  const bytes = encode([text(Buffer.concat([before, bad, rest]))]);
  const cut = bytes.length - rest.length;
  return [bytes.subarray(0, cut), bytes.subarray(cut)];
};

/** Every code point of a plane, except surrogates. */
const plane = (number: number): Buffer => {
  const points = Array.from({ length: 0x10000 }, (_, i) => number * 0x10000 + i);
  return Buffer.from(
    points
      .filter((p) => p < 0xd800 || p > 0xdfff)
      .map((p) => String.fromCodePoint(p))
      .join(""),
  );
};

/** The range of second bytes that each first byte allows (RFC 3629 §4). */
const SECOND: readonly (readonly [firsts: readonly number[], lowest: number, highest: number])[] = [
  [[0xc2, 0xdf, 0xe1, 0xec, 0xee, 0xef, 0xf1, 0xf3], 0x80, 0xbf],
  [[0xe0], 0xa0, 0xbf],
  [[0xed], 0x80, 0x9f],
  [[0xf0], 0x90, 0xbf],
  [[0xf4], 0x80, 0x8f],
];

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);
/** Adds the continuation bytes that a server would wait for if it accepted the first bytes. */
const completed = (bytes: readonly number[]): Buffer => {
  const length = bytes[0]! < 0xc0 ? 1 : bytes[0]! < 0xe0 ? 2 : bytes[0]! < 0xf0 ? 3 : 4;
  return Buffer.from([...bytes, ...[0x80, 0x80, 0x80].slice(0, Math.max(0, length - bytes.length))]);
};

/** Each byte that may not follow this leading byte. */
const wrongSeconds = (first: number, lowest: number, highest: number): Buffer[] =>
  [...range(0, lowest - 1), ...range(highest + 1, 255)].map((second) => completed([first, second]));

const refused = (title: string, inputs: readonly Buffer[]): Row =>
  each(title, inputs, async (peer, input) => {
    await peer.send([text(input)]);
    await peer.fails([1007]);
  });

const valid = (make: (payload: Buffer) => Frame[], how: "whole" | "apart" | 1): Row[] => [
  ...POINTS.map((point) => echoes(named(point), make(utf8(point)), { how })),
  echoes("a word", make(GREEK), { how }),
  echoes("a byte order mark before a word", make(Buffer.concat([utf8(0xfeff), GREEK])), { how }),
  echoes("all of these", make(utf8(...POINTS)), { how }),
];

export const text8 = wireClass(6, "UTF-8", [
  section(
    "valid",
    valid((payload) => [text(payload)], "whole"),
  ),
  section(
    "valid, one byte per frame",
    valid((payload) => fragments(TEXT, parts(payload, 1)), "apart"),
  ),
  section(
    "valid, byte by byte",
    valid((payload) => [text(payload)], 1),
  ),
  section(
    "fail fast, fragments",
    impossible((title, bad, rest) => failsFast(title, 1007, [text(GREEK, { fin: false }), more(bad)], [last(rest)])),
  ),
  section(
    "fail fast, within a frame",
    impossible((title, bad, rest) => failsFastInFrame(title, 1007, ...cutFrame(GREEK, bad, rest))),
  ),
  section(
    "fail fast, within a frame, after 1 000 bytes of ASCII",
    impossible((title, bad, rest) => failsFastInFrame(title, 1007, ...cutFrame(ascii(1_000), bad, rest))),
  ),
  section(
    "invalid, in one frame",
    invalid((title, bytes) => fails(title, 1007, [text(bytes)])),
  ),
  section(
    "invalid, one byte per frame",
    invalid((title, bytes) => fails(title, 1007, fragments(TEXT, parts(bytes, 1)), { how: "apart" })),
  ),
  section(
    "invalid, byte by byte",
    invalid((title, bytes) => fails(title, 1007, [text(bytes)], { how: 1 })),
  ),
  section(
    "invalid, after 1 000 bytes of ASCII",
    invalid((title, bytes) => fails(title, 1007, [text(bytes)]), ascii(1_000)),
  ),
  section(
    "invalid, after 1 000 bytes of multi-byte characters",
    invalid((title, bytes) => fails(title, 1007, [text(bytes)]), mixed(1_000)),
  ),
  section(
    "ends within a character",
    INCOMPLETE.flatMap((digits) => [
      fails(`${digits}`, 1007, [text(Buffer.concat([GREEK, hex(digits)]))]),
      fails(`${digits} alone`, 1007, [text(hex(digits))]),
      fails(`${digits}, in fragments, then another message`, 1007, [
        ...fragments(TEXT, [GREEK, hex(digits), ""]),
        text(hex("80 80")),
      ]),
    ]),
  ),
  section("every code point", [
    ...range(0, 16).map((number) => echoes(`plane ${number}, in one frame`, () => [text(plane(number))])),
    echoes("plane 0, in fragments of 61 bytes", () => fragments(TEXT, parts(plane(0), 61))),
    echoes("plane 1, in fragments of 64 and chunks of 1 021 bytes", () => fragments(TEXT, parts(plane(1), 64)), {
      how: 1_021,
    }),
    echoes("plane 16, in one frame, in chunks of 1 021 bytes", () => [text(plane(16))], { how: 1_021 }),
  ]),
  section("exhaustive", [
    refused(
      "invalid leading bytes",
      [...range(0x80, 0xc1), ...range(0xf5, 0xff)].map((first) => completed([first])),
    ),
    ...SECOND.flatMap(([firsts, lowest, highest]) =>
      firsts.map((first) =>
        refused(`invalid second bytes after ${first.toString(16).toUpperCase()}`, wrongSeconds(first, lowest, highest)),
      ),
    ),
  ]),
  section("only text is UTF-8", [
    echoes("binary that is not", [binary(bytes(1_000)), binary(hex("ff fe 80 c0"))]),
    echoes("binary that is not, in fragments", fragments(2, [hex("ff"), hex("fe c0"), hex("80")])),
    echoes("a ping that is not, within a character", [
      text(hex("ce"), { fin: false }),
      ping(hex("ff fe")),
      last(hex("ba")),
    ]),
    echoes("a ping within each gap of a character", [
      text(hex("f0"), { fin: false }),
      ping(),
      ...["9f", "98"].flatMap((one) => [more(hex(one)), ping(hex("80"))]),
      last(hex("80")),
    ]),
    echoes("a valid text after a binary that is not", [binary(hex("f0 9f")), text(GREEK)]),
  ]),
]);
