/** Violations of permessage-deflate (RFC 7692 §6, §7.2): RSV1 where it is not allowed, and corrupt data. */
import { echoes, fails, type Row, script, section, wireClass } from "../case.ts";
import { binary, close, type Frame, fragments, last, more, ping, pong, TEXT, text } from "../frames.ts";
import { answersTo, describe } from "../owed.ts";
import { hex, json } from "../payloads.ts";
import { type Compressed, compressed } from "../sent.ts";

const OFFER = "permessage-deflate";
const NONE = `${OFFER}; server_no_context_takeover; client_no_context_takeover`;
const HELLO = hex("f2 48 cd c9 c9 07 00");
const rsv = 4;

const breaks = (title: string, frames: readonly Frame[], code = 1002): Row =>
  fails(title, code, frames, { offer: OFFER });

const corrupt = (title: string, digits: string | readonly string[], offer = NONE): Row =>
  fails(title, 1007, fragments(TEXT, [digits].flat().map(hex), { rsv }), { offer });

/** Text that is not UTF-8 after decompression. */
const notUtf8 = (title: string, digits: string, fragmentSize = Number.POSITIVE_INFINITY): Row =>
  fails(title, 1007, [compressed(TEXT, Buffer.concat([json(200), hex(digits)]), { fragmentSize })], { offer: OFFER });

/** The RFC does not say what to do. Failing the connection is best; anything else is informational. */
const unspecified = (title: string, frames: readonly Frame[], before: readonly Compressed[] = []): Row =>
  script(
    title,
    async (peer) => {
      await peer.send([...before, ...frames, close(1000)]);
      await peer.answers(answersTo(before));
      const got = await peer.next("any answer");
      if (got.kind === "close" && got.code === 1007) return peer.failed(got, [1007]);
      peer.note("informational", `got ${describe(got)}`);
    },
    { offer: NONE },
  );

export const deflateViolations = wireClass(14, "permessage-deflate: violations", [
  section("RSV1", [
    breaks("on a last continuation", [text(HELLO, { rsv, fin: false }), last("", { rsv })]),
    breaks("on a continuation in the middle", [text(HELLO, { rsv, fin: false }), more("", { rsv }), last()]),
    breaks("on a continuation of a message that is not compressed", [text("a", { fin: false }), last(HELLO, { rsv })]),
    breaks("on a ping", [ping(HELLO, { rsv })]),
    breaks("on an empty ping", [ping("", { rsv })]),
    breaks("on a pong", [pong(HELLO, { rsv }), ping()]),
    breaks("on a close frame", [close(1000, "", { rsv })]),
    breaks("on a ping within a compressed message", [text(HELLO, { rsv, fin: false }), ping("", { rsv }), last()]),
    fails("without negotiation, on valid compressed data", 1002, [text(HELLO, { rsv })]),
    fails("without negotiation, on an empty message", 1002, [binary(hex("00"), { rsv })]),
  ]),
  section("RSV2 and RSV3 with permessage-deflate", [
    ...[2, 1, 3, 6, 5, 7].map((bits) =>
      breaks(`bits ${bits.toString(2).padStart(3, "0")} on a text`, [text(HELLO, { rsv: bits })]),
    ),
    breaks("RSV2 on a continuation", [text(HELLO, { rsv, fin: false }), last("", { rsv: 2 })]),
    breaks("RSV3 on a ping", [ping("", { rsv: 1 })]),
  ]),
  section("opcodes and fragments with permessage-deflate", [
    breaks("a reserved opcode with RSV1", [{ ...text(HELLO, { rsv }), opcode: 3 }]),
    breaks("a text within a compressed message", [text(HELLO, { rsv, fin: false }), text("a"), last()]),
    breaks("a compressed text within a message", [text("a", { fin: false }), text(HELLO, { rsv }), last()]),
    fails("a continuation after a compressed message", 1002, [last("a")], {
      offer: OFFER,
      before: [compressed(TEXT, "valid")],
    }),
  ]),
  section("corrupt data", [
    corrupt("a block of the reserved type", "06 00"),
    corrupt("a final block of the reserved type", "07 00"),
    corrupt("all ones", "ff ff ff ff ff ff"),
    corrupt("a stored block whose length and complement differ", "00 05 00 00 00 48 65 6c 6c 6f 00"),
    corrupt("a reference to before the beginning", "02 02 00 00"),
    corrupt("a valid block, then a corrupt one", "f2 48 05 00 00 00 ff ff 06 00"),
    corrupt("in the second fragment", ["f2 48 05 00 00 00 ff ff", "06 00"]),
    corrupt("too many codes (dynamic)", "fc ff ff ff ff ff ff ff ff ff ff"),
    corrupt("with a context to take over", "06 00", OFFER),
    fails("after a valid message", 1007, [text(hex("06 00"), { rsv })], {
      offer: OFFER,
      before: [compressed(TEXT, "valid")],
    }),
    fails("in a binary message", 1007, [binary(hex("06 00"), { rsv })], { offer: NONE }),
    fails("uncompressed text with RSV1", 1007, [text("This is no deflate.", { rsv })], { offer: NONE }),
  ]),
  section("text that is not UTF-8", [
    notUtf8("a continuation byte", "80"),
    notUtf8("an overlong form", "c0 af"),
    notUtf8("a surrogate", "ed a0 80"),
    notUtf8("past U+10FFFF", "f4 90 80 80"),
    notUtf8("an incomplete character", "f0 9f 98"),
    notUtf8("in fragments of 10 bytes", "ff", 10),
    echoes("binary need not be UTF-8", [compressed(2, hex("80 ff c0 ed a0 80"))], { offer: OFFER }),
    echoes("compressed data need not be UTF-8", [compressed(TEXT, json(3_000), { fragmentSize: 13 })], {
      offer: OFFER,
    }),
  ]),
  section("where the RFC is silent", [
    unspecified("no data, with RSV1", [text("", { rsv })]),
    unspecified("data that ends within a block", [text(hex("f2 48 cd"), { rsv })]),
    unspecified("data with the four bytes that the sender should remove", [
      text(hex("f2 48 cd c9 c9 07 00 00 00 ff ff"), { rsv }),
    ]),
    unspecified(
      "a reference to an earlier message, without context takeover",
      [text(hex("f2 00 11 00 00"), { rsv })],
      [compressed(TEXT, "Hello")],
    ),
  ]),
]);
