/** Runs a stream through a connection whose session answers, pauses and closes, and whose peer may not read. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { constants, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import type { IoData, Opcode } from "../../src/message.ts";
import type { ByteOps } from "../../src/protocol/byte-ops.ts";
import { type Compression, Connection } from "../../src/protocol/connection.ts";
import type { ParserLimits } from "../../src/protocol/frame-parser.ts";
import { type Agreement, agree } from "../protocol/compression.ts";
import { FakeSession, FakeStream } from "../protocol/fake-wire.ts";
import { join, OP, type ServerFrame, serverFrames } from "../support/client-frames.ts";
import { A_LONG_TIME, within } from "../support/fuzz.ts";
import { readInto, receiveBuffers } from "../support/receive-buffers.ts";
import { SteppedDeflate } from "./stepped-deflate.ts";
import { type Conditions, type Split, splitBy } from "./streams.ts";

/** The session's reaction to a message, a ping or a pong. */
const ACTIONS = ["nothing", "send", "send twice", "send much", "echo", "pause", "pause and resume", "close"] as const;

export interface ConnectionHabits {
  readonly actions: readonly (typeof ACTIONS)[number][];
  /** After which chunks a session that has paused resumes. */
  readonly resumes: readonly boolean[];
  /** After which chunks the peer starts or stops reading. */
  readonly stalls: readonly boolean[];
  /** After which chunks the code returns to the event loop. */
  readonly turns: readonly boolean[];
  /** After which chunks the other thread completes a task, and whether that is the newest one. */
  readonly threads: readonly ("nothing" | "oldest" | "newest")[];
  /** The negotiated compression, if any. */
  readonly agreement: Agreement;
  /** The receive buffer into which chunks are read; `undefined`: each has memory of its own. */
  readonly receiveBuffer: (typeof receiveBuffers)[number] | undefined;
}

const flags = fc.array(fc.boolean(), { minLength: 1, maxLength: 6 });

export const connectionHabits: fc.Arbitrary<ConnectionHabits> = fc.record({
  actions: fc.array(
    fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom(...ACTIONS.filter((action) => action !== "close")) },
      { weight: 1, arbitrary: fc.constant("close" as const) },
    ),
    { minLength: 1, maxLength: 8, size: "max" },
  ),
  resumes: flags,
  stalls: flags,
  turns: flags,
  threads: fc.array(fc.constantFrom("nothing", "oldest", "newest"), { minLength: 1, maxLength: 6 }),
  agreement: fc.record({
    serverNoContextTakeover: fc.boolean(),
    clientNoContextTakeover: fc.boolean(),
    threshold: fc.constantFrom(0, 20),
    serverMaxWindowBits: fc.constantFrom(8, 9, 15),
    maxInflation: fc.constantFrom(5, 250, 2_000),
  }),
  receiveBuffer: fc.constantFrom(undefined, ...receiveBuffers),
});

const hex = (data: string | Uint8Array): string => Buffer.from(data).toString("hex");

export interface ConnectionRun {
  /** The events of the session. */
  readonly told: readonly string[];
  /** The messages and the close frame that the peer received, decoded. */
  readonly sent: readonly string[];
  readonly ends: number;
}

const at = <T>(list: readonly T[], i: number): T => list[i % list.length]!;

/** A message as it is recorded in {@link ConnectionRun.told}. */
export const eventOf = (opcode: string, data: string | Uint8Array, size = Buffer.from(data as string).length): string =>
  `${opcode} ${size} ${hex(data)}`;

/** A connection between a stream and a session that record everything. */
export const makeConnection = (byteOps: ByteOps, limits: ParserLimits, compression: Compression | undefined) => {
  const stream = new FakeStream();
  const session = new FakeSession();
  const connection = new Connection(stream, byteOps, limits, compression);
  stream.open(connection);
  connection.open(session);
  return { stream, session, connection };
};

export const runConnection = (
  wire: Uint8Array,
  split: Split,
  { host, limits, compression }: Conditions,
  { actions, resumes, stalls, turns, threads, agreement, receiveBuffer }: ConnectionHabits,
): ConnectionRun => {
  const deflate = new SteppedDeflate();
  const negotiated = compression ? agree({ ...agreement, maxMessageSize: limits.maxMessageSize, deflate }) : undefined;
  const { stream, session, connection } = makeConnection(host.byteOps, limits, negotiated);

  const told: string[] = [];
  const sent: string[] = [];
  const pongs: string[] = [];
  const kept: { readonly data: Uint8Array; readonly copy: string }[] = [];
  let paused = false;
  let closed = false;
  let answered = false;
  let events = 0;

  const send = (opcode: Opcode, data: IoData): void => {
    const bytes = Buffer.from(data as string);
    if (!closed) sent.push(`${OP[opcode]} ${hex(bytes)}`);
    connection.send(opcode, data, bytes.length);
  };
  const close = (code: number | undefined, text: string): void => {
    assert.ok(!closed, "an end was reported after the session had closed");
    closed = true;
    sent.push(`${OP.close} ${code === undefined ? "" : code.toString(16).padStart(4, "0") + hex(text)}`);
    connection.close(code, text);
  };
  const resume = (): void => {
    if (!paused) return;
    paused = false;
    connection.resume();
  };
  const act = (event: string, opcode: Opcode, data: string | Uint8Array<ArrayBuffer>): void => {
    assert.ok(!paused, "an event was reported while paused");
    assert.ok(!closed, "an event was reported after the session had closed");
    told.push(event);
    if (typeof data !== "string") {
      assert.ok(data.buffer.byteLength <= 2 * data.length, `${data.length} bytes keep ${data.buffer.byteLength}`);
      kept.push({ data, copy: hex(data) });
    }
    const i = events++;
    const action = at(actions, i);
    if (action.startsWith("send")) send("text", `answer ${i}`);
    if (action === "send twice") send("binary", new Uint8Array(i * 100));
    if (action === "send much") send("text", `${i} `.repeat(35_000));
    if (action === "echo") send(opcode, data);
    if (action.startsWith("pause")) {
      paused = true;
      connection.pause();
    }
    if (action === "pause and resume") resume();
    if (action === "close") close(4000, "enough");
  };
  session.onEvent.message = ({ opcode, data }, size) => {
    act(eventOf(opcode, data, size), opcode, data);
  };
  session.onEvent.control = ({ opcode, data }) => {
    if (opcode === "ping") pongs.push(`${OP.pong} ${hex(data)}`);
    act(`${opcode} ${hex(data)}`, opcode, data);
  };
  session.onEvent.closing = (code, text) => {
    assert.ok(!answered, "two close frames were reported");
    answered = true;
    told.push(`closing ${code} ${hex(text)}`);
    if (!closed) close(code, "");
  };
  session.onEvent.failed = (error) => {
    told.push(`failed ${error.closeCode} ${error.closeText}`);
    close(error.closeCode, error.closeText);
  };

  within(A_LONG_TIME, () => {
    for (const [i, piece] of splitBy(wire, split).entries()) {
      if (receiveBuffer === undefined) connection.onBytes(piece.slice());
      else readInto(receiveBuffer, piece, (buffer, size) => connection.onReceived(buffer, size));
      if (at(threads, i) !== "nothing") deflate.step(at(threads, i) === "newest");
      if (at(resumes, i)) resume();
      if (at(turns, i)) stream.tick();
      stream.stalled = at(stalls, i);
      if (!stream.stalled) stream.drain();
    }
    stream.stalled = false;
    while (paused || deflate.isBusy || stream.buffered > 0 || stream.scheduledFlushes > 0) {
      deflate.step(at(threads, events) === "newest");
      resume();
      stream.tick();
      stream.drain();
    }
  });

  assert.equal(connection.buffered, 0, "something was never written");
  for (const { data, copy } of kept) assert.equal(hex(data), copy, "a message changed after it was handed over");
  const end = session.log.findIndex((entry) => /^(closing|failed) /.test(entry));
  if (end !== -1)
    assert.ok(!session.log.slice(end).includes("received"), "received data is still reported after the end");

  const frames = serverFrames(join(...stream.written));
  // A pong may overtake messages that are being compressed, but nothing else.
  const isAnswer = (frame: string): boolean => frame.startsWith(`${OP.pong} `);
  const got = decoded(frames, agreement);
  assert.deepEqual(
    got.filter((frame) => !isAnswer(frame)),
    sent.filter((frame) => !isAnswer(frame)),
    "the peer received something other than what was sent",
  );
  if (closed) assert.match(got.at(-1)!, /^8 /, "something was sent after the close frame");
  if (!actions.includes("echo")) {
    const answers = got.filter(isAnswer);
    assert.deepEqual(answers.slice(0, pongs.length), pongs, "pings were answered with other pongs");
    // Pings are answered ahead of waiting messages, one of which may end the connection before the ping is reported.
    if (!closed) assert.equal(answers.length, pongs.length, "a pong was sent without a ping");
  }
  return { told, sent, ends: stream.log.filter((entry) => entry === "end").length };
};

/** Decodes the frames like a peer with the largest possible window. */
const decoded = (frames: readonly ServerFrame[], { serverNoContextTakeover }: Agreement): string[] => {
  let window = Buffer.alloc(0);
  return frames.map(({ first, payload }) => {
    const opcode = first & 0x0f;
    assert.equal(first & 0xb0, 0x80, `a frame that begins with ${first}`);
    if ((first & 0x40) === 0) return `${opcode} ${hex(payload)}`;
    assert.ok(opcode === OP.text || opcode === OP.binary, "a control frame is compressed");
    const dictionary = serverNoContextTakeover || window.length === 0 ? undefined : window;
    const message = inflateRawSync(Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]), {
      finishFlush: constants.Z_SYNC_FLUSH,
      ...(dictionary && { dictionary }),
    });
    window = Buffer.concat([window, message]).subarray(-32_768);
    return `${opcode} ${hex(message)}`;
  });
};
