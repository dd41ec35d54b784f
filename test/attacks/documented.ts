/** Runs the attacks over one transport, and checks their table in `docs/security.md`. */
import { afterAll, describe, expect, test } from "vitest";
import { type Attack, type AttackTransport, COLUMNS, type Costs } from "./attack.ts";
import { testAttacks } from "./attacking.ts";
import { attacks } from "./rows/index.ts";
import { cellOf, NOT_OVER_IT, readTable, rowOf, writeTable } from "./table.ts";

/** Runs the attacks, and checks their column of the table. With `UPDATE_DOCS`, the column is written instead. */
export const testDocumentedAttacks = (transport: AttackTransport, run: readonly Attack[]): void => {
  const { column } = transport;
  const costs = new Map<Attack, Costs>();
  describe(`attacks over ${column}`, () => {
    testAttacks(transport, run, (attack, cost) => costs.set(attack, cost));
  });

  if (process.env.UPDATE_DOCS !== undefined) {
    // Attacks that were not run now, and other columns, keep their former measurements.
    afterAll(() => {
      const before = new Map(readTable().map((row) => [row.attack, row.measured]));
      const cell = (attack: Attack): string => {
        const cost = costs.get(attack);
        if (cost !== undefined) return cellOf(cost);
        return run.includes(attack) ? (before.get(attack.name)?.[column] ?? "not yet") : NOT_OVER_IT;
      };
      const empty = Object.fromEntries(COLUMNS.map((one) => [one, "not yet"])) as Record<typeof column, string>;
      writeTable(
        attacks.map((attack) => ({
          ...rowOf(attack),
          measured: { ...empty, ...before.get(attack.name), [column]: cell(attack) },
        })),
      );
    });
    return;
  }

  test(`docs/security.md has a row for each attack and no other, with the costs over ${column}`, () => {
    const rows = readTable();
    expect(rows.map(({ measured, ...row }) => row)).toEqual(attacks.map(rowOf));
    const names = run.map(({ name }) => name);
    for (const { attack, measured } of rows) {
      if (names.includes(attack)) expect(measured[column], attack).toMatch(/^\d[\d.]* MiB, .*\d ms/);
      else expect(measured[column], attack).toBe(NOT_OVER_IT);
    }
  });
};
