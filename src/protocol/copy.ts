/** Copies of octets that somebody may keep: in memory of their own, and no more of it than they need. */

/** Up to here a loop is faster than making a view. */
export const COPY_BY_HAND = 64;

/** Views of every small size on one piece of memory: an array made as the copy of another costs less than one to be filled. */
const scratch = new Uint8Array(COPY_BY_HAND);
const scratchView = new DataView(scratch.buffer);
const scratchOf = Array.from({ length: COPY_BY_HAND + 1 }, (_, size) => scratch.subarray(0, size));

/** A copy of `size` octets, at most {@link COPY_BY_HAND}, unmasked. */
export const copyUnmasked = (source: Uint8Array, start: number, size: number, key: number): Uint8Array<ArrayBuffer> => {
  const k0 = key & 0xff;
  const k1 = (key >>> 8) & 0xff;
  const k2 = (key >>> 16) & 0xff;
  const k3 = key >>> 24;
  let i = 0;
  for (; i + 3 < size; i += 4) {
    scratch[i] = source[start + i]! ^ k0;
    scratch[i + 1] = source[start + i + 1]! ^ k1;
    scratch[i + 2] = source[start + i + 2]! ^ k2;
    scratch[i + 3] = source[start + i + 3]! ^ k3;
  }
  for (; i < size; i++) scratch[i] = source[start + i]! ^ (key >>> ((i & 3) << 3));
  return new Uint8Array(scratchOf[size]!);
};

/** The same through a view of the source: words, wherever it begins. */
export const copyUnmaskedInView = (
  source: DataView,
  start: number,
  size: number,
  key: number,
): Uint8Array<ArrayBuffer> => {
  let i = 0;
  for (; i + 3 < size; i += 4) scratchView.setInt32(i, source.getInt32(start + i, true) ^ key, true);
  for (; i < size; i++) scratch[i] = source.getUint8(start + i) ^ (key >>> ((i & 3) << 3));
  return new Uint8Array(scratchOf[size]!);
};

/** A copy in memory of its own. */
export const copy = (source: Uint8Array, start: number, end: number): Uint8Array<ArrayBuffer> => {
  const size = end - start;
  if (size > COPY_BY_HAND) return new Uint8Array(source.subarray(start, end));
  for (let i = 0; i < size; i++) scratch[i] = source[start + i]!;
  return new Uint8Array(scratchOf[size]!);
};
