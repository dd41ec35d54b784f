/** What a handshake costs the server, with the end of the connection: the client closes it after the 101. */
import { disturbances } from "../lib/disturbance.mjs";
import { loadSeconds, runLoad } from "./load.mjs";

export const secondsOf = loadSeconds;

/** @type {import("./index.mjs").Measure} */
export const measure = async (participant, work, context) => {
  const { result, sample, circumstances } = await runLoad(participant, work, context, { mode: "handshakes" });
  const perSecond = result.messages / result.seconds;
  // What is compared is the CPU time of the server: the load may be the limit.
  const marks = disturbances({ ...circumstances, load: 0 });
  return { value: sample.cpu ?? Number.NaN, ...sample, marks, detail: { perSecond } };
};
