#!/usr/bin/env node
/** Draws charts of the results in bench/results, or in the folder that is given. See README.md. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { charts } from "./lib/charts.mjs";

const FOLDER = process.argv[2] ?? fileURLToPath(new URL("results", import.meta.url));
const WIDTH = 820;
const HEAD = 62;

/** Legible on white and on dark grey. */
const COLORS = {
  websock: "#2f7df6",
  ws: "#e0762a",
  net: "#8b949e",
  uws: "#a970ff",
  bun: "#e05299",
  http2: "#8b949e",
};

/** @param {string} label */
const colorOf = (label) =>
  COLORS[/** @type {keyof COLORS} */ (label)] ?? (label.startsWith("websock") ? "#74a9ff" : "#7f9f6f");

const { document } = parseHTML("<html><body></body></html>");

/** A bar for each server, in groups. @param {import("./lib/charts.mjs").Bars} chart */
const drawBars = ({ rows, grouped }) => {
  const servers = rows.filter(({ heading }) => heading === undefined);
  /** @param {import("./lib/charts.mjs").Bar} row */
  const labelOf = ({ label, text, disturbed }) =>
    `${grouped ? `${label}  ` : ""}${text}${disturbed ? " (disturbed)" : ""}`;
  return Plot.plot({
    document,
    width: WIDTH,
    height: 40 + rows.length * 24,
    marginLeft: grouped ? 12 : 130,
    x: { axis: null, domain: [0, 1.3] },
    y: { axis: null, domain: rows.map(({ key }) => key), padding: 0.15 },
    marks: [
      Plot.barX(servers, {
        x: "share",
        y: "key",
        fill: ({ label }) => colorOf(label),
        fillOpacity: ({ disturbed }) => (disturbed ? 0.35 : 1),
      }),
      Plot.text(servers, { x: "share", y: "key", text: labelOf, textAnchor: "start", dx: 5 }),
      grouped
        ? Plot.text(
            rows.filter(({ heading }) => heading !== undefined),
            { x: 0, y: "key", text: "heading", textAnchor: "start", fontWeight: "bold", dy: 3 },
          )
        : Plot.text(servers, { x: 0, y: "key", text: "label", textAnchor: "end", dx: -6 }),
    ],
  });
};

/** A line for each server. @param {import("./lib/charts.mjs").Lines} chart */
const drawLines = ({ points, x, y }) => {
  const faint = { strokeOpacity: 0.15 };
  const ticks = x.type === "log" ? [...new Set(points.map((point) => point.x))] : undefined;
  const options = {
    document,
    width: WIDTH,
    height: 360,
    marginLeft: 60,
    marginRight: 120,
    marginTop: 30,
    x: { type: x.type, label: x.label, tickFormat: countText, ...(ticks ? { ticks } : { zero: true }) },
    y: { type: y.type, label: y.label, tickFormat: countText, ticks: 5, ...(y.type === "linear" && { zero: true }) },
  };
  const marks = [
    Plot.gridX(ticks ?? [], faint),
    Plot.gridY({ ...faint, ticks: 5 }),
    Plot.line(points, { x: "x", y: "y", z: "label", stroke: ({ label }) => colorOf(label), strokeWidth: 2 }),
    Plot.dot(points, {
      x: "x",
      y: "y",
      fill: ({ label }) => colorOf(label),
      fillOpacity: ({ disturbed }) => (disturbed ? 0.35 : 1),
      r: 3.5,
    }),
  ];
  // The names at the ends of the lines are moved apart.
  const scale = Plot.plot({ ...options, marks }).scale("y");
  let above = Number.NEGATIVE_INFINITY;
  const names = points
    .filter(({ label }, i) => points.findLastIndex((point) => point.label === label) === i)
    .map((point) => ({ ...point, at: scale.apply(point.y) }))
    .sort((a, b) => a.at - b.at)
    .map((point) => ({ ...point, to: (above = Math.max(point.at, above + 15)) }));
  const texts = names.map((point) =>
    Plot.text([point], {
      x: "x",
      y: "y",
      text: "label",
      fill: colorOf(point.label),
      textAnchor: "start",
      fontWeight: "bold",
      dx: 9,
      dy: point.to - point.at,
    }),
  );
  return Plot.plot({ ...options, marks: [...marks, ...texts] });
};

/** @param {number} value */
const countText = (value) =>
  value >= 1e6 ? `${value / 1e6} M` : value >= 1e3 ? `${value / 1e3} k` : String(Number(value.toPrecision(3)));

/** @param {string} text */
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/**
 * The chart with its sentence above, and where the numbers come from below.
 *
 * @param {import("./lib/charts.mjs").Chart} chart
 */
const page = (chart) => {
  const inner = chart.kind === "bars" ? drawBars(chart) : drawLines(chart);
  inner.setAttribute("y", String(HEAD));
  const height = Number(inner.getAttribute("height")) + HEAD + 22;
  const size = `width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="system-ui, 'Segoe UI', sans-serif">
<style>
svg { color: #1f2328; }
@media (prefers-color-scheme: dark) { svg { color: #e6edf3; } }
</style>
<title>${escaped(chart.sentence)}</title>
<text x="12" y="24" font-size="16" font-weight="600" fill="currentColor">${escaped(chart.sentence)}</text>
<text x="12" y="45" font-size="12" fill="currentColor" opacity="0.75">${escaped(chart.subject)}</text>
${inner.outerHTML.replaceAll('font-size="10"', 'font-size="12"')}
<text x="12" y="${height - 8}" font-size="10" fill="currentColor" opacity="0.6">${escaped(chart.source)}</text>
</svg>
`;
};

if (!existsSync(FOLDER)) throw new Error("there are no results yet: npm run bench -- --save");
const results = Object.fromEntries(
  readdirSync(FOLDER)
    .filter((name) => name.endsWith(".json"))
    .map((name) => [name.replace(/\.json$/, ""), JSON.parse(readFileSync(join(FOLDER, name), "utf8"))]),
);
for (const chart of charts(results)) {
  writeFileSync(join(FOLDER, `${chart.name}.svg`), page(chart));
  console.log(`${chart.name}.svg: ${chart.sentence}`);
}
