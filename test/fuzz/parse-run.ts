/** Runs a stream through a parser, with any chunks and any behaviour of the application, and records the events. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.ts";
import { FrameParser } from "../../src/protocol/frame-parser.ts";
import type { ParserEvent } from "../protocol/parsing.ts";
import { A_LONG_TIME, within } from "../support/fuzz.ts";
import { readInto, receiveBuffers } from "../support/receive-buffers.ts";
import { type Conditions, type Split, splitBy } from "./streams.ts";

/** How the host provides chunks, and what the application does with messages. */
export interface Habits {
  /**
   * The offset of a chunk in a larger ArrayBuffer, as in a socket's slab. 0: it has an ArrayBuffer of its own. Or the
   * receive buffer into which chunks are read.
   */
  readonly slab: number | (typeof receiveBuffers)[number];
  /** Which messages the application modifies, as it may. */
  readonly scribbles: readonly boolean[];
  /** At which events the owner stops the parser, and after which chunks it lets it continue. */
  readonly stops: readonly boolean[];
  readonly resumes: readonly boolean[];
}

const flags = fc.array(fc.boolean(), { minLength: 1, maxLength: 6 });

export const habits: fc.Arbitrary<Habits> = fc.record({
  slab: fc.oneof(fc.constant(0), fc.nat(9), fc.constantFrom(...receiveBuffers)),
  scribbles: flags,
  stops: fc.oneof(fc.constant([false]), flags),
  resumes: flags,
});

export const PLAIN: Habits = { slab: 0, scribbles: [false], stops: [false], resumes: [true] };

export interface ParseRun {
  readonly seen: readonly ParserEvent[];
  /** The ProtocolError's message. */
  readonly message: string | undefined;
  /** How many bytes had been fed when it was thrown, and how many before that chunk. */
  readonly refused: { readonly before: number; readonly after: number } | undefined;
}

/** Fills the slab around a chunk, which the parser must not change. */
const FOREIGN = 0xee;

const at = (flags: readonly boolean[], i: number): boolean => flags[i % flags.length]!;

export const runParser = (
  wire: Uint8Array,
  split: Split,
  { host: { byteOps }, limits, compression }: Conditions,
  { slab, scribbles, stops, resumes }: Habits = PLAIN,
): ParseRun => {
  const seen: ParserEvent[] = [];
  const kept: { readonly data: Uint8Array; readonly copy: Uint8Array }[] = [];

  /** A message that the application keeps must not keep much more than itself in memory, and must never change. */
  const keep = (data: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => {
    assert.ok(data.buffer.byteLength <= 2 * data.length, `${data.length} bytes keep ${data.buffer.byteLength}`);
    const copy = data.slice();
    if (at(scribbles, kept.length)) data.fill(FOREIGN);
    kept.push({ data, copy: data.slice() });
    return copy;
  };
  const note = (event: ParserEvent): void => {
    parser.stopped = at(stops, seen.length);
    seen.push(event);
  };
  const parser = new FrameParser(
    limits,
    byteOps,
    {
      onText: (data, size) => note(["message", { opcode: "text", data }, size]),
      onBinary: (data) => note(["message", { opcode: "binary", data: keep(data) }, data.length]),
      onCompressed: (opcode, payload) => note(["compressed", opcode, new Uint8Array(payload)]),
      onControl: ({ opcode, data }) => note(["control", { opcode, data: keep(data) }]),
      onClose: (frame) => note(["close", frame]),
    },
    compression,
  );

  const slabs: { readonly memory: Uint8Array; readonly start: number; readonly end: number }[] = [];
  const place = (piece: Uint8Array, slab: number): Uint8Array => {
    if (slab === 0) return piece.slice();
    const memory = new Uint8Array(slab + piece.length + 64).fill(FOREIGN);
    memory.set(piece, slab);
    slabs.push({ memory, start: slab, end: slab + piece.length });
    return memory.subarray(slab, slab + piece.length);
  };

  let message: string | undefined;
  let refused: ParseRun["refused"];
  let fed = 0;
  try {
    within(A_LONG_TIME, () => {
      for (const [i, piece] of splitBy(wire, split).entries()) {
        refused = { before: fed, after: (fed += piece.length) };
        if (typeof slab === "number") {
          parser.feed(place(piece, slab));
          parser.parse();
        } else
          readInto(slab, piece, (buffer, size) => {
            parser.feedShared(buffer, size);
            parser.parse();
            return parser.expected;
          });
        for (let more = at(resumes, i); more && parser.stopped; ) {
          parser.stopped = false;
          parser.parse();
          more = at(resumes, i + seen.length);
        }
      }
      while (parser.stopped) {
        parser.stopped = false;
        parser.parse();
      }
      refused = undefined;
    });
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    seen.push(["error", error.closeCode]);
    message = error.message;
  }

  for (const { data, copy } of kept) assert.deepEqual(data, copy, "a message changed after it was handed over");
  for (const { memory, start, end } of slabs) {
    const around = [...memory.subarray(0, start), ...memory.subarray(end)];
    assert.ok(around.every((byte) => byte === FOREIGN), "memory beside a chunk was written to"); // biome-ignore format: one line
  }
  return { seen, message, refused };
};
