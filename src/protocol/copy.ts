/** Copies of received bytes that an application may keep without keeping the whole chunk in memory. */

/** Up to this size, copying in a loop is faster than creating a view of the source. */
export const MAX_LOOP_COPY = 64;

/** Up to this size, constructing a typed array from another is faster than allocating it and calling `set`. */
const MAX_CONSTRUCTED_COPY = 1024;

/** Intermediate memory for one small copy. The next copy overwrites it. */
export const scratch = new Uint8Array(MAX_LOOP_COPY);

/**
 * A view of {@link scratch} for each size. Constructing a typed array from another is faster than allocating and
 * filling it.
 */
export const scratchOfSize = Array.from({ length: MAX_LOOP_COPY + 1 }, (_, size) => scratch.subarray(0, size));

/** Replaces a reference to a chunk that is no longer needed, so that the garbage collector can free the chunk. */
export const NO_BYTES = new Uint8Array(0);

/** Copies `source[start..end)` to an ArrayBuffer of its own. */
export const copy = (source: Uint8Array, start: number, end: number): Uint8Array<ArrayBuffer> => {
  const size = end - start;
  if (size > MAX_CONSTRUCTED_COPY) {
    const target = new Uint8Array(size);
    target.set(source.subarray(start, end));
    return target;
  }
  if (size > MAX_LOOP_COPY) return new Uint8Array(source.subarray(start, end));
  for (let i = 0; i < size; i++) scratch[i] = source[start + i]!;
  return new Uint8Array(scratchOfSize[size]!);
};

/**
 * Returns `source[start..end)` as a view if its memory is at most twice as large as the view, and as a copy otherwise:
 * a message that is kept never keeps more than twice its size in memory.
 */
export const viewOrCopy = (source: Uint8Array, start: number, end: number): Uint8Array<ArrayBuffer> => {
  const size = end - start;
  return size * 2 >= source.buffer.byteLength
    ? new Uint8Array(source.buffer as ArrayBuffer, source.byteOffset + start, size)
    : copy(source, start, end);
};
