/** Messages in one frame, at every length where the header changes (RFC 6455 §5.2), whole and split into chunks. */
import { echoes, type Row, script, section, wireClass } from "../case.ts";
import { BINARY, binary, encode, frame, TEXT, text } from "../frames.ts";
import { answersTo } from "../owed.ts";
import { ascii, bytes } from "../payloads.ts";
import type { Delivery } from "../peer.ts";

const LENGTHS = [0, 1, 2, 124, 125, 126, 127, 128, 129, 255, 256, 257, 65_534, 65_535, 65_536, 65_537];

const ofLengths = (opcode: number, lengths: readonly number[], how: Delivery): Row[] =>
  lengths.map((length) =>
    echoes(`${length} bytes`, [frame(opcode, opcode === TEXT ? ascii(length) : bytes(length))], { how }),
  );

const short = LENGTHS.filter((length) => length < 1_000);
const long = LENGTHS.filter((length) => length > 1_000);

/**
 * Three frames in two chunks, split at each byte of the second frame's header and at the first bytes of its payload.
 */
const cut = (length: number, headerSize: number): Row => {
  const sent = [text("before"), binary(bytes(length)), text("after")];
  const before = encode(sent.slice(0, 1)).length;
  return script(`within the ${headerSize}-byte header of a frame of ${length} bytes`, async (peer) => {
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
  section("text, byte by byte", ofLengths(TEXT, short, 1)),
  section("binary, byte by byte", ofLengths(BINARY, short, 1)),
  section("text in chunks of 997 bytes", ofLengths(TEXT, long, 997)),
  section("binary in chunks of 997 bytes", ofLengths(BINARY, long, 997)),
  section("a chunk ends", [cut(0, 6), cut(125, 6), cut(126, 8), cut(65_535, 8), cut(65_536, 14)]),
  section("several messages in one chunk", [
    echoes(
      "100 empty ones",
      Array.from({ length: 100 }, () => text()),
    ),
    echoes(
      "of every length",
      LENGTHS.flatMap((length) => [text(ascii(length)), binary(bytes(length))]),
    ),
    echoes(
      "of 0 to 300 bytes, in chunks of 61",
      Array.from({ length: 301 }, (_, i) => text(ascii(i))),
      { how: 61 },
    ),
  ]),
]);
