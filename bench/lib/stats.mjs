/** Statistics and their formats. */

/** @param {readonly number[]} values */
export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/**
 * @param {readonly number[]} sorted
 * @param {number} share
 */
export const quantile = (sorted, share) => {
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  return sorted[below] + (at - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
};

/** @param {number} value */
export const short = (value) =>
  value >= 1e6
    ? `${(value / 1e6).toFixed(2)} M`
    : value >= 1e4
      ? `${(value / 1e3).toFixed(0)} k`
      : value >= 1e3
        ? `${(value / 1e3).toFixed(1)} k`
        : value >= 100
          ? value.toFixed(0)
          : value.toPrecision(2);

/** @param {number} share */
export const percent = (share) => `${(share * 100).toFixed(0)} %`;

/**
 * A Markdown table that is also readable as plain text.
 *
 * @param {readonly string[]} head
 * @param {readonly (readonly string[])[]} rows
 */
export const table = (head, rows) => {
  const widths = head.map((title, i) => Math.max(...[title, ...rows.map((row) => row[i])].map((cell) => cell.length)));
  const line = (/** @type {readonly string[]} */ cells) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(" | ")} |`;
  const rules = widths.map((width, i) => (i === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`));
  const rule = `|${rules.join("|")}|`;
  return [line(head), rule, ...rows.map(line)].join("\n");
};
