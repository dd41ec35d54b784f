/**
 * Latency at a rate that does not depend on the server: a share of what `ws` can answer, which is measured at the
 * beginning of each round. A latency begins when the message was to be sent, not when it was: a server that stops for a
 * while also delays the messages that could not be sent meanwhile ("coordinated omission").
 */
import { disturbances } from "../lib/disturbance.mjs";
import { percentile } from "../lib/histogram.mjs";
import { loadSeconds, runLoad } from "./load.mjs";

/** @type {import("./index.mjs").SecondsOf} */
export const secondsOf = (work, context) => loadSeconds(work, context) * (1 + 1 / work.servers.length);

/** By workload and round. @type {Map<string, Promise<number>>} */
const saturations = new Map();

/** What `ws` answers per second with one message in flight on each connection: in an open loop, few arrive together. */
const saturation = (
  /** @type {import("../lib/workloads.mjs").Workload} */ work,
  /** @type {import("./load.mjs").Context} */ context,
) => {
  const key = `${work.id} ${context.round}`;
  const known = saturations.get(key);
  if (known !== undefined) return known;
  const found = runLoad({ label: "ws", server: "ws" }, work, context, { mode: "closed" }).then(
    ({ result }) => result.messages / result.seconds,
  );
  saturations.set(key, found);
  return found;
};

/** @type {import("./index.mjs").Measure} */
export const measure = async (participant, work, context) => {
  const rate = Math.round((await saturation(work, context)) * (work.share ?? 1));
  const { result, sample, circumstances } = await runLoad(participant, work, context, { mode: "open", rate });
  const micros = (/** @type {[number, number][] | undefined} */ histogram, /** @type {number} */ share) =>
    (percentile(histogram ?? [], share) ?? Number.NaN) / 1000;
  const p99 = micros(result.latencies, 0.99);
  const late = micros(result.delays, 0.99) / p99;
  return {
    value: p99,
    ...sample,
    marks: disturbances({ ...circumstances, openLoop: true, late }),
    detail: { rate, p50: micros(result.latencies, 0.5), p99, p999: micros(result.latencies, 0.999), late },
  };
};
