/** Compressed messages (RFC 7692 §7.2), in every form that a sender may choose. */
import { constants } from "node:zlib";
import { type Conditions, echoes, type Row, section, wireClass } from "../case.ts";
import { BINARY, binary, fragments, last, more, ping, TEXT, text } from "../frames.ts";
import type { Answer } from "../owed.ts";
import { bytes, hex, json, mixed, noise } from "../payloads.ts";
import { compressed, type Sent } from "../sent.ts";

const OFFER = "permessage-deflate";
const NONE = `${OFFER}; server_no_context_takeover; client_no_context_takeover`;
const KiB = 1_024;

/** Offers. */
const PARAMETERS = [
  "",
  "; client_max_window_bits",
  "; server_no_context_takeover",
  "; client_no_context_takeover",
  "; server_no_context_takeover; client_no_context_takeover",
  "; server_max_window_bits=8",
  "; server_max_window_bits=9",
  "; server_max_window_bits=12; server_no_context_takeover",
  "; client_max_window_bits=8",
  "; client_max_window_bits=9; client_no_context_takeover",
  "; server_max_window_bits=9; client_max_window_bits=9",
  "; server_max_window_bits=15; client_max_window_bits=15; server_no_context_takeover; client_no_context_takeover",
];

const SIZES = [0, 1, 16, 64, 125, 126, 256, KiB, 4 * KiB, 8 * KiB, 32 * KiB, 65_535, 65_536, 128 * KiB];

/** Messages that compress well, badly, and with references to each other, as text and as binary. */
const messages = (size: number): Sent[] => [
  compressed(TEXT, json(size)),
  compressed(BINARY, noise(size)),
  compressed(TEXT, json(size)),
  compressed(BINARY, noise(size)),
  compressed(TEXT, mixed(size), { level: 1 }),
  compressed(BINARY, Buffer.alloc(size)),
  compressed(TEXT, json(size), { level: 9 }),
];

const sizesWith = (params: string): Row[] =>
  section(
    `${OFFER}${params}`,
    SIZES.map((size) => echoes(`messages of ${size} bytes`, () => messages(size), { offer: OFFER + params })),
  );

const FRAGMENT_SIZES = [1, 2, 7, 64, 1_000];

const compressedIn = (fragmentSize: number): Sent[] => [
  compressed(TEXT, json(2_000), { fragmentSize }),
  compressed(BINARY, noise(500), { fragmentSize }),
  compressed(TEXT, "", { fragmentSize }),
  compressed(TEXT, mixed(300), { fragmentSize }),
];

/** Data that is already compressed: in one frame, or in the fragments of a message. */
const raw = (title: string, digits: string | readonly string[], expected: string, offer = NONE): Row =>
  echoes(title, fragments(TEXT, [digits].flat().map(hex), { rsv: 4 }), {
    offer,
    expected: [{ kind: "text", payload: Buffer.from(expected) }],
  });

const HELLO = "f2 48 cd c9 c9 07 00";

const twice = (title: string, payloads: readonly [string, string], expected: string, conditions: Conditions): Row => {
  const answer: Answer = { kind: "text", payload: Buffer.from(expected) };
  return echoes(
    title,
    payloads.map((one) => text(hex(one), { rsv: 4 })),
    { ...conditions, expected: [answer, answer] },
  );
};

const many = (count: number, size: number): Sent[] =>
  Array.from({ length: count }, (_, i) => compressed(TEXT, json(size + i)));

const byTurns = (): Sent[] =>
  Array.from({ length: 60 }, (_, i) => compressed(i % 2 ? BINARY : TEXT, json(i % 3 ? 50 + i : 150_000 + i)));

export const deflateMessages = wireClass(13, "permessage-deflate: messages", [
  ...PARAMETERS.map(sizesWith),
  section("many messages", [
    echoes("1 000 of 100 bytes, with takeover", () => many(1_000, 100), { offer: OFFER }),
    echoes("1 000 of 100 bytes, without", () => many(1_000, 100), { offer: NONE }),
    echoes("100 of 10 000 bytes, with takeover, in chunks of 1 300 bytes", () => many(100, 10_000), {
      offer: OFFER,
      how: 1_300,
    }),
    echoes("100 of 10 000 bytes, without, in chunks of 1 300 bytes", () => many(100, 10_000), {
      offer: NONE,
      how: 1_300,
    }),
    echoes("small and large ones alternating, in order", byTurns, { offer: NONE }),
    echoes("small and large ones alternating, in order, with takeover", byTurns, { offer: OFFER }),
    echoes(
      "pings between large ones",
      () => Array.from({ length: 10 }, (_, i) => [compressed(TEXT, json(200_000 + i)), ping(`${i}`)]).flat(),
      { offer: NONE },
    ),
    echoes("byte by byte", messages(125), { offer: OFFER, how: 1 }),
    echoes("1 MiB", () => [compressed(TEXT, json(KiB * KiB)), compressed(BINARY, noise(KiB * KiB))], { offer: NONE }),
    echoes("16 MiB of zeros", () => [compressed(BINARY, Buffer.alloc(16 * KiB * KiB))], { offer: NONE }),
  ]),
  section("fragments", [
    ...FRAGMENT_SIZES.map((size) => echoes(`of ${size} bytes`, compressedIn(size), { offer: OFFER })),
    ...FRAGMENT_SIZES.map((size) =>
      echoes(`of ${size} bytes, one per chunk, without takeover`, compressedIn(size), { offer: NONE, how: "apart" }),
    ),
    raw("the first is empty", ["", HELLO], "Hello"),
    raw("the last is empty", [HELLO, ""], "Hello"),
    raw("all but one are empty", ["", "", HELLO, "", ""], "Hello"),
    raw("an empty message in fragments", ["", "00", ""], ""),
    echoes("a ping within", [text(hex("f2 48 cd"), { rsv: 4, fin: false }), ping("within"), last(hex("c9 c9 07 00"))], {
      offer: NONE,
      expected: [
        { kind: "pong", payload: Buffer.from("within") },
        { kind: "text", payload: Buffer.from("Hello") },
      ],
    }),
  ]),
  section("without compression", [
    echoes("a message", [text(json(1_000)), binary(bytes(1_000)), text()], { offer: OFFER }),
    echoes("in fragments", fragments(TEXT, [json(300), json(300), ""]), { offer: OFFER }),
    echoes(
      "alternating with compressed ones, with takeover",
      Array.from({ length: 20 }, (_, i) => (i % 2 ? text(json(500 + i)) : compressed(TEXT, json(500 + i)))),
      { offer: OFFER },
    ),
    echoes(
      "fragmented, alternating with compressed fragments",
      [
        ...fragments(TEXT, ["a", "b"]),
        compressed(TEXT, json(300), { fragmentSize: 10 }),
        text("c", { fin: false }),
        more("d"),
        last("e"),
      ],
      { offer: OFFER },
    ),
  ]),
  section("what deflate allows (RFC 7692 §7.2.3)", [
    raw("the example: one block, fixed codes", HELLO, "Hello"),
    raw("the example: in two fragments", ["f2 48 cd", "c9 c9 07 00"], "Hello"),
    twice("the example: takeover of the context", [HELLO, "f2 00 11 00 00"], "Hello", { offer: OFFER, takeover: true }),
    raw("the example: a stored block", "00 05 00 fa ff 48 65 6c 6c 6f 00", "Hello"),
    raw("the example: a final block (BFINAL)", "f3 48 cd c9 c9 07 00 00", "Hello"),
    raw("the example: two blocks", "f2 48 05 00 00 00 ff ff ca c9 c9 07 00", "Hello"),
    raw("an empty message, stored", "00", ""),
    raw("an empty message, fixed codes", "02 00", ""),
    raw("an empty message, a final block", "03 00 00", ""),
    raw(
      "many empty blocks before and after",
      `${"00 00 00 ff ff ".repeat(20)}${HELLO.slice(0, -2)}${"00 00 00 ff ff ".repeat(20)}00`,
      "Hello",
    ),
    raw("a final block, followed by another block", "01 03 00 fc ff 48 65 6c 00 02 00 fd ff 6c 6f 00", "Hello"),
    raw("two final blocks", "01 03 00 fc ff 48 65 6c 01 02 00 fd ff 6c 6f 00", "Hello"),
    twice("a final block in each of two messages", ["f3 48 cd c9 c9 07 00 00", "f3 48 cd c9 c9 07 00 00"], "Hello", {
      offer: NONE,
    }),
    twice("a final block, then takeover of its context", ["f3 48 cd c9 c9 07 00 00", "f2 00 11 00 00"], "Hello", {
      offer: OFFER,
      takeover: true,
    }),
    echoes(
      "stored blocks only",
      [compressed(TEXT, json(100_000), { level: 0 }), compressed(BINARY, noise(70_000), { level: 0 })],
      { offer: OFFER },
    ),
    echoes("fixed codes only", [compressed(TEXT, json(20_000), { strategy: constants.Z_FIXED })], { offer: OFFER }),
    echoes("Huffman codes only", [compressed(TEXT, json(20_000), { strategy: constants.Z_HUFFMAN_ONLY })], {
      offer: OFFER,
    }),
    echoes("runs only", [compressed(BINARY, Buffer.alloc(20_000, "a"), { strategy: constants.Z_RLE })], {
      offer: OFFER,
    }),
    echoes("blocks of every size", [compressed(TEXT, json(20_000), { blocks: [0, 1, 2, 10, 100, 1_000, 0, 5_000] })], {
      offer: OFFER,
    }),
    echoes("least memory", [compressed(TEXT, json(50_000), { memLevel: 1 })], { offer: OFFER }),
    echoes(
      "every level",
      Array.from({ length: 10 }, (_, level) => compressed(TEXT, json(5_000), { level })),
      { offer: OFFER },
    ),
  ]),
]);
