/** The benchmarks keep what they have measured, whatever becomes of one of those who are compared. */
import { describe, expect, test } from "vitest";
import { MissingRuntime } from "../../bench/lib/engines.mjs";
import { compare, takeTurns } from "../../bench/lib/rounds.mjs";

const participants = ["a", "b", "c"].map((label) => ({ label, server: label }));

describe("rounds", () => {
  test("everybody takes turns, and each round begins with another one", async () => {
    const order: string[] = [];
    await takeTurns(participants, 3, async ({ label }) => void order.push(label));
    expect(order.join("")).toBe("abcbcacab");
  });

  test("one that fails keeps its rounds until then, is not tried again, and costs the others nothing", async () => {
    let calls = 0;
    const rows = await takeTurns(participants, 3, async ({ label }, round) => {
      if (label === "b" && ++calls === 2) throw new Error("it has died");
      return { rate: round };
    });
    expect(calls).toBe(2);
    expect(rows.map(({ samples }) => samples.length)).toEqual([3, 1, 3]);
    expect(rows[1]).toMatchObject({ problem: "failed in round 2 of 3: it has died", missing: false });
  });

  test("a runtime that is not installed is left out, and is no failure", async () => {
    const [a, b] = await takeTurns(participants, 1, async ({ label }) => {
      if (label === "b") throw new MissingRuntime("bun is not installed");
      return { rate: 1 };
    });
    expect(a!.samples).toEqual([{ rate: 1 }]);
    expect(b).toMatchObject({ samples: [], problem: "left out: bun is not installed", missing: true });
  });

  test("an interruption keeps what was measured before", async () => {
    let stopped = false;
    const rows = await takeTurns(
      participants,
      3,
      async ({ label }, round) => {
        if (label === "b" && round === 1) {
          stopped = true;
          throw new Error("the interruption has ended the server too");
        }
        return { rate: round };
      },
      { stopped: () => stopped },
    );
    expect(rows.map(({ samples, problem }) => [samples.length, problem])).toEqual(Array(3).fill([1, undefined]));
  });

  test("a comparison takes the rounds that both have", () => {
    const row = (label: string, rates: (number | undefined)[]) => ({
      label,
      server: label,
      samples: rates.map((rate) => (rate === undefined ? undefined : { rate })),
    });
    const of = ({ rate }: { rate: number }): number => rate;
    expect(compare(row("a", [10, 30, 20, 40]), row("b", [10, 10, undefined, 80]), of)).toEqual({
      ratio: 1,
      ofMedians: 3,
      low: 0.75,
      high: 2,
      min: 0.5,
      max: 3,
      ratios: [0.5, 1, 3],
    });
    expect(compare(row("a", [10]), row("b", []), of)).toBeUndefined();
  });
});
