/** Runs a stream through a connection whose session answers, pauses and closes, and whose peer may not read. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { join, serverFrames } from "../protocol/client-frames.ts";
import { makeWire } from "../protocol/fake-wire.ts";
import { A_LONG_TIME, within } from "../support/fuzz.ts";
import { type Conditions, type Split, splitBy } from "./streams.ts";

/** What the session does when it is told of a message, a ping or a pong. */
const ACTIONS = ["nothing", "send", "send twice", "pause", "pause and resume", "close"] as const;

export interface ConnectionHabits {
  readonly actions: readonly (typeof ACTIONS)[number][];
  /** After which chunks a session that has paused goes on. */
  readonly resumes: readonly boolean[];
  /** After which chunks the peer reads, or not. */
  readonly stalls: readonly boolean[];
  /** After which chunks the code returns to the event loop. */
  readonly turns: readonly boolean[];
}

const flags = fc.array(fc.boolean(), { minLength: 1, maxLength: 6 });

export const connectionHabits: fc.Arbitrary<ConnectionHabits> = fc.record({
  actions: fc.array(
    fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...ACTIONS.filter((action) => action !== "close")) },
      { weight: 1, arbitrary: fc.constant("close" as const) },
    ),
    { minLength: 1, maxLength: 8, size: "max" },
  ),
  resumes: flags,
  stalls: flags,
  turns: flags,
});

const hex = (data: string | Uint8Array): string => Buffer.from(data).toString("hex");

export interface ConnectionRun {
  /** What the session was told. */
  readonly told: readonly string[];
  /** The frames that the peer gets. */
  readonly sent: readonly string[];
  readonly ends: number;
}

export const runConnection = (
  wire: Uint8Array,
  split: Split,
  { host, limits }: Conditions,
  { actions, resumes, stalls, turns }: ConnectionHabits,
): ConnectionRun => {
  const { stream, session, connection } = makeWire(host.octets, limits);
  const told: string[] = [];
  let paused = false;
  let closed = false;
  let events = 0;

  const resume = (): void => {
    if (!paused) return;
    paused = false;
    connection.resume();
  };
  const close = (code: number | undefined, text: string): void => {
    assert.ok(!closed, "told of an end after it was closed");
    closed = true;
    connection.close(code, text);
  };
  const act = (event: string): void => {
    assert.ok(!paused, "told of something while paused");
    assert.ok(!closed, "told of something after it was closed");
    told.push(event);
    const i = events++;
    const action = actions[i % actions.length]!;
    if (action.startsWith("send")) connection.send("text", `answer ${i}`, `answer ${i}`.length);
    if (action === "send twice") connection.send("binary", new Uint8Array(i * 100), i * 100);
    if (action.startsWith("pause")) {
      paused = true;
      connection.pause();
    }
    if (action === "pause and resume") resume();
    if (action === "close") close(4000, "enough");
  };
  session.on.message = ({ opcode, data }, size) => act(`${opcode} ${size} ${hex(data)}`);
  session.on.control = ({ opcode, data }) => act(`${opcode} ${hex(data)}`);
  session.on.closing = (code, text) => {
    told.push(`closing ${code} ${hex(text)}`);
    close(code, "");
  };
  session.on.failed = (error) => {
    told.push(`failed ${error.code} ${error.message}`);
    close(error.code, error.message);
  };

  within(A_LONG_TIME, () => {
    for (const [i, piece] of splitBy(wire, split).entries()) {
      connection.receive(piece.slice());
      if (resumes[i % resumes.length]) resume();
      if (turns[i % turns.length]) stream.turn();
      stream.stalled = stalls[i % stalls.length]!;
      if (!stream.stalled) stream.drain();
    }
    while (paused) resume();
    stream.stalled = false;
    while (stream.buffered > 0 || stream.flushesAsked > 0) {
      stream.turn();
      stream.drain();
    }
  });
  assert.equal(connection.buffered, 0, "something was never written");

  const end = session.log.findIndex((entry) => /^(closing|failed) /.test(entry));
  if (end !== -1) assert.ok(!session.log.slice(end).includes("received"), "still listens after the end");

  const frames = serverFrames(join(...stream.written));
  const sent = frames.map(({ first, payload }) => `${first} ${hex(payload)}`);
  const closes = frames.filter(({ first }) => first === 0x88).length;
  assert.ok(closes <= 1, "two close frames");
  if (closes === 1) assert.equal(frames.at(-1)!.first, 0x88, "something was sent after the close frame");
  return { told, sent, ends: stream.log.filter((entry) => entry === "end").length };
};
