/** The histograms of load.c: 64 buckets for each power of two. */

/** The least value of a bucket. @param {number} bucket */
export const leastOf = (bucket) => {
  const shift = Math.max(0, Math.floor(bucket / 64) - 1);
  return (bucket - shift * 64) * 2 ** shift;
};

/**
 * The value below which this share of the values is, within 1.6 %; `undefined` if there are no values.
 *
 * @param {readonly (readonly [bucket: number, count: number])[]} buckets sorted
 * @param {number} share from 0 to 1
 */
export const percentile = (buckets, share) => {
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  let seen = 0;
  for (const [bucket, count] of buckets) {
    seen += count;
    if (seen >= total * share) return leastOf(bucket);
  }
  return undefined;
};
