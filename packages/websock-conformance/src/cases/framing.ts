/** Messages in one frame, at every length where the header changes (RFC 6455 §5.2), and where chunks cut them. */
import { echoes, type Row, script, section, wireClass } from "../case.ts";
import { BINARY, binary, encode, frame, TEXT, text } from "../frames.ts";
import { answersTo } from "../owed.ts";
import { ascii, octets } from "../payloads.ts";
import type { Delivery } from "../peer.ts";

const LENGTHS = [0, 1, 2, 124, 125, 126, 127, 128, 129, 255, 256, 257, 65_534, 65_535, 65_536, 65_537];

const ofLengths = (opcode: number, lengths: readonly number[], how: Delivery): Row[] =>
  lengths.map((length) =>
    echoes(`${length} octets`, [frame(opcode, opcode === TEXT ? ascii(length) : octets(length))], { how }),
  );

const short = LENGTHS.filter((length) => length < 1_000);
const long = LENGTHS.filter((length) => length > 1_000);

/** Two frames and a third, with one cut between two chunks: at each octet of the second's header, and its first ones. */
const cut = (length: number, headerSize: number): Row => {
  const sent = [text("before"), binary(octets(length)), text("after")];
  const before = encode(sent.slice(0, 1)).length;
  return script(`in each of the ${headerSize} octets of the header for ${length} octets`, async (peer) => {
    const stream = encode(sent);
    for (let at = before; at <= before + headerSize + 4; at++) {
      await peer.chunks([stream.subarray(0, at), stream.subarray(at)]);
      await peer.answers(answersTo(sent));
    }
    await peer.finishes();
  });
};

export const framing = wireClass(1, "framing", [
  section("text in one frame", ofLengths(TEXT, LENGTHS, "whole")),
  section("binary in one frame", ofLengths(BINARY, LENGTHS, "whole")),
  section("text, octet by octet", ofLengths(TEXT, short, 1)),
  section("binary, octet by octet", ofLengths(BINARY, short, 1)),
  section("text in chunks of 997 octets", ofLengths(TEXT, long, 997)),
  section("binary in chunks of 997 octets", ofLengths(BINARY, long, 997)),
  section("a chunk ends", [cut(0, 6), cut(125, 6), cut(126, 8), cut(65_535, 8), cut(65_536, 14)]),
  section("several messages in one chunk", [
    echoes(
      "100 empty ones",
      Array.from({ length: 100 }, () => text()),
    ),
    echoes(
      "of every length",
      LENGTHS.flatMap((length) => [text(ascii(length)), binary(octets(length))]),
    ),
    echoes(
      "of 0 to 300 octets, in chunks of 61",
      Array.from({ length: 301 }, (_, i) => text(ascii(i))),
      { how: 61 },
    ),
  ]),
]);
