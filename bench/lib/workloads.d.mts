/** The types of `workloads.mjs`, for the tests. */
export interface Target {
  readonly target: number;
  readonly required?: number;
}

export interface Workload {
  readonly id: string;
  readonly title: string;
  readonly kind: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
  readonly decides: "value" | "perCpu";
  readonly servers: readonly string[];
  readonly targets: Readonly<Record<string, Target>>;
  readonly steps?: readonly number[];
}

export const WORKLOADS: readonly Workload[];
