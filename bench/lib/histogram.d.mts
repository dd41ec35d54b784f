/** The types of `histogram.mjs`, for its tests. */
export type Buckets = readonly (readonly [bucket: number, count: number])[];
export function leastOf(bucket: number): number;
export function percentile(buckets: Buckets, share: number): number | undefined;
