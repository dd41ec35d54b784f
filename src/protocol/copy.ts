/** Copies that an application may keep: in memory of their own, and no more of it than they need. */

/** Up to this size, a loop is faster than creating a view. */
export const COPY_BY_HAND = 64;

/** Memory for one small copy. It is overwritten by the next one. */
export const scratch = new Uint8Array(COPY_BY_HAND);

/** A view of {@link scratch} for each small size: an array that copies another costs less than one that is filled. */
export const scratchOfSize = Array.from({ length: COPY_BY_HAND + 1 }, (_, size) => scratch.subarray(0, size));

/** A copy in memory of its own. */
export const copy = (source: Uint8Array, start: number, end: number): Uint8Array<ArrayBuffer> => {
  const size = end - start;
  if (size > COPY_BY_HAND) return new Uint8Array(source.subarray(start, end));
  for (let i = 0; i < size; i++) scratch[i] = source[start + i]!;
  return new Uint8Array(scratchOfSize[size]!);
};
