/** The types of `results.mjs`, for its test. */
import type { Comparison, Row } from "./rounds.mjs";
import type { Target, Workload } from "./workloads.mjs";

export type Verdict = "hit" | "required" | "MISSED" | "disturbed";

export interface Sample {
  readonly value: number;
  readonly perCpu?: number;
  readonly marks: readonly string[];
  readonly detail?: object;
}

export interface ResultRow {
  readonly label: string;
  readonly value?: number;
  readonly marks: readonly string[];
  readonly ratio?: Comparison;
  /** The ratio is not to be quoted. */
  readonly disturbed: boolean;
  readonly difference?: number;
  readonly target?: number;
  readonly required?: number;
  readonly verdict?: Verdict;
}

export function verdictOf(ratio: number, target: Target, better: "higher" | "lower"): Verdict;
export function summarize(
  work: Workload,
  rows: readonly Row<Sample>[],
  options?: { readonly together?: boolean },
): ResultRow[];
