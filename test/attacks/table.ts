/** The table in `docs/security.md`: a row for each attack, with its costs in the run that wrote them. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ALWAYS, type Attack, COLUMNS, type Column, type Costs } from "./attack.ts";

const FILE = fileURLToPath(new URL("../../docs/security.md", import.meta.url));
const BEGIN = "<!-- attacks: written by `npm run docs:attacks` -->";
const END = "<!-- /attacks -->";

const lineOf = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
const HEAD = [
  lineOf(["attack", "what the server does", "bound", ...COLUMNS.map((column) => `measured over ${column}`)]),
  `|${"---|".repeat(3 + COLUMNS.length)}`,
];

/** The attack does not run over the column's transport. */
export const NOT_OVER_IT = "–";

/** The costs in the order in which the table shows them, and their formats. */
const UNITS: { readonly [Name in keyof Required<Costs>]: (value: number) => string } = {
  peakMiB: (value) => `${value} MiB`,
  heldMiB: (value) => `${value} MiB held`,
  cpuMs: (value) => `${value} ms`,
  growth: (value) => `${value}× the time for 8× the length`,
  delayMs: () => "",
  leftMiB: () => "",
};

/** Rounded to two digits, because further digits differ in each run. A value below zero is noise. */
const rounded = (value: number): number => (value < 0.1 ? 0 : Number(value.toPrecision(2)));

const amounts = (costs: Partial<Costs>): string =>
  (Object.keys(UNITS) as (keyof Costs)[])
    .filter((name) => costs[name] !== undefined && !(name in ALWAYS))
    .map((name) => UNITS[name](rounded(costs[name]!)))
    .join(", ");

export interface Row {
  readonly attack: string;
  readonly answer: string;
  readonly bound: string;
  readonly measured: Readonly<Record<Column, string>>;
}

export const rowOf = ({ name, answer, bounds }: Attack): Omit<Row, "measured"> => ({
  attack: name,
  answer,
  bound: amounts(bounds),
});

export const cellOf = (costs: Costs): string => amounts(costs);

export const readTable = (): Row[] => {
  const lines = between(readFileSync(FILE, "utf8"))[1].trim().split("\n").slice(HEAD.length);
  return lines.map((line) => {
    const [attack, answer, bound, ...cells] = line.split(" | ").map((cell) => cell.replace(/^\| | \|$/g, ""));
    const measured = Object.fromEntries(COLUMNS.map((column, i) => [column, cells[i]]));
    return { attack, answer, bound, measured } as Row;
  });
};

export const writeTable = (rows: readonly Row[]): void => {
  const [before, , after] = between(readFileSync(FILE, "utf8"));
  const lines = rows.map(({ attack, answer, bound, measured }) =>
    lineOf([attack, answer, bound, ...COLUMNS.map((column) => measured[column])]),
  );
  writeFileSync(FILE, [before + BEGIN, "", ...HEAD, ...lines, "", END + after].join("\n"));
};

const between = (text: string): [before: string, table: string, after: string] => {
  const [before, rest] = text.split(BEGIN) as [string, string | undefined];
  const [table, after] = rest?.split(END) ?? [];
  if (table === undefined || after === undefined) throw new Error(`${FILE} has no place for the table`);
  return [before, table, after];
};
