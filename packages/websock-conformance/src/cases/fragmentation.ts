/** Valid and invalid fragmentation (RFC 6455 §5.4). */
import { echoes, fails, type Row, section, wireClass } from "../case.ts";
import { BINARY, binary, close, type Frame, fragments, last, more, parts, ping, pong, TEXT, text } from "../frames.ts";
import { ascii, bytes, mixed } from "../payloads.ts";
import type { Delivery } from "../peer.ts";

const WAYS: readonly Delivery[] = ["whole", "apart", 1];
const WORDS = { whole: "in one chunk", apart: "one frame per chunk" } as const;
const described = (how: Delivery): string => (typeof how === "number" ? "byte by byte" : WORDS[how]);

const GOOD: readonly (readonly [title: string, frames: Frame[]])[] = [
  ["two fragments", fragments(TEXT, ["frag", "ment"])],
  ["two fragments, binary", fragments(BINARY, [bytes(100), bytes(200)])],
  ["three", fragments(TEXT, ["one", "two", "three"])],
  ["the first is empty", fragments(TEXT, ["", "rest"])],
  ["the last is empty", fragments(TEXT, ["all", ""])],
  ["one in the middle is empty", fragments(BINARY, ["a", "", "b"])],
  ["all are empty", fragments(TEXT, ["", "", "", ""])],
  ["of 125, 126, 127 and 128 bytes", fragments(TEXT, [125, 126, 127, 128].map(ascii))],
  ["of one byte each", fragments(BINARY, parts(bytes(200), 1))],
  ["text, split within characters", fragments(TEXT, parts(mixed(120), 1))],
  ["two messages", [...fragments(TEXT, ["a", "b"]), ...fragments(BINARY, ["c", "d", "e"])]],
  [
    "fragmented and unfragmented messages",
    [...fragments(TEXT, ["a", "b"]), text("whole"), ...fragments(TEXT, ["c", "d"])],
  ],
  ["a ping between", [text("a", { fin: false }), ping("between"), last("b")]],
  ["a pong between", [text("a", { fin: false }), pong("between"), last("b")]],
  ["pings everywhere", fragments(TEXT, parts(ascii(20), 2)).flatMap((one, i) => [one, ping(`${i}`)])],
  ["an empty ping between empty fragments", [binary("", { fin: false }), ping(), more(), ping(), last()]],
];

const BAD: readonly (readonly [title: string, bad: Frame[], before?: Frame[]])[] = [
  ["a ping", [ping("part", { fin: false }), last("rest")]],
  ["a ping without its last fragment", [ping("part", { fin: false })]],
  ["a pong", [pong("part", { fin: false }), last("rest")]],
  ["a close frame", [close(1000, "", { fin: false }), last()]],
  ["a ping within a message", [text("a", { fin: false }), ping("part", { fin: false }), last("b")]],
  ["a last continuation without a message", [last("what?"), text("valid")]],
  ["an empty last continuation without a message", [last(), text("valid")]],
  ["a continuation without a message", [more("what?"), text("valid")]],
  ["an empty continuation without a message", [more(), last()]],
  ["a last continuation after an unfragmented message", [last("what?")], [text("valid")]],
  ["a last continuation after a fragmented message", [last("what?")], fragments(TEXT, ["sou", "nd"])],
  ["a continuation after a fragmented message", [more("what?"), last()], fragments(BINARY, ["a", "b"])],
  ["a last continuation after a ping", [last("what?")], [ping("valid")]],
  ["a text within a text", [text("a", { fin: false }), text("whole"), last("b")]],
  ["a binary within a text", [text("a", { fin: false }), binary("whole"), last("b")]],
  ["a text within a binary", [binary("a", { fin: false }), text("whole"), last("b")]],
  ["fragments within fragments", [text("a", { fin: false }), text("b", { fin: false }), last("c"), last("d")]],
  ["an empty text within a text", [text("a", { fin: false }), text(), last("b")]],
  ["a text after two fragments", [text("a", { fin: false }), more("b"), text("whole")]],
  ["a ping of 126 bytes within a message", [text("a", { fin: false }), ping(ascii(126)), last("b")]],
];

const good = (how: Delivery): Row[] =>
  section(
    described(how),
    GOOD.map(([title, frames]) => echoes(title, frames, { how })),
  );
const bad = (how: Delivery): Row[] =>
  section(
    `invalid, ${described(how)}`,
    BAD.map(([title, frames, before = []]) => fails(title, 1002, frames, { how, before })),
  );

export const fragmentation = wireClass(5, "fragmentation", [...WAYS.map(good), ...WAYS.map(bad)]);
