/** The types of `disturbance.mjs`, for its test. */
export interface Circumstances {
  readonly server: number;
  readonly load: number;
  readonly serverForeign?: number;
  readonly loadForeign?: number;
  readonly steal?: number;
  readonly openLoop?: boolean;
  readonly late?: number;
}
export function readCores(text?: string): { busy: number; steal: number }[] | undefined;
export function disturbances(circumstances: Circumstances): string[];
export function judgeSamples<Sample extends { readonly marks: readonly string[] }>(
  samples: readonly (Sample | undefined)[],
): { readonly samples: readonly (Sample | undefined)[]; readonly marks: readonly string[] };
export function spreadMarks(values: readonly number[]): string[];
