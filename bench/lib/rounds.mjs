/**
 * Measures participants in rounds, in which they take turns, and compares the results. A participant that fails does
 * not affect the others.
 */
import { MissingRuntime } from "./engines.mjs";
import { median, quantile } from "./stats.mjs";

/**
 * @typedef {object} Participant
 * @property {string} label its name in the table
 * @property {string} server a row of `servers.mjs`
 * @property {string} [dist] the build of ours that it uses; default: that of this checkout
 */

/**
 * The samples of a participant.
 *
 * @template Sample
 * @typedef {Participant & { samples: (Sample | undefined)[], problem?: string, missing?: boolean }} Row `samples`: one
 * for each round, `undefined` if there is none; `problem`: why the row is incomplete; `missing`: it needs a runtime
 * that is not installed
 */

/**
 * @template Sample
 * @param {readonly Participant[]} participants
 * @param {number} rounds
 * @param {(participant: Participant, round: number) => Promise<Sample>} measure
 * @param {{ onRound?: () => void, stopped?: () => boolean, together?: boolean }} [options] `stopped`: whether to
 * measure no more, and to discard the current sample; `together`: measure all participants of a round at the same time
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
 * The median of a value of a row's samples; `undefined` if it has none.
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
 * @property {number} ratio the median of the rounds' ratios of ours to the other's: a drift affects both
 * @property {number} ofMedians the ratio of the medians
 * @property {number} low the lower quartile of the rounds' ratios
 * @property {number} high the upper quartile
 * @property {number} min
 * @property {number} max
 * @property {readonly number[]} ratios sorted, of the rounds in which both have been measured
 */

/**
 * Compares two rows by the rounds in which both have samples; `undefined` if there are none.
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
    ratios,
  };
};

/**
 * The lines below a table: why rows are missing or incomplete.
 *
 * @param {readonly { label: string, problem?: string }[]} rows
 * @param {string} [prefix]
 */
export const problemsOf = (rows, prefix = "") =>
  rows.flatMap(({ label, problem }) => (problem === undefined ? [] : [`${prefix}${label}: ${problem}`]));

/** Lets Ctrl-C end the measurement and keep the results so far. A second Ctrl-C ends the process. */
export const stopOnInterrupt = () => {
  let stopped = false;
  process.once("SIGINT", () => {
    stopped = true;
  });
  return () => stopped;
};
