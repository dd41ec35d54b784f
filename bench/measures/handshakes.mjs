/**
 * What a handshake costs the server. Connections are opened, some at a time, until there are as many as the workload
 * says, and then closed. The CPU time is that of the opening.
 */
import { disturbances } from "../lib/disturbance.mjs";
import { loadSeconds, runLoad } from "./load.mjs";

/** There are fewer handshakes than messages in a second: it takes longer until the code is optimized. */
const longer = (/** @type {import("./load.mjs").Context} */ context) => ({ ...context, warmup: context.warmup * 3 });

/** @type {import("./index.mjs").SecondsOf} */
export const secondsOf = (work, context) => loadSeconds(work, longer(context));

/** @type {import("./index.mjs").Measure} */
export const measure = async (participant, work, context) => {
  const how = /** @type {const} */ ({ mode: "handshakes" });
  const { result, sample, circumstances } = await runLoad(participant, work, longer(context), how);
  const { messages, opening = Number.NaN, server = Number.NaN } = result;
  const cpu = (server / messages) * 1e6;
  return {
    ...sample,
    value: cpu,
    cpu,
    perCpu: messages / server,
    // What is compared is the CPU time of the server: the load may be the limit.
    marks: disturbances({ ...circumstances, load: 0 }),
    detail: { perSecond: messages / opening },
  };
};
