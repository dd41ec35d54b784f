/** Disturbed measurements are recognized, and not quoted. */
import { describe, expect, test } from "vitest";
import { disturbances, judgeSamples, readCores, spreadMarks } from "../../bench/lib/disturbance.mjs";

test("the times of the cores are read from /proc/stat", () => {
  const text = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 100 20 30 4000 5 6 7 8 0 0\ncpu1 1 0 0 0 0 0 0 0 0 0\nintr 1 2 3\n";
  expect(readCores(text)).toEqual([
    { busy: 1.63, steal: 0.08 },
    { busy: 0.01, steal: 0 },
  ]);
});

describe("a measurement", () => {
  const quiet = { server: 1, load: 0.6, serverForeign: 0.01, loadForeign: 0.02, steal: 0.001 };

  test.each([
    ["is not marked on a quiet machine", {}, []],
    ["is not marked where the server was the limit, although the load was, too", { load: 0.99 }, []],
    ["is marked if the load was the limit", { server: 0.7, load: 0.99 }, ["the load was the limit"]],
    ["is not if the load sends at fixed times", { server: 0.7, load: 0.99, openLoop: true }, []],
    ["is marked if the hypervisor took CPU time", { steal: 0.05 }, ["the hypervisor took CPU time"]],
    ["is marked if others used the server's core", { serverForeign: 0.1 }, ["others used the server's core"]],
    ["is marked if others used the load's core", { loadForeign: 0.1 }, ["others used the load's core"]],
    ["is marked if messages were sent too late", { openLoop: true, late: 0.8 }, ["the load sent too late"]],
  ])("%s", (_what, more, marks) => {
    expect(disturbances({ ...quiet, ...more })).toEqual(marks);
  });
});

describe("a row", () => {
  const sample = (value: number, ...marks: string[]) => ({ value, marks });

  test("is without its disturbed samples, if they are few", () => {
    const samples = [sample(10), sample(3, "noise"), undefined, sample(11), sample(10)];
    expect(judgeSamples(samples)).toEqual({
      samples: [sample(10), undefined, undefined, sample(11), sample(10)],
      marks: [],
    });
  });

  test("is marked with all that disturbed it, if most of its samples are disturbed", () => {
    const samples = [sample(10), sample(3, "noise"), sample(4, "noise", "steal")];
    expect(judgeSamples(samples)).toEqual({ samples, marks: ["noise", "steal"] });
  });
});

test.each([
  [[104, 100, 96], []],
  [[100, 130, 80], ["the rounds differ by 25 %"]],
  [[100, 200], []], // two rounds have no quartiles
])("the spread of %s", (values, marks) => {
  expect(spreadMarks(values)).toEqual(marks);
});
