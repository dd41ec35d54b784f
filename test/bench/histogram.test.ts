/** The histograms of the load in C. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { leastOf, percentile } from "../../bench/lib/histogram.mjs";

/** The bucket that load.c counts a time in. */
const bucketOf = (time: number): number => {
  const shift = time < 128 ? 0 : Math.floor(Math.log2(time)) - 6;
  return shift * 64 + Math.floor(time / 2 ** shift);
};

test("the least value of a bucket differs from each value in it by less than 1.6 %", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (time) => {
      const least = leastOf(bucketOf(time));
      expect(least).toBeLessThanOrEqual(time);
      expect((time - least) / time).toBeLessThan(1 / 64);
      expect(bucketOf(least)).toBe(bucketOf(time));
    }),
  );
});

test("a percentile is the value below which the share of the values is", () => {
  const buckets = Array.from({ length: 100 }, (_, i) => [i, 10] as const);
  expect([0.5, 0.99, 0.999, 1].map((share) => percentile(buckets, share))).toEqual([49, 98, 99, 99]);
  expect(percentile([[bucketOf(1_000_000), 1]], 0.5)).toBeCloseTo(1_000_000, -5);
  expect(percentile([], 0.5)).toBeUndefined();
});
