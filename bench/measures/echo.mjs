/** Messages per second, with a fixed number of messages in flight on each connection. */
import { disturbances } from "../lib/disturbance.mjs";
import { verify } from "../load/verify.mjs";
import { loadSeconds, runLoad } from "./load.mjs";

export const secondsOf = loadSeconds;

/** @type {import("./index.mjs").Measure} */
export const measure = async (participant, work, context) => {
  const compressed = work.load.messages.compressed !== undefined;
  const check = { members: 2, senders: 2, each: 20, compressed, everyone: false, except: false };
  const prepare = compressed ? (/** @type {number} */ port) => verify(port, check) : undefined;
  const { result, sample, circumstances } = await runLoad(participant, work, context, { mode: "closed" }, prepare);
  return { value: result.messages / result.seconds, ...sample, marks: disturbances(circumstances) };
};
