import { afterAll, describe, expect, test } from "vitest";
import type { Attack, Costs } from "./attack.ts";
import { testAttacks } from "./attacking.ts";
import { http1 } from "./http1.ts";
import { attacks, unmeasured } from "./rows/index.ts";
import { readTable, rowOf, writeTable } from "./table.ts";

const costs = new Map<Attack, Costs>();

describe("attacks over HTTP/1.1", () => {
  const measurable = attacks.filter((attack) => !unmeasured.includes(attack));
  testAttacks(http1, measurable, (attack, cost) => costs.set(attack, cost));
});

if (process.env.UPDATE_DOCS !== undefined) {
  // What was not run now keeps what was measured before.
  afterAll(() => {
    const before = new Map(readTable().map((row) => [row.attack, row]));
    writeTable(
      attacks.map((attack) => {
        const row = rowOf(attack, costs.get(attack));
        return costs.has(attack) ? row : { ...row, measured: before.get(attack.name)?.measured ?? row.measured };
      }),
    );
  });
} else {
  test("docs/security.md has a row for each attack and no other, with its bound and a measured value", () => {
    const rows = readTable();
    expect(rows.map(({ measured, ...row }) => row)).toEqual(
      attacks.map((attack) => {
        const { measured, ...row } = rowOf(attack, undefined);
        return row;
      }),
    );
    const numbers = /^\d[\d.]* MiB, .*\d ms/;
    for (const { attack, measured } of rows) {
      const isMeasured = !unmeasured.some(({ name }) => name === attack);
      if (isMeasured) expect(measured, attack).toMatch(numbers);
      else expect(measured, attack).toBe("not yet");
    }
  });
}
