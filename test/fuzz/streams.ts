/** Generates client streams (valid, nearly valid, random), and the conditions under which they arrive. */
import { constants, deflateRawSync, type ZlibOptions } from "node:zlib";
import fc from "fast-check";
import type { ParserLimits } from "../../src/protocol/frame-parser.ts";
import { allByteOps, binaryEvent, controlEvent, type ParserEvent, textEvent } from "../protocol/parsing.ts";
import { cutAt, cutEvery, frame, join, OP } from "../support/client-frames.ts";

export const byte = fc.integer({ min: 0, max: 255 });
export const mask = fc.tuple(byte, byte, byte, byte);

const encoder = new TextEncoder();

/** Sizes at which the form of a header or the way of copying changes. */
const SIZES = [0, 1, 8, 9, 32, 33, 48, 49, 64, 65, 95, 96, 97, 125, 126, 127, 128, 255, 256];
const LARGE_SIZES = [1023, 1024, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537];

/** Bytes in a pattern that reveals shifts. */
export const pattern = (length: number, seed = 0): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) * 7 + seed) & 0xff);

export const size = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(...SIZES) },
  { weight: 1, arbitrary: fc.constantFrom(...LARGE_SIZES) },
);

const text = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: "binary", maxLength: 200, size: "max" }) },
  { weight: 2, arbitrary: fc.string({ unit: "binary-ascii", maxLength: 200, size: "max" }) },
  { weight: 1, arbitrary: size.map((length) => "x".repeat(length)) },
  // Multi-byte characters behind ASCII, so that chunks are split within them.
  { weight: 1, arbitrary: size.map((length) => `${"x".repeat(length % 5)}${"é€😀".repeat(length / 9)}`) },
);

const bytes = fc.oneof(
  { weight: 3, arbitrary: fc.uint8Array({ maxLength: 400, size: "max" }) },
  { weight: 1, arbitrary: fc.tuple(size, byte).map(([length, seed]) => pattern(length, seed)) },
);

/** Characters at the bounds of UTF-8, and invalid sequences just beyond them (RFC 3629 §4). */
const CHARACTERS = [
  ...["7f", "c2 80", "df bf", "e0 a0 80", "ed 9f bf", "ee 80 80", "ef bf bf", "f0 90 80 80", "f4 8f bf bf"],
  ...["80", "bf", "c0 80", "c1 bf", "c2", "e0 9f bf", "e2 82", "ed a0 80", "ed bf bf", "f0 8f bf bf", "f0 9f 98"],
  ...["f4 90 80 80", "f5 80 80 80", "f8 88 80 80 80", "fe", "ff", "c2 41", "e2 82 41"],
].map((bytes) => Uint8Array.from(bytes.split(" "), (byte) => Number.parseInt(byte, 16)));

/** Bytes around the bounds of UTF-8, which are much more often nearly valid than random bytes. */
const UTF8_BOUNDS = [0x61, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0];

/** Valid and nearly valid UTF-8. */
export const nearlyText = fc.oneof(
  text.map((text) => encoder.encode(text)),
  fc.tuple(text, fc.nat(), byte).map(([text, at, byte]) => {
    const encoded = encoder.encode(text);
    return encoded.length === 0 ? encoded : encoded.with(at % encoded.length, byte);
  }),
  fc.tuple(text, fc.nat(3)).map(([text, missing]) => encoder.encode(text).slice(0, -1 - missing)),
  fc
    .array(
      fc.oneof(
        fc.constantFrom(...CHARACTERS),
        fc.nat(40).map((length) => new Uint8Array(length).fill(0x61)),
      ),
      {
        maxLength: 4,
      },
    )
    .map((parts) => join(...parts)),
  fc
    .tuple(
      fc.nat(40),
      fc.array(fc.oneof(fc.constantFrom(...UTF8_BOUNDS, 0xf4, 0xf5), byte), { maxLength: 12, size: "max" }),
    )
    .map(([ascii, tail]) => join(new Uint8Array(ascii).fill(0x61), Uint8Array.from(tail))),
);

const control = fc.record({
  opcode: fc.constantFrom("ping" as const, "pong" as const),
  payload: fc.uint8Array({ maxLength: 125, size: "max" }),
  mask,
});

/** Compresses a message as in RFC 7692 §7.2.1. `dictionary`: the preceding data, with context takeover. */
export const compressed = (data: Uint8Array, options: ZlibOptions = {}): Uint8Array =>
  deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH, ...options }).subarray(0, -4);

/** A valid message of a client: with any fragments, control frames between them, and keys. */
const sentMessage = (compression: boolean) =>
  fc
    .record({
      content: fc.oneof(text, bytes),
      compressed: fc.boolean(),
      cuts: fc.array(fc.nat(), { maxLength: 4 }),
      empties: fc.nat(2),
      masks: fc.array(mask, { minLength: 1, maxLength: 4 }),
      controls: fc.array(fc.option(control, { freq: 2 }), { minLength: 1, maxLength: 4 }),
    })
    .map(({ content, compressed: isCompressed, cuts, empties, masks, controls }) => {
      const rsv = compression && isCompressed ? 4 : 0;
      const data = typeof content === "string" ? encoder.encode(content) : content;
      const payload = rsv === 0 ? data : new Uint8Array(compressed(data));
      const pieces: Uint8Array[] = [...cutAt(payload, cuts), ...Array<Uint8Array>(empties).fill(new Uint8Array(0))];
      if (pieces.length === 0) pieces.push(payload);
      const frames: Uint8Array[] = [];
      const expected: ParserEvent[] = [];
      pieces.forEach((piece, i) => {
        const fin = i === pieces.length - 1;
        const opcode = i > 0 ? OP.continuation : typeof content === "string" ? OP.text : OP.binary;
        frames.push(frame({ opcode, payload: piece, fin, rsv: i === 0 ? rsv : 0, mask: masks[i % masks.length]! }));
        const between = fin ? null : controls[i % controls.length];
        if (!between) return;
        frames.push(frame({ opcode: OP[between.opcode], payload: between.payload, mask: between.mask }));
        expected.push(controlEvent(between.opcode, between.payload));
      });
      if (rsv !== 0) expected.push(["compressed", typeof content === "string" ? OP.text : OP.binary, payload]);
      else expected.push(typeof content === "string" ? textEvent(content) : binaryEvent(content));
      return { wire: join(...frames), expected };
    });

const closeCode = fc.constantFrom(1000, 1001, 1003, 1007, 1014, 3000, 4999);

export const closeBody = fc.oneof(
  fc.constant({ code: undefined, text: "" }),
  fc.record({
    code: closeCode,
    text: fc.string({ unit: "binary", maxLength: 60 }).filter((text) => encoder.encode(text).length <= 123),
  }),
);

const sentClose = fc.tuple(closeBody, mask).map(([{ code, text }, mask]) => {
  const payload = code === undefined ? "" : join(Uint8Array.of(code >> 8, code & 255), encoder.encode(text));
  return { wire: frame({ opcode: OP.close, payload, mask }), expected: [["close", { code, text }]] as ParserEvent[] };
});

/** A valid stream, with or without compression, and the expected events. */
const soundStreamWith = (compression: boolean) =>
  fc
    .tuple(fc.array(sentMessage(compression), { maxLength: 6, size: "max" }), fc.option(sentClose))
    .map(([messages, close]) => {
      const parts = close === null ? messages : [...messages, close];
      return {
        compression,
        wire: join(...parts.map(({ wire }) => wire)),
        expected: parts.flatMap(({ expected }) => expected),
      };
    });

export const soundStream = fc.oneof(soundStreamWith(false), soundStreamWith(true));

const soundWire = soundStream.map(({ wire }) => wire);

/** A frame with a few possible violations. */
const nearlySoundFrame = fc
  .record({
    opcode: fc.oneof({ weight: 6, arbitrary: fc.constantFrom(0, 1, 2, 8, 9, 10) }, fc.nat(15)),
    payload: fc.oneof(fc.uint8Array({ maxLength: 140, size: "max" }), nearlyText),
    fin: fc.boolean(),
    rsv: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.nat(7)),
    mask: fc.oneof({ weight: 20, arbitrary: mask }, fc.constant(null)),
    form: fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, fc.constantFrom(16 as const, 64 as const)),
    claims: fc.oneof({ weight: 12, arbitrary: fc.constant(undefined) }, fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })),
  })
  .map(({ form, claims, ...rest }) =>
    frame({
      ...rest,
      ...(form === undefined || (claims ?? 0n) >= 1n << BigInt(form) ? {} : { lengthForm: form }),
      ...(claims === undefined ? {} : { claims }),
    }),
  );

export const change = fc.record({ how: fc.constantFrom("replace", "insert", "remove", "repeat"), at: fc.nat(), byte });

/** Changes, removes or inserts one byte of a stream, or repeats a part of it. */
export const changed = (wire: Uint8Array, { how, at, byte }: { how: string; at: number; byte: number }): Uint8Array => {
  const place = wire.length === 0 ? 0 : at % wire.length;
  const [before, after] = [wire.subarray(0, place), wire.subarray(place)];
  if (how === "replace") return join(before, Uint8Array.of(byte), after.subarray(1));
  if (how === "insert") return join(before, Uint8Array.of(byte), after);
  if (how === "remove") return join(before, after.subarray(1));
  return join(before, after.subarray(0, byte), after);
};

export const noise = fc.uint8Array({ maxLength: 100, size: "max" });

/** Any stream. Random bytes alone would hardly ever pass the header checks. */
export const anyStream: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 2, arbitrary: soundWire },
  { weight: 4, arbitrary: fc.tuple(soundWire, change).map(([wire, how]) => changed(wire, how)) },
  {
    weight: 4,
    arbitrary: fc
      .array(
        fc.oneof(
          { weight: 2, arbitrary: sentMessage(true).map(({ wire }) => wire) },
          { weight: 4, arbitrary: nearlySoundFrame },
          { weight: 1, arbitrary: noise },
        ),
        { maxLength: 5, size: "max" },
      )
      .map((parts) => join(...parts)),
  },
  { weight: 1, arbitrary: noise },
);

/** Where a stream is split into chunks: at these positions, or every few bytes. */
export type Split = { readonly cuts: readonly number[] } | { readonly every: number };

export const split: fc.Arbitrary<Split> = fc.oneof(
  fc.record({ cuts: fc.array(fc.nat(), { maxLength: 20, size: "max" }) }),
  fc.record({ every: fc.integer({ min: 1, max: 9 }) }),
);

export const WHOLE: Split = { every: Number.MAX_SAFE_INTEGER };
export const SINGLE_BYTES: Split = { every: 1 };

/** The most chunks of a long stream: more would take time, and find nothing that a short stream doesn't. */
const MAX_PIECES = 4_000;

export const splitBy = (wire: Uint8Array, split: Split): Uint8Array[] => {
  if ("cuts" in split) return cutAt(wire, split.cuts);
  // If the exact byte matters, every byte is a chunk.
  const least = split === SINGLE_BYTES ? 1 : Math.ceil(wire.length / MAX_PIECES);
  return cutEvery(wire, Math.max(split.every, least));
};

const limits: fc.Arbitrary<ParserLimits> = fc.record({
  maxFrameSize: fc.constantFrom(1, 50, 125, 65_535, Number.POSITIVE_INFINITY),
  maxMessageSize: fc.constantFrom(1, 100, 200, 65_536, 10_000_000),
  maxFragments: fc.constantFrom(1, 2, 3, 524_288),
  validateUtf8: fc.boolean(),
});

/** The options of a connection and its ByteOps. */
export interface Conditions {
  readonly host: (typeof allByteOps)[number];
  readonly limits: ParserLimits;
  /** permessage-deflate was negotiated. */
  readonly compression: boolean;
}

export const host = fc.constantFrom(...allByteOps.map((one) => ({ ...one, [fc.toStringMethod]: () => one.name })));

export const conditions: fc.Arbitrary<Conditions> = fc.record({
  host,
  compression: fc.boolean(),
  limits: fc.oneof(
    limits,
    fc.constant({
      maxFrameSize: Number.POSITIVE_INFINITY,
      maxMessageSize: 10_000_000,
      maxFragments: 524_288,
      validateUtf8: true,
    }),
  ),
});
