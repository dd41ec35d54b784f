/** Decides whether a measurement was disturbed: then its row is marked, and its ratios are not quoted. */
import { readFileSync } from "node:fs";
import { quantile } from "./stats.mjs";

/**
 * The bounds. Shares are those of a core's time.
 */
const BOUNDS = {
  /** The hypervisor ran something else. */
  steal: 0.02,
  /** Other processes used the core. Below that are the kernel's own threads, and the error of its clock ticks. */
  foreign: 0.04,
  /** The load used its core up, and the server did not. */
  busy: 0.95,
  /** The distance of the quartiles, as a share of the median. */
  spread: 0.1,
};

/** @typedef {{ busy: number, steal: number }} Core seconds since the machine started */

/**
 * Reads the times of the cores from `/proc/stat`; `undefined` if there is no such file.
 *
 * @param {string} [text]
 * @returns {Core[] | undefined}
 */
export const readCores = (text = readStat()) =>
  text?.match(/^cpu\d+ .*$/gm)?.map((line) => {
    const [user = 0, nice = 0, system = 0, , , irq = 0, soft = 0, steal = 0] = line.split(" ").slice(1).map(Number);
    // The unit is USER_HZ, which is 100 on every Linux that runs Node.
    return { busy: (user + nice + system + irq + soft) / 100, steal: steal / 100 };
  });

const readStat = () => {
  try {
    return readFileSync("/proc/stat", "utf8");
  } catch {
    return undefined;
  }
};

/**
 * @typedef {object} Circumstances of one measurement, as shares of its duration
 * @property {number} server the CPU time of the server
 * @property {number} load the CPU time of the load
 * @property {number} [serverForeign] the time for which other processes used the server's core
 * @property {number} [loadForeign] the same for the load's core
 * @property {number} [steal] the time for which the hypervisor ran something else on either of the two
 * @property {boolean} [openLoop] the load sends at fixed times, and waits for them without sleeping
 * @property {number} [late] open loop: the 99th percentile of the time by which messages were sent late, as a share of
 * the 99th percentile of the latencies
 */

/**
 * What disturbed a measurement.
 *
 * @param {Circumstances} circumstances
 * @returns {string[]}
 */
export const disturbances = ({ server, load, serverForeign = 0, loadForeign = 0, steal = 0, openLoop, late = 0 }) => [
  ...(steal > BOUNDS.steal ? ["the hypervisor took CPU time"] : []),
  ...(serverForeign > BOUNDS.foreign ? ["others used the server's core"] : []),
  ...(loadForeign > BOUNDS.foreign ? ["others used the load's core"] : []),
  ...(!openLoop && load > BOUNDS.busy && server < BOUNDS.busy ? ["the load was the limit"] : []),
  ...(late > 0.5 ? ["the load sent too late"] : []),
];

/**
 * The samples of a row that count, and what disturbed the row. If most samples are undisturbed, only these count;
 * otherwise all count, and the row is marked.
 *
 * @template {{ marks: readonly string[] }} Sample
 * @param {readonly (Sample | undefined)[]} samples `undefined`: a round in which there is none
 * @returns {{ samples: (Sample | undefined)[], marks: string[] }}
 */
export const judgeSamples = (samples) => {
  const all = samples.filter((sample) => sample !== undefined);
  const disturbed = all.filter(({ marks }) => marks.length > 0);
  const mostAreDisturbed = disturbed.length * 2 > all.length;
  return {
    samples: samples.map((sample) => (mostAreDisturbed || sample?.marks.length === 0 ? sample : undefined)),
    marks: mostAreDisturbed ? [...new Set(disturbed.flatMap((sample) => sample.marks))] : [],
  };
};

/**
 * Whether rounds differ too much: by the distance of the quartiles, as a share of the median.
 *
 * @param {readonly number[]} values the values of one server in each round, or the ratios of each round
 * @returns {string[]} nothing, or the mark
 */
export const spreadMarks = (values) => {
  if (values.length < 3) return [];
  const sorted = [...values].sort((a, b) => a - b);
  const spread = (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / quantile(sorted, 0.5);
  return spread > BOUNDS.spread ? [`the rounds differ by ${(spread * 100).toFixed(0)} %`] : [];
};
