/** Targets are judged by the rounds' ratios. */
import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Sample, summarize, verdictOf } from "../../bench/lib/results.mjs";
import { SERVERS } from "../../bench/lib/servers.mjs";
import { WORKLOADS, type Workload } from "../../bench/lib/workloads.mjs";

test.each([
  [12, "higher", "hit"],
  [11, "higher", "hit"],
  [10, "higher", "required"],
  [8, "higher", "MISSED"],
  [8, "lower", "hit"],
  [12, "lower", "MISSED"],
] as const)("a ratio of %s, where %s is better: %s", (ratio, better, verdict) => {
  expect(verdictOf(ratio, { target: 11, required: better === "higher" ? 9 : 11.5 }, better)).toBe(verdict);
});

test("what is not required can only be hit or missed", () => {
  expect(verdictOf(0.99, { target: 1 }, "higher")).toBe("MISSED");
});

describe("the summary of a workload", () => {
  const work: Workload = {
    id: "echo",
    title: "echo",
    kind: "echo",
    unit: "messages/s",
    better: "higher",
    decides: "value",
    servers: ["websock", "ws"],
    targets: { ws: { target: 2 } },
  };
  const row = (label: string, samples: readonly Partial<Sample>[], more: object = {}) => ({
    label,
    server: label.replace(/@.*/, ""),
    samples: samples.map((sample) => ({ value: 1, marks: [], ...sample })),
    ...more,
  });

  test("has the medians and the ratio of ours to the other", () => {
    const rows = [row("websock", [{ value: 30 }, { value: 31 }]), row("ws", [{ value: 10 }, { value: 10 }])];
    const [ours, ws] = summarize(work, rows);
    expect(ours).toMatchObject({ label: "websock", value: 30.5, ratio: undefined });
    expect(ours!.verdict).toBeUndefined();
    expect(ws).toMatchObject({ value: 10, ratio: { ratio: 3.05, ratios: [3, 3.1] }, target: 2, verdict: "hit" });
  });

  test("compares the CPU times of servers that were measured together", () => {
    const rows = [row("websock", [{ value: 30, perCpu: 9 }]), row("ws", [{ value: 10, perCpu: 9 }])];
    expect(summarize(work, rows, { together: true })[1]).toMatchObject({ ratio: { ratio: 1 }, verdict: "MISSED" });
    expect(summarize({ ...work, decides: "perCpu" }, rows)[1]).toMatchObject({ ratio: { ratio: 1 } });
  });

  test.each([0, 1])("does not judge a target if one of the two was disturbed", (which) => {
    const samples = (i: number) => [{ value: 30 - 20 * i, marks: i === which ? ["noise"] : [] }];
    const rows = [row("websock", samples(0)), row("ws", samples(1))];
    expect(summarize(work, rows)[1]).toMatchObject({ ratio: { ratio: 3 }, verdict: "disturbed" });
  });

  test("judges by the ratios where the rounds of both servers differ in the same way", () => {
    const rates = [10, 20, 40];
    const rows = [
      row(
        "websock",
        rates.map((value) => ({ value: 3 * value })),
      ),
      row(
        "ws",
        rates.map((value) => ({ value })),
      ),
    ];
    const [ours, ws] = summarize(work, rows);
    expect(ours!.marks).toEqual(["the rounds differ by 75 %"]);
    expect(ws).toMatchObject({ marks: [], disturbed: false, verdict: "hit" });
    expect(summarize(work, rows, { together: true })[0]!.marks).toEqual([]);
    const [, other] = summarize(work, [rows[0]!, row("ws", [{ value: 10 }, { value: 10 }, { value: 10 }])]);
    expect(other).toMatchObject({ marks: ["the rounds differ by 75 %"], disturbed: true, verdict: "disturbed" });
  });

  test.each([
    ["higher", 0.98, "hit"],
    ["higher", 0.96, "MISSED"],
    ["lower", 1.02, "hit"],
    ["lower", 1.04, "MISSED"],
  ] as const)("where %s values are better, %s of another build is: %s", (better, value, verdict) => {
    const rows = [row("websock", [{ value }]), row("websock@other", [{ value: 1 }], { dist: "/other" })];
    expect(summarize({ ...work, better }, rows)[1]).toMatchObject({ verdict });
  });

  test("compares the heap of idle connections with that of another build", () => {
    const memory: Workload = { ...work, kind: "memory", better: "lower", targets: {} };
    const verdict = (counted: number) => {
      const detail = { detail: { counted } };
      return summarize(memory, [
        row("websock", [detail]),
        row("websock@other", [{ detail: { counted: 2_000 } }], { dist: "/other" }),
      ])[1];
    };
    expect(verdict(2_064)).toMatchObject({ difference: 64, verdict: "hit" });
    expect(verdict(2_065)).toMatchObject({ difference: 65, verdict: "MISSED" });
  });
});

describe("the workloads", () => {
  test("have different names, and targets for servers that they measure", () => {
    expect(new Set(WORKLOADS.map(({ id }) => id)).size).toBe(WORKLOADS.length);
    for (const { id, servers, targets } of WORKLOADS)
      expect({ id, unknown: Object.keys(targets).filter((name) => !servers.slice(1).includes(name)) }).toEqual({
        id,
        unknown: [],
      });
  });

  test("name servers that exist", () => {
    // The nodes of two processes have a table of their own, in measures/nodes.mjs.
    const named = WORKLOADS.filter(({ kind }) => kind !== "nodes").flatMap(({ servers }) => servers);
    expect(named.filter((name) => SERVERS[name] === undefined)).toEqual([]);
    const scripts = Object.values(SERVERS).map(({ script }) => script);
    expect(scripts.filter((script) => !existsSync(`bench/servers/${script}`))).toEqual([]);
  });
});
