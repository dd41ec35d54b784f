/** Records the callback durations of all connections, which they count in buckets, in a histogram. */
import type { Attributes, Histogram } from "@opentelemetry/api";
import { DURATION_BOUNDS } from "../session/observed/counts.ts";

/** The maximum number of durations that are recorded for one handler at a time: each takes about a microsecond. */
const MAX_RECORDS = 500;

/**
 * What is recorded for each bucket, in seconds: the middle of its bounds. (Of the last one, which has no upper bound,
 * its lower bound and a half more.)
 */
const VALUES = [...DURATION_BOUNDS, DURATION_BOUNDS.at(-1)! * 2].map(
  (bound, i) => ((DURATION_BOUNDS[i - 1] ?? 0) + bound) / 2 / 1000,
);

export class CallbackDurations {
  private readonly histogram: Histogram;
  /** The durations that are recorded, by handler. */
  private readonly recorded = new Map<string | undefined, readonly number[]>();

  constructor(histogram: Histogram) {
    this.histogram = histogram;
  }

  /**
   * Records the durations since the last call. If there are more than {@link MAX_RECORDS}, the same share of each
   * bucket, but at least one.
   */
  record(handler: string | undefined, durations: readonly number[], attributes: Attributes): void {
    const before = this.recorded.get(handler);
    this.recorded.set(handler, [...durations]);
    const added = durations.map((count, i) => count - (before?.[i] ?? 0));
    const share = Math.min(1, MAX_RECORDS / added.reduce((sum, count) => sum + count, 0));
    added.forEach((count, bucket) => {
      const records = count === 0 ? 0 : Math.max(1, Math.round(count * share));
      for (let i = 0; i < records; i++) this.histogram.record(VALUES[bucket]!, attributes);
    });
  }
}
