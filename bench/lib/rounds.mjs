/**
 * Rounds in which whoever is compared takes turns, and what they tell. One that fails costs its own row and no other.
 */
import { MissingRuntime } from "./engines.mjs";
import { median } from "./stats.mjs";

/**
 * @typedef {object} Participant
 * @property {string} label what the table calls it
 * @property {string} server a row of `servers.mjs`
 * @property {string} [dist] the build of ours that it uses; default: that of this checkout
 */

/**
 * What a participant did.
 *
 * @template Sample
 * @typedef {Participant & { samples: (Sample | undefined)[], problem?: string, missing?: boolean }} Row `samples`: one
 * for each round, `undefined` where there is none; `problem`: why the row is not whole; `missing`: it needs a runtime
 * that is not installed
 */

/**
 * @template Sample
 * @param {readonly Participant[]} participants
 * @param {number} rounds
 * @param {(participant: Participant, round: number) => Promise<Sample>} measure
 * @param {{ onRound?: () => void, stopped?: () => boolean, together?: boolean }} [options] `stopped`: measure no more,
 * and forget the sample that was being taken; `together`: measure all participants of a round at the same time
 * @returns {Promise<Row<Sample>[]>}
 */
export const takeTurns = async (
  participants,
  rounds,
  measure,
  { onRound, stopped = () => false, together = false } = {},
) => {
  /** @type {Row<Sample>[]} */
  const rows = participants.map((participant) => ({ ...participant, samples: [] }));
  /**
   * @param {Row<Sample>} row
   * @param {number} round
   */
  const measureRow = async (row, round) => {
    if (row.problem !== undefined || stopped()) return;
    try {
      const sample = await measure(row, round);
      if (!stopped()) row.samples[round] = sample;
    } catch (error) {
      if (stopped()) return;
      row.missing = error instanceof MissingRuntime;
      row.problem = row.missing
        ? `left out: ${/** @type {Error} */ (error).message}`
        : `failed in round ${round + 1} of ${rounds}: ${error instanceof Error ? error.message : error}`;
    }
  };
  for (let round = 0; round < rounds; round++) {
    // Each round starts with another row, so that drift affects all rows equally.
    const order = rows.map((_, i) => rows[(round + i) % rows.length]);
    if (together) await Promise.all(order.map((row) => measureRow(row, round)));
    else for (const row of order) await measureRow(row, round);
    if (stopped()) break;
    onRound?.();
  }
  return rows;
};

/**
 * The median of what the rounds of a row say; `undefined` if it has none.
 *
 * @template Sample
 * @param {Row<Sample>} row
 * @param {(sample: Sample) => number} of
 */
export const medianOf = ({ samples }, of) => {
  const values = samples.filter((sample) => sample !== undefined).map(of);
  return values.length === 0 ? undefined : median(values);
};

/**
 * @typedef {object} Comparison
 * @property {number} ratio the median of the rounds' ratios, ours over the other's: what drifts, drifts for both
 * @property {number} ofMedians the ratio of the medians
 * @property {number} low the lower quartile of the rounds' ratios
 * @property {number} high the upper quartile
 * @property {number} min
 * @property {number} max
 * @property {number} rounds in which both have been measured
 */

/**
 * Two rows, by the rounds that both have; `undefined` if there are none.
 *
 * @template Sample
 * @param {Row<Sample>} ours
 * @param {Row<Sample>} other
 * @param {(sample: Sample) => number} of
 * @returns {Comparison | undefined}
 */
export const compare = (ours, other, of) => {
  /** @type {[number, number][]} */
  const pairs = [];
  ours.samples.forEach((sample, round) => {
    const its = other.samples[round];
    if (sample !== undefined && its !== undefined) pairs.push([of(sample), of(its)]);
  });
  if (pairs.length === 0) return undefined;
  const ratios = pairs.map(([a, b]) => a / b).sort((a, b) => a - b);
  return {
    ratio: median(ratios),
    ofMedians: median(pairs.map(([a]) => a)) / median(pairs.map(([, b]) => b)),
    low: quantile(ratios, 0.25),
    high: quantile(ratios, 0.75),
    min: ratios[0],
    max: ratios[ratios.length - 1],
    rounds: pairs.length,
  };
};

/**
 * @param {readonly number[]} sorted
 * @param {number} share
 */
const quantile = (sorted, share) => {
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  return sorted[below] + (at - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
};

/**
 * The lines below a table: why rows are missing or not whole.
 *
 * @param {readonly { label: string, problem?: string }[]} rows
 * @param {string} [prefix]
 */
export const problemsOf = (rows, prefix = "") =>
  rows.flatMap(({ label, problem }) => (problem === undefined ? [] : [`${prefix}${label}: ${problem}`]));

/** Ends the measuring with Ctrl-C, and keeps what was measured. A second one ends the process. */
export const stopOnInterrupt = () => {
  let stopped = false;
  process.once("SIGINT", () => {
    stopped = true;
  });
  return () => stopped;
};
