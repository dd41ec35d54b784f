/** The sentences above the charts are made of the numbers. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { charts } from "../../bench/lib/charts.mjs";

const common = {
  machine: { cores: 2, cpu: "a CPU" },
  versions: { node: "24.0.0", ws: "8.0.0", commit: "abc" },
  rounds: 5,
  seconds: 2,
  taken: "2026-11-28T00:00:00.000Z",
};

/** A result with these values. */
const result = (values: Readonly<Record<string, number>>, more: object = {}) => ({
  ...common,
  rows: Object.entries(values).map(([label, value]) => ({ label, value, cpu: value, marks: [], samples: [] })),
  ...more,
});

const named = (name: string, results: Readonly<Record<string, object>>) =>
  charts(results).find((chart) => chart.name === name);

test("there are no charts without results", () => {
  expect(charts({})).toEqual([]);
});

test("echoes are compared with ws, and bars with the longest of their group", () => {
  const chart = named("echo", {
    "echo-1KiB-4-binary": result({ websock: 300, ws: 100 }),
    "echo-1MiB-1-binary": result({ websock: 100, ws: 50, uws: 200 }),
  });
  expect(chart!.sentence).toBe("Messages are echoed 2.0 to 3.0 times as fast as by ws");
  expect(chart!.rows!.filter(({ label }) => label !== "").map(({ label, share }) => [label, share])).toEqual([
    ["websock", 1],
    ["ws", 1 / 3],
    ["websock", 0.5],
    ["ws", 0.25],
    ["uws", 1],
  ]);
});

test("growth is drawn in the order of the numbers of connections", () => {
  const chart = named("growth-connections", {
    "growth-connections-10000": result({ websock: 80 }),
    "growth-connections-1": result({ websock: 20 }),
    "growth-connections-100": result({ websock: 100 }),
  });
  expect(chart!.sentence).toBe("With 10 000 connections, messages per second are 80 % of the maximum");
  expect(chart!.points!.map(({ x, y }) => [x, y])).toEqual([
    [1, 20],
    [100, 100],
    [10_000, 80],
  ]);
});

test("memory is the median of the rounds at each step", () => {
  const sample = (...mebibytes: readonly number[]) => ({
    detail: { points: mebibytes.map((each) => ({ rss: each * 2 ** 20 })) },
  });
  const rows = [
    { label: "websock", marks: [], samples: [sample(10, 20), sample(12, 24), sample(11, 22)] },
    { label: "ws", marks: [], samples: [] },
  ];
  const chart = named("growth-memory", {
    "memory-plain": { ...common, workload: { steps: [5_000, 10_000] }, rows },
  });
  expect(chart!.sentence).toBe("A server with 10 000 idle connections needs 22 MiB");
  expect(chart!.points!.map(({ x, y }) => [x, y])).toEqual([
    [5_000, 11],
    [10_000, 22],
  ]);
});

test("charts are drawn into the folder of the results", () => {
  const folder = mkdtempSync(join(tmpdir(), "websock-js-charts-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const results = {
    "echo-1KiB-4-binary": result({ websock: 300, ws: 100 }),
    "growth-connections-1": result({ websock: 20 }),
    "growth-connections-100": result({ websock: 100 }),
  };
  for (const [id, each] of Object.entries(results)) writeFileSync(join(folder, `${id}.json`), JSON.stringify(each));
  execFileSync(process.execPath, ["bench/charts.mjs", folder]);
  const drawn = ["echo", "growth-connections"].map((name) => readFileSync(join(folder, `${name}.svg`), "utf8"));
  expect(drawn.map((svg) => svg.match(/<title>(.*)<\/title>/)?.[1])).toEqual([
    "Messages are echoed 3.0 times as fast as by ws",
    "With 100 connections, messages per second are 100 % of the maximum",
  ]);
  const count = (svg: string, tag: string): number => svg.split(`<${tag} `).length - 1;
  expect(drawn.map((svg) => [count(svg, "rect"), count(svg, "circle")])).toEqual([
    [2, 0],
    [0, 2],
  ]);
});
