/** Masks and the encoding of lengths (RFC 6455 §5.1–§5.3). */
import { echoes, fails, type Row, script, section, wireClass } from "../case.ts";
import { BINARY, binary, close, encode, type Frame, fragments, frame, last, ping, pong, text } from "../frames.ts";
import { answersTo } from "../owed.ts";
import { ascii, bytes } from "../payloads.ts";

/** §5.1: the server MUST close the connection. It MAY send a close frame with 1002. */
const UNMASKED = [1002, "drop"] as const;
const key = undefined;

/**
 * §5.2: a length MUST use the minimal number of bytes. The RFC does not say whether the server must fail the
 * connection.
 */
const wasteful = (title: string, sent: Frame): Row =>
  script(title, async (peer) => {
    await peer.send([sent]);
    const got = await peer.next("an answer");
    const [answer] = answersTo([sent]);
    if (got.kind !== answer?.kind) return peer.failed(got, [1002]);
    peer.note("non-strict", "accepts a length that is not in its shortest form");
  });

const wastefulBinary = (size: number, lengthBits: 16 | 64): Row =>
  wasteful(`${size} bytes, ${lengthBits}-bit length`, binary(bytes(size), { lengthBits }));

/** A frame whose header announces an enormous length. */
const announces = (title: string, announced: bigint): Row =>
  script(title, async (peer) => {
    await peer.send([binary("abc", { announced, lengthBits: 64 })]);
    const got = await peer.nextSoon();
    if (got === undefined) return peer.note("informational", "waits for the whole frame");
    await peer.failed(got, [1009, 1002]);
  });

export const masking = wireClass(10, "masks and lengths", [
  section("unmasked", [
    fails("text", UNMASKED, [text("in the clear", { key })]),
    fails("empty text", UNMASKED, [text("", { key })]),
    fails("binary of 65 536 bytes", UNMASKED, [binary(bytes(65_536), { key })]),
    fails("ping", UNMASKED, [ping("in the clear", { key })]),
    fails("pong, then a ping", UNMASKED, [pong("", { key }), ping()]),
    fails("close", UNMASKED, [close(1000, "", { key })]),
    fails("a last fragment", UNMASKED, [text("a", { fin: false }), last("b", { key })]),
    fails("after a valid message", UNMASKED, [text("in the clear", { key })], { before: [text("valid")] }),
    fails("byte by byte", UNMASKED, [text("in the clear", { key })], { how: 1 }),
  ]),
  section("masking key", [
    echoes("all zeros", [text("zeros", { key: [0, 0, 0, 0] })]),
    echoes("all ones", [binary(bytes(100), { key: [255, 255, 255, 255] })]),
    echoes("equal to the payload", [text("aaaaaaa", { key: [0x61, 0x61, 0x61, 0x61] })]),
    echoes("a different one for each fragment", fragments(BINARY, [bytes(5), bytes(6), bytes(7), bytes(130)])),
    ...[1, 2, 3, 5, 7, 1_021].map((size) =>
      echoes(`payload in chunks of ${size} bytes`, [binary(bytes(2_003)), text(ascii(1_001))], { how: size }),
    ),
  ]),
  section("length longer than necessary", [
    ...[0, 1, 125].map((size) => wastefulBinary(size, 16)),
    ...[0, 1, 125, 126, 65_535].map((size) => wastefulBinary(size, 64)),
  ]),
  section("control frame with a longer length", [
    wasteful("a ping of 125 bytes, 16 bits", ping(ascii(125), { lengthBits: 16 })),
    wasteful("a ping of 0 bytes, 64 bits", ping("", { lengthBits: 64 })),
    wasteful("a close frame of 2 bytes, 16 bits", close(1000, "", { lengthBits: 16 })),
  ]),
  section("announced length", [
    script("the highest bit of 64 is set", async (peer) => {
      // §5.2: it MUST be 0.
      await peer.chop(encode([frame(BINARY, "", { announced: 1n << 63n, lengthBits: 64 })]));
      await peer.fails([1002, 1009]);
    }),
    script("all of 64 bits are set", async (peer) => {
      await peer.chop(encode([frame(BINARY, "", { announced: (1n << 64n) - 1n, lengthBits: 64 })]));
      await peer.fails([1002, 1009]);
    }),
    announces("2^63 - 1 bytes", (1n << 63n) - 1n),
    announces("2^53 bytes", 1n << 53n),
    script("an incomplete header, then the end of the stream", async (peer) => {
      await peer.send([text("whole")]);
      await peer.answers(answersTo([text("whole")]));
      await peer.chop(encode([text("cut off")]).subarray(0, 3));
      peer.endWriting();
      for (let got = await peer.nextSoon(); got?.kind !== "end" && got?.kind !== "reset"; got = await peer.nextSoon()) {
        if (got === undefined) return peer.note("non-strict", "keeps a connection open whose other side has ended");
        if (got.kind !== "close") return peer.failed(got, [1002]);
      }
    }),
  ]),
]);
