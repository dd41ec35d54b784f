/** The table in `docs/security.md`: a row for each attack, with what it did cost in the run that wrote it. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ALWAYS, type Attack, type Costs } from "./attack.ts";

const FILE = fileURLToPath(new URL("../../docs/security.md", import.meta.url));
const BEGIN = "<!-- attacks: written by `npm run docs:attacks` -->";
const END = "<!-- /attacks -->";
const HEAD = ["| attack | what the server does | bound | measured |", "|---|---|---|---|"];

/** The costs in the order in which they are named, and how. */
const UNITS: { readonly [Name in keyof Required<Costs>]: (value: number) => string } = {
  peakMiB: (value) => `${value} MiB`,
  heldMiB: (value) => `${value} MiB held`,
  cpuMs: (value) => `${value} ms`,
  growth: (value) => `${value}× the time for 8× the length`,
  delayMs: () => "",
  leftMiB: () => "",
};

/** To two digits: no more of it comes back the next time. Less than nothing is noise. */
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
  readonly measured: string;
}

export const rowOf = ({ name, answer, bounds }: Attack, costs: Partial<Costs> | undefined): Row => ({
  attack: name,
  answer,
  bound: amounts(bounds),
  measured: costs === undefined ? "not yet" : amounts(costs),
});

export const readTable = (): Row[] => {
  const lines = between(readFileSync(FILE, "utf8"))[1].trim().split("\n").slice(HEAD.length);
  return lines.map((line) => {
    const [attack, answer, bound, measured] = line.split(" | ").map((cell) => cell.replace(/^\| | \|$/g, ""));
    return { attack, answer, bound, measured } as Row;
  });
};

export const writeTable = (rows: readonly Row[]): void => {
  const [before, , after] = between(readFileSync(FILE, "utf8"));
  const lines = rows.map(({ attack, answer, bound, measured }) => `| ${attack} | ${answer} | ${bound} | ${measured} |`);
  writeFileSync(FILE, [before + BEGIN, "", ...HEAD, ...lines, "", END + after].join("\n"));
};

const between = (text: string): [before: string, table: string, after: string] => {
  const [before, rest] = text.split(BEGIN) as [string, string | undefined];
  const [table, after] = rest?.split(END) ?? [];
  if (table === undefined || after === undefined) throw new Error(`${FILE} has no place for the table`);
  return [before, table, after];
};
