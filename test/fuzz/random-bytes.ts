/** Properties of the parser with random bytes: only documented errors, termination, and bounded memory. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.ts";
import { FrameParser, type ParserLimits } from "../../src/protocol/frame-parser.ts";
import type { MessageBuffer } from "../../src/protocol/message-buffer.ts";
import { A_LONG_TIME, fuzz, within } from "../support/fuzz.ts";
import { anyStream, conditions, split, splitBy } from "./streams.ts";

/** The close codes of protocol errors (RFC 6455 §7.4.1). */
const DOCUMENTED = [1002, 1003, 1007, 1008, 1009];

/** The most bytes of an incomplete frame that a parser keeps: a header or a control frame (RFC 6455 §5.2, §5.5). */
const LONGEST_BEGINNING = 139;

/** The most that is allocated for an announced length. */
const TRUSTED = 1024 * 1024;

/** Random bytes, alone or behind the first fragment of a message. */
const stream = fc.oneof(
  anyStream,
  fc.uint8Array({ maxLength: 2_000, size: "max" }),
  fc.uint8Array({ maxLength: 200, size: "max" }).map((noise) => Buffer.concat([Buffer.from([0x02, 0x80, 0, 0, 0, 0]), noise])), // biome-ignore format: one line
);

const inside = (parser: FrameParser) =>
  parser as unknown as { readonly chunk: Uint8Array; readonly partial: { readonly buffer: MessageBuffer } | undefined };

export const randomBytes = [
  fuzz(
    "random bytes: cause only documented ProtocolErrors, and no message exceeds its limit",
    { runs: 1_000 },
    fc.property(stream, split, conditions, (wire, split, { host, limits, compression }) => {
      const seen = (size: number, { maxMessageSize }: ParserLimits): void => assert.ok(size <= maxMessageSize);
      const parser = new FrameParser(
        limits,
        host.byteOps,
        {
          onText: (_data, size) => seen(size, limits),
          onBinary: ({ length }) => seen(length, limits),
          onCompressed: (_opcode, { length }) => assert.ok(length <= limits.maxMessageSize * 1.001 + 64),
          onControl: ({ data }) => assert.ok(data.length <= 125),
          onClose: ({ text }) => assert.ok(Buffer.byteLength(text) <= 123),
        },
        compression,
      );
      try {
        within(A_LONG_TIME, () => {
          for (const piece of splitBy(wire, split)) {
            parser.feed(piece.slice());
            parser.parse();
          }
        });
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        assert.ok(DOCUMENTED.includes(error.closeCode), `code ${error.closeCode}`);
        // The message is sent as a close reason text.
        assert.ok(Buffer.byteLength(error.message) <= 123, error.message);
      }
    }),
  ),

  fuzz(
    "random bytes: between chunks, a parser keeps at most an incomplete header or control frame, and twice the received message",
    { runs: 400 },
    fc.property(stream, split, conditions, (wire, split, { host, limits, compression }) => {
      const parser = new FrameParser(
        limits,
        host.byteOps,
        {
          onText: () => undefined,
          onBinary: () => undefined,
          onCompressed: () => undefined,
          onControl: () => undefined,
          onClose: () => undefined,
        },
        compression,
      );
      try {
        for (const piece of splitBy(wire, split)) {
          const slab = new Uint8Array(4_096 + piece.length);
          slab.set(piece, 100);
          parser.feed(slab.subarray(100, 100 + piece.length));
          parser.parse();
          const { chunk, partial } = inside(parser);
          assert.ok(chunk.buffer.byteLength <= LONGEST_BEGINNING, `keeps ${chunk.buffer.byteLength} of a chunk`);
          const length = partial?.buffer.length ?? 0;
          const memory = partial?.buffer.memory.buffer.byteLength ?? 0;
          assert.ok(memory <= Math.max(2 * length, length === 0 ? 0 : TRUSTED), `${memory} for ${length} bytes`);
        }
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    }),
  ),
];
