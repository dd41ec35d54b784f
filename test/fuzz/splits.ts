/** Properties of splitting: any stream, split in any way, gives the same result as in one chunk. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { fuzz } from "../support/fuzz.ts";
import { type ConnectionHabits, connectionHabits, runConnection } from "./connection-run.ts";
import { habits, PLAIN, runParser } from "./parse-run.ts";
import { referenceParse } from "./reference-parser.ts";
import { anyStream, conditions, SINGLE_BYTES, soundStream, split, WHOLE } from "./streams.ts";

const UNLIMITED = {
  maxFrameSize: Number.POSITIVE_INFINITY,
  maxMessageSize: Number.POSITIVE_INFINITY,
  maxFragments: Number.POSITIVE_INFINITY,
  validateUtf8: true,
};

export const splits = [
  fuzz(
    "splits: a valid stream is received as it was sent",
    { runs: 200 },
    fc.property(soundStream, split, conditions, habits, ({ wire, expected, compression }, split, { host }, habits) => {
      const run = runParser(wire, split, { host, limits: UNLIMITED, compression }, habits);
      assert.deepEqual(run.seen, expected);
    }),
  ),

  fuzz(
    "splits: any stream gives the reference parser's events, however it is split and wherever parsing is stopped",
    { runs: 600, share: 2 },
    fc.property(anyStream, split, conditions, habits, (wire, split, conditions, habits) => {
      const whole = runParser(wire, WHOLE, conditions);
      assert.deepEqual(whole.seen, referenceParse(wire, conditions.limits, conditions.compression));
      const pieces = runParser(wire, split, conditions, habits);
      assert.deepEqual(pieces.seen, whole.seen);
      assert.equal(pieces.message, whole.message);
    }),
  ),

  fuzz(
    "splits: a stream is refused at the first invalid byte, however it is split",
    { runs: 250, share: 2 },
    fc.property(anyStream, split, conditions, habits, (wire, split, conditions, { slab }) => {
      const { limits, compression } = conditions;
      const { refused, message } = runParser(wire, SINGLE_BYTES, conditions);
      const breaks = (length: number): boolean =>
        referenceParse(wire.subarray(0, length), limits, compression).at(-1)?.[0] === "error";
      if (refused === undefined) {
        assert.equal(breaks(wire.length), false);
        return;
      }
      assert.equal(breaks(refused.after), true, "refused without a reason");
      assert.equal(breaks(refused.before), false, "refused too late");
      const pieces = runParser(wire, split, conditions, { ...PLAIN, slab });
      assert.equal(pieces.message, message);
      assert.ok(pieces.refused!.before <= refused.before && pieces.refused!.after >= refused.after);
    }),
  ),

  fuzz(
    "splits: a connection sends and reports the same, however its stream is split, paused and stalled",
    { runs: 400, share: 3 },
    fc.property(anyStream, split, conditions, connectionHabits, (wire, split, conditions, habits) => {
      const calm: ConnectionHabits = {
        ...habits,
        ...{ stalls: [false], turns: [true], resumes: [true], threads: ["oldest"] },
      };
      const whole = runConnection(wire, WHOLE, conditions, calm);
      assert.deepEqual(runConnection(wire, split, conditions, habits), whole);
    }),
  ),
];
