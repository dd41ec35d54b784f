/** Deliveries per second: what some members of a room send is received by all members. */
import { disturbances } from "../lib/disturbance.mjs";
import { verify } from "../load/verify.mjs";
import { loadSeconds, runLoad } from "./load.mjs";

/** At most this many members check all messages, before the measurement with all members of the workload. */
const CHECKED = 32;

/** The slowest servers need seconds for one round of bursts. @type {import("./index.mjs").SecondsOf} */
export const secondsOf = (work, context) => loadSeconds(work, context) + (work.load.bursts ?? 1) / 8;

/** @type {import("./index.mjs").Measure} */
export const measure = async (participant, work, context) => {
  const { connections = 1, senders = 1, burst = 1, except = false, messages } = work.load;
  const members = Math.min(connections, CHECKED);
  const compressed = messages.compressed !== undefined;
  const channel = messages.channel !== undefined;
  const check = {
    channel,
    members,
    senders: Math.min(senders, members),
    each: 2 * burst,
    compressed,
    everyone: true,
    except,
  };
  const prepare = (/** @type {number} */ port) => verify(port, check);
  const { result, sample, circumstances } = await runLoad(participant, work, context, { mode: "fan-out" }, prepare);
  return {
    value: result.messages / result.seconds,
    ...sample,
    // What is compared is the CPU time of the server: the load may be the limit.
    marks: disturbances({ ...circumstances, load: 0 }),
  };
};
