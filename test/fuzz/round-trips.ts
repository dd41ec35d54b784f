/** Properties of round trips: what is written is what is read, with the writer's frames and a client's fragments. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import type { IoData } from "../../src/message.ts";
import { closePayload, parseClose } from "../../src/protocol/close.ts";
import { FrameWriter } from "../../src/protocol/frame-writer.ts";
import { ioLength } from "../../src/protocol/io-data.ts";
import { agree } from "../protocol/compression.ts";
import type { ParserEvent } from "../protocol/parsing.ts";
import { cutAt, frame, join, OP, serverFrames } from "../support/client-frames.ts";
import { fuzz } from "../support/fuzz.ts";
import { connectionHabits, eventOf, makeConnection, runConnection } from "./connection-run.ts";
import { habits, runParser } from "./parse-run.ts";
import { SteppedDeflate } from "./stepped-deflate.ts";
import { byte, closeBody, compressed, conditions, host, mask, pattern, size, split, splitBy } from "./streams.ts";

/** Any code units, including lone surrogates and reversed pairs. */
const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60, size: "max" }),
  fc
    .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd7ff, max: 0xe000 })), { maxLength: 60 })
    .map((units) => String.fromCharCode(...units)),
  fc.tuple(size, fc.constantFrom("x", "é", "€", "😀")).map(([size, character]) => character.repeat(size)),
);

const anyBytes = fc.tuple(size, byte).map(([size, seed]) => pattern(size, seed));

/** Texts that may be sent without a check: strings, nested in any way. */
const textData = fc.letrec<{ data: IoData; list: readonly IoData[] }>((tie) => ({
  data: fc.oneof({ depthSize: "small", withCrossShrink: true }, anyText, tie("list")),
  list: fc.array(tie("data"), { maxLength: 4 }),
})).data;

const binaryData = fc.letrec<{ data: IoData; list: readonly IoData[] }>((tie) => ({
  data: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    anyText,
    anyBytes,
    anyBytes.map((bytes) => bytes.buffer),
    // Views into larger ArrayBuffers.
    anyBytes.map((bytes) => bytes.subarray(1, -1)),
    anyBytes.map((bytes) => Buffer.from(bytes).subarray(1)),
    tie("list"),
  ),
  list: fc.array(tie("data"), { maxLength: 4 }),
})).data;

const controlData = fc.oneof(
  fc.uint8Array({ maxLength: 125, size: "max" }),
  fc.string({ unit: "binary-ascii", maxLength: 125, size: "max" }),
);

const message = fc.oneof(
  { weight: 3, arbitrary: fc.record({ opcode: fc.constant("text" as const), data: textData }) },
  { weight: 3, arbitrary: fc.record({ opcode: fc.constant("binary" as const), data: binaryData }) },
  { weight: 1, arbitrary: fc.record({ opcode: fc.constantFrom("ping" as const, "pong" as const), data: controlData }) },
);

/** The bytes of the data, by joining them. */
const joined = (data: IoData): Buffer =>
  typeof data === "string"
    ? Buffer.from(new TextEncoder().encode(data))
    : data instanceof ArrayBuffer || data instanceof Uint8Array
      ? Buffer.from(new Uint8Array(data))
      : Buffer.concat(data.map(joined));

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ writer: fc.nat(2), action: fc.constant("add" as const), message }) },
  {
    weight: 1,
    arbitrary: fc.record({
      writer: fc.nat(2),
      action: fc.constantFrom("take" as const, "taken", "taken", "apart", "together"),
    }),
  },
);

/** A client's message, masked and fragmented. */
const clientMessage = (
  opcode: number,
  rsv: number,
  payload: Uint8Array,
  mask: readonly [number, number, number, number],
  cuts: number[],
): Uint8Array => {
  const pieces = opcode >= OP.close || payload.length === 0 ? [payload] : cutAt(payload, cuts);
  return join(
    ...pieces.map((piece, i) =>
      frame({
        opcode: i === 0 ? opcode : OP.continuation,
        rsv: i === 0 ? rsv : 0,
        payload: piece,
        fin: i === pieces.length - 1,
        mask: mask.map((byte) => (byte + i) & 0xff) as [number, number, number, number],
      }),
    ),
  );
};

/** Data to compress, below and above the size at which the library uses another thread. */
const content = fc
  .record({
    data: fc.oneof(
      { weight: 4, arbitrary: anyText.map((text) => Buffer.from(text).toString()) },
      { weight: 4, arbitrary: anyBytes },
      { weight: 1, arbitrary: fc.constantFrom("ab".repeat(32_767), "ab".repeat(32_768), "ab".repeat(32_769)) },
      { weight: 1, arbitrary: fc.nat(5).map((seed) => pattern(70_000, seed)) },
    ),
    compress: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
  })
  .map(({ data, compress }) => ({
    opcode: typeof data === "string" ? ("text" as const) : ("binary" as const),
    data,
    compress,
  }));

type Content = typeof content extends fc.Arbitrary<infer T> ? T : never;

/** The messages of a client with context takeover. */
const compressedWire = (
  contents: readonly Content[],
  { clientNoContextTakeover, windowBits }: { readonly clientNoContextTakeover?: boolean; readonly windowBits: number },
  mask: readonly [number, number, number, number],
  cuts: number[],
): Uint8Array => {
  let window = Buffer.alloc(0);
  const frames = contents.map(({ opcode, data, compress }) => {
    const bytes = Buffer.from(data as string);
    if (!compress) return clientMessage(OP[opcode], 0, bytes, mask, cuts);
    const dictionary = clientNoContextTakeover || window.length === 0 ? undefined : window;
    const payload = compressed(bytes, { windowBits, ...(dictionary && { dictionary }) });
    window = Buffer.concat([window, bytes]).subarray(-(2 ** windowBits));
    return clientMessage(OP[opcode], 4, payload, mask, cuts);
  });
  return join(...frames);
};

export const roundTrips = [
  fuzz(
    "round trips: connections that share a slab write their own frames, which do not change afterwards",
    { runs: 200 },
    fc.property(host, fc.array(step, { maxLength: 30, size: "max" }), ({ byteOps }, steps) => {
      // ByteOps of their own, so that the slab is new.
      const shared = { ...byteOps };
      const writers = [0, 1, 2].map(() => ({
        writer: new FrameWriter(shared),
        waiting: 0,
        expected: [] as { first: number; payload: Buffer }[],
        parts: [] as Uint8Array[],
      }));
      const take = (one: (typeof writers)[number]): void => {
        assert.equal(one.writer.bytes, one.waiting);
        const parts = one.writer.takeParts();
        assert.equal(join(...parts).length, one.waiting);
        one.parts.push(...parts);
        one.waiting = 0;
      };
      for (const step of steps) {
        const one = writers[step.writer]!;
        if (step.action === "take") take(one);
        else if (step.action === "taken") {
          take(one);
          // All parts are flushed: the memory may be overwritten from now on.
          one.parts = [join(...one.parts)];
          one.writer.onFlushed();
        } else if (step.action !== "add") one.writer.useOwnSlab(step.action === "apart");
        else {
          const { opcode, data } = step.message;
          const payload = joined(data);
          const length = ioLength(data);
          assert.equal(length, payload.length);
          one.writer.add(0x80 | OP[opcode], data, length);
          one.expected.push({ first: 0x80 | OP[opcode], payload });
          one.waiting += payload.length + (length < 126 ? 2 : length < 65_536 ? 4 : 10);
        }
      }
      for (const one of writers) {
        take(one);
        const frames = serverFrames(join(...one.parts));
        assert.equal(frames.length, one.expected.length);
        for (const [i, { first, payload }] of frames.entries()) {
          assert.equal(first, one.expected[i]!.first);
          assert.equal(Buffer.compare(payload, one.expected[i]!.payload), 0);
        }
      }
    }),
  ),

  fuzz(
    "round trips: a client that echoes the server's messages sends valid frames",
    { runs: 200 },
    fc.property(
      conditions,
      fc.array(message, { maxLength: 6, size: "max" }),
      fc.array(mask, { minLength: 1, maxLength: 6 }),
      fc.array(fc.nat(), { maxLength: 5 }),
      split,
      habits,
      ({ host, compression }, messages, masks, cuts, split, habits) => {
        const writer = new FrameWriter(host.byteOps);
        for (const { opcode, data } of messages) writer.add(0x80 | OP[opcode], data, ioLength(data));
        const frames = serverFrames(join(...writer.takeParts()));
        const wire = join(
          ...frames.map(({ first, payload }, i) =>
            clientMessage(first & 0x0f, 0, payload, masks[i % masks.length]!, cuts),
          ),
        );
        const limits = { maxFrameSize: 1e9, maxMessageSize: 1e9, maxFragments: 1e9, validateUtf8: true };
        const expected = messages.map(({ opcode, data }): ParserEvent => {
          const bytes = joined(data);
          if (opcode === "text") return ["message", { opcode, data: bytes.toString() }, bytes.length];
          if (opcode === "binary") return ["message", { opcode, data: new Uint8Array(bytes) }, bytes.length];
          return ["control", { opcode, data: new Uint8Array(bytes) }];
        });
        assert.deepEqual(runParser(wire, split, { host, limits, compression }, habits).seen, expected);
      },
    ),
  ),

  fuzz(
    "round trips: compressed messages arrive as they were sent, in both directions",
    { runs: 150, share: 2 },
    fc.property(
      host,
      fc.array(content, { maxLength: 6, size: "max" }),
      fc.constantFrom(9, 12, 15),
      mask,
      fc.array(fc.nat(), { maxLength: 3 }),
      split,
      connectionHabits,
      (host, contents, windowBits, mask, cuts, split, habits) => {
        const agreement = { ...habits.agreement, maxInflation: 2_000 };
        const actions = habits.actions.filter((action) => action !== "close");
        const wire = compressedWire(contents, { ...agreement, windowBits }, mask, cuts);
        const limits = { maxFrameSize: 1e9, maxMessageSize: 1e9, maxFragments: 1e9, validateUtf8: true };
        const { told } = runConnection(
          wire,
          split,
          { host, limits, compression: true },
          { ...habits, actions: actions.length > 0 ? actions : ["nothing"], agreement },
        );
        assert.deepEqual(
          told,
          contents.map(({ opcode, data }) => eventOf(opcode, data)),
        );
      },
    ),
  ),

  fuzz(
    "round trips: a loss is reported once, after all complete messages before it",
    { runs: 100 },
    fc.property(
      conditions,
      fc.array(content, { maxLength: 6, size: "max" }),
      mask,
      split,
      fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
      ({ host }, contents, mask, split, threads) => {
        const deflate = new SteppedDeflate();
        const limits = { maxFrameSize: 1e9, maxMessageSize: 1e9, maxFragments: 1e9, validateUtf8: true };
        const agreement = agree({ clientNoContextTakeover: false, maxInflation: 2_000, deflate });
        const told: string[] = [];
        const { stream, session, connection } = makeConnection(host.byteOps, limits, agreement);
        session.onEvent.message = ({ opcode, data }, size) => told.push(eventOf(opcode, data, size));
        for (const [i, piece] of splitBy(compressedWire(contents, { windowBits: 15 }, mask, []), split).entries()) {
          connection.onBytes(piece.slice());
          if (threads[i % threads.length]) deflate.step(false);
        }
        connection.onDisconnect();
        while (deflate.isBusy) deflate.step(false);
        stream.tick();
        assert.deepEqual(
          told,
          contents.map(({ opcode, data }) => eventOf(opcode, data)),
        );
        assert.equal(session.events.indexOf("disconnected"), session.events.length - 1);
      },
    ),
  ),

  fuzz(
    "round trips: a close frame's code and text arrive as they were sent",
    { runs: 200, share: 0.1 },
    fc.property(host, closeBody, ({ byteOps }, body) => {
      assert.deepEqual(parseClose(closePayload(body, byteOps), byteOps), { ...body });
    }),
  ),
];
