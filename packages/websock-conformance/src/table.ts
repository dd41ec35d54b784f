/** Formats results as text. */
import { OUTCOMES, type Outcome } from "./outcome.ts";
import type { WireResult } from "./run.ts";

/** Counts the results by outcome. */
export const countOutcomes = (results: readonly WireResult[]): Record<Outcome, number> => {
  const counts = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0])) as Record<Outcome, number>;
  for (const { outcome } of results) counts[outcome]++;
  return counts;
};

/** Groups the results by class, in order. */
export const byClass = (results: readonly WireResult[]): Map<string, WireResult[]> => {
  const classes = new Map<string, WireResult[]>();
  for (const result of results) {
    const name = `${result.id.split(".")[0]} ${result.className}`;
    classes.set(name, [...(classes.get(name) ?? []), result]);
  }
  return classes;
};

/** A result as one line, followed by a line for each reason. */
export const resultLine = ({ id, title, outcome, ms, reasons }: WireResult): string =>
  [
    `${id.padEnd(9)}${outcome.padEnd(14)}${`${ms}`.padStart(6)} ms  ${title}`,
    ...reasons.map((why) => `${" ".repeat(34)}${why}`),
  ].join("\n");

/** A table with a line for each class and one for all classes. */
export const summary = (results: readonly WireResult[]): string => {
  const rows = [...byClass(results), ["all", results] as const].map(([name, some]) => {
    const counts = countOutcomes(some);
    return [name, ...OUTCOMES.map((outcome) => `${counts[outcome] || "-"}`)];
  });
  const line = ([name, ...cells]: readonly string[]): string =>
    name!.padEnd(36) + cells.map((cell) => cell.padStart(15)).join("");
  return [["class", ...OUTCOMES], ...rows].map(line).join("\n");
};
