/** What is concluded from the samples of a workload: medians, ratios, and whether targets are hit. */
import { judgeSamples, spreadMarks } from "./disturbance.mjs";
import { compare, medianOf } from "./rounds.mjs";

/** The bounds of the ratio to another build. */
const AGAINST = { higher: { target: 0.97 }, lower: { target: 1.03 } };
/** How many more bytes of heap an idle connection may need than in the other build. */
const AGAINST_BYTES = 64;

/**
 * @typedef {"hit" | "required" | "MISSED" | "disturbed"} Verdict `required`: the target is missed, but not what is
 * required
 */

/**
 * @param {number} ratio
 * @param {import("./workloads.mjs").Target} bounds
 * @param {"higher" | "lower"} better
 * @returns {Verdict}
 */
export const verdictOf = (ratio, { target, required }, better) => {
  const reaches = (/** @type {number} */ bound) => (better === "higher" ? ratio >= bound : ratio <= bound);
  return reaches(target) ? "hit" : required !== undefined && reaches(required) ? "required" : "MISSED";
};

/**
 * The rows of a workload, as they are reported and saved.
 *
 * @param {import("./workloads.mjs").Workload} work
 * @param {readonly import("./rounds.mjs").Row<import("../measures/load.mjs").Sample>[]} rows
 * @param {{ together?: boolean }} [options] all were measured at the same time: only CPU times can be compared
 */
export const summarize = (work, rows, { together = false } = {}) => {
  const perCpu = together || work.decides === "perCpu";
  const decisive = (/** @type {import("../measures/load.mjs").Sample} */ sample) =>
    perCpu && work.better === "higher" ? (sample.perCpu ?? sample.value) : sample.value;
  const judged = rows.map((row) => ({ ...row, ...judgeSamples(row.samples) }));
  const [ours] = judged;
  return judged.map((row, i) => {
    const median = (/** @type {keyof import("../measures/load.mjs").Sample} */ what) =>
      medianOf(row, (sample) => sample[what]);
    const against = i === 0 ? undefined : compare(ours, row, decisive);
    const bounds = row.dist === undefined ? work.targets[row.server] : AGAINST[work.better];
    // The values of one server may differ between rounds because the speed of the machine does. The ratios to another
    // server then do not differ.
    const values = row.samples.filter((sample) => sample !== undefined).map(decisive);
    const marks = [...row.marks, ...(i > 0 ? spreadMarks(against?.ratios ?? []) : together ? [] : spreadMarks(values))];
    const disturbed = ours.marks.length + marks.length > 0;
    return {
      label: row.label,
      server: row.server,
      dist: row.dist,
      problem: row.problem,
      missing: row.missing,
      value: median("value"),
      perCpu: median("perCpu"),
      cpu: median("cpu"),
      serverCpu: median("server"),
      loadCpu: median("load"),
      peak: median("peak"),
      marks,
      ratio: against,
      disturbed: i > 0 && disturbed,
      ...verdict({ work, ours, row, against, bounds, disturbed }),
      samples: rows[i].samples,
    };
  });
};

/** @param {any} comparison @returns {{ target?: number, required?: number, verdict?: Verdict, difference?: number }} */
const verdict = ({ work, ours, row, against, bounds, disturbed }) => {
  if (against === undefined || bounds === undefined) return {};
  if (work.kind === "memory" && row.dist !== undefined) {
    const heap = (/** @type {any} */ one) => medianOf(one, (sample) => sample.detail.counted);
    const difference = heap(ours) - heap(row);
    return { difference, verdict: difference <= AGAINST_BYTES ? "hit" : "MISSED" };
  }
  return { ...bounds, verdict: disturbed ? "disturbed" : verdictOf(against.ratio, bounds, work.better) };
};
