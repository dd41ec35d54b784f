/** The results as a table. */
import { percent, short, table } from "./stats.mjs";

const HEAD = [
  ...["workload", "server", "value", "unit", "quartiles of ours/it", "ours/it", "target", ""],
  ...["CPU/message", "server CPU", "load CPU", "peak memory", "more", "disturbed by"],
];

/** @param {number | undefined} value @param {(value: number) => string} format */
const or = (value, format) => (value === undefined || Number.isNaN(value) ? "" : format(value));

const fixed = (/** @type {number} */ value) => (value >= 10 ? value.toFixed(1) : value.toFixed(2));

const micros = (/** @type {number} */ value) => `${value >= 100 ? value.toFixed(0) : value.toPrecision(2)} µs`;

/** @param {any} row */
const verdictText = ({ verdict, required }) =>
  verdict === "required"
    ? "MISSED, required hit"
    : verdict === "MISSED" && required
      ? "MISSED, required MISSED"
      : (verdict ?? "");

/** What else a workload measures. @type {(detail: any) => string} */
const more = (detail) => {
  if (detail === undefined) return "";
  const { p50, p99, p999, rate, counted, publisher, receiver, perSecond } = detail;
  if (p50 !== undefined) return `p50 ${micros(p50)}, p99 ${micros(p99)}, p99.9 ${micros(p999)} at ${short(rate)}/s`;
  if (counted !== undefined) return `heap + external ${counted.toFixed(0)} B`;
  if (publisher !== undefined) return `publisher ${micros(publisher)}, receiver ${micros(receiver)}`;
  return `${short(perSecond)}/s`;
};

/** @param {readonly any[]} results */
export const report = (results) =>
  table(
    HEAD,
    results.flatMap(({ workload, rows }) =>
      rows.map((/** @type {any} */ row, /** @type {number} */ i) => {
        const sign = workload.better === "higher" ? "≥" : "≤";
        const ratio = or(row.ratio?.ratio, fixed);
        const sample = row.samples.find((/** @type {unknown} */ one) => one !== undefined);
        return [
          i === 0 ? workload.id : "",
          row.label,
          row.value === undefined ? "–" : short(row.value),
          workload.unit,
          row.ratio === undefined ? "" : `${fixed(row.ratio.low)} … ${fixed(row.ratio.high)}`,
          // What is disturbed is not quoted.
          row.disturbed ? `(${ratio})` : ratio,
          row.target === undefined
            ? or(row.difference, (bytes) => `${bytes < 0 ? "−" : "+"}${Math.abs(bytes).toFixed(0)} B`)
            : `${sign} ${row.target}${row.required === undefined ? "" : `; ${sign} ${row.required}`}`,
          verdictText(row),
          or(row.cpu, micros),
          or(row.serverCpu, percent),
          or(row.loadCpu, percent) + (sample?.inC === false ? " (JS)" : ""),
          or(row.peak, (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`),
          more(sample?.detail),
          row.marks.join(", "),
        ];
      }),
    ),
  );
