/** What is written is what is read: the writer's frames, a client's masks and fragments, the parser's messages. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import type { IoData } from "../../src/message.ts";
import { closePayload, parseClose } from "../../src/protocol/close.ts";
import { FrameWriter } from "../../src/protocol/frame-writer.ts";
import { ioLength } from "../../src/protocol/io-data.ts";
import { cutAt, frame, join, OP, type ServerFrame, serverFrames } from "../protocol/client-frames.ts";
import type { Seen } from "../protocol/parsing.ts";
import { fuzz } from "../support/fuzz.ts";
import { habits, runParser } from "./parse-run.ts";
import { closeBody, conditions, host, mask, octet, pattern, size, split } from "./streams.ts";

/** Any code units, lone surrogates and pairs the wrong way round among them. */
const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60, size: "max" }),
  fc
    .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd7ff, max: 0xe000 })), { maxLength: 60 })
    .map((units) => String.fromCharCode(...units)),
  fc.tuple(size, fc.constantFrom("x", "é", "€", "😀")).map(([size, character]) => character.repeat(size)),
);

const anyBytes = fc.tuple(size, octet).map(([size, seed]) => pattern(size, seed));

/** Everything that may be sent as text without being checked: strings in any nesting. */
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
    // Views in the middle of their memory.
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

/** The octets of it, by joining them. */
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
    arbitrary: fc.record({ writer: fc.nat(2), action: fc.constantFrom("take" as const, "apart", "together") }),
  },
);

/** A client's echo of a server's frame: masked, and in fragments where it is no control frame. */
const echoed = ({ first, payload }: ServerFrame, mask: readonly [number, number, number, number], cuts: number[]) => {
  const opcode = first & 0x0f;
  const pieces = opcode >= OP.close || payload.length === 0 ? [payload] : cutAt(payload, cuts);
  return join(
    ...pieces.map((piece, i) =>
      frame({
        opcode: i === 0 ? opcode : OP.continuation,
        payload: piece,
        fin: i === pieces.length - 1,
        mask: mask.map((octet) => (octet + i) & 0xff) as [number, number, number, number],
      }),
    ),
  );
};

export const roundTrips = [
  fuzz(
    "round trips: connections that share memory write what each was given, and nothing moves afterwards",
    { runs: 200 },
    fc.property(host, fc.array(step, { maxLength: 30, size: "max" }), ({ octets }, steps) => {
      // A host of its own, so that its slab is new.
      const shared = { ...octets };
      const writers = [0, 1, 2].map(() => ({
        writer: new FrameWriter(shared),
        waiting: 0,
        expected: [] as { first: number; payload: Buffer }[],
        parts: [] as Uint8Array[],
      }));
      const take = (one: (typeof writers)[number]): void => {
        assert.equal(one.writer.bytes, one.waiting);
        const parts = one.writer.take();
        assert.equal(join(...parts).length, one.waiting);
        one.parts.push(...parts);
        one.waiting = 0;
      };
      for (const step of steps) {
        const one = writers[step.writer]!;
        if (step.action === "take") take(one);
        else if (step.action !== "add") one.writer.keepApart(step.action === "apart");
        else {
          const { opcode, data } = step.message;
          const payload = joined(data);
          const length = ioLength(data);
          assert.equal(length, payload.length);
          one.writer.add(OP[opcode], data, length);
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
    "round trips: a client that sends back what it got is understood",
    { runs: 200 },
    fc.property(
      conditions,
      fc.array(message, { maxLength: 6, size: "max" }),
      fc.array(mask, { minLength: 1, maxLength: 6 }),
      fc.array(fc.nat(), { maxLength: 5 }),
      split,
      habits,
      ({ host }, messages, masks, cuts, split, habits) => {
        const writer = new FrameWriter(host.octets);
        for (const { opcode, data } of messages) writer.add(OP[opcode], data, ioLength(data));
        const frames = serverFrames(join(...writer.take()));
        const wire = join(...frames.map((frame, i) => echoed(frame, masks[i % masks.length]!, cuts)));
        const limits = { maxFrameSize: 1e9, maxMessageSize: 1e9, maxFragments: 1e9, validateUtf8: true };
        const expected = messages.map(({ opcode, data }): Seen => {
          const bytes = joined(data);
          if (opcode === "text") return ["message", { opcode, data: bytes.toString() }, bytes.length];
          if (opcode === "binary") return ["message", { opcode, data: new Uint8Array(bytes) }, bytes.length];
          return ["control", { opcode, data: new Uint8Array(bytes) }];
        });
        assert.deepEqual(runParser(wire, split, { host, limits }, habits).seen, expected);
      },
    ),
  ),

  fuzz(
    "round trips: a close frame's code and text",
    { runs: 200, share: 0.1 },
    fc.property(host, closeBody, ({ octets }, body) => {
      assert.deepEqual(parseClose(closePayload(body, octets), octets), { ...body });
    }),
  ),
];
