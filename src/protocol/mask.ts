/**
 * Masking and unmasking (RFC 6455 §5.3). A key is a 32-bit integer; its least significant byte is the first one on the
 * network.
 *
 * | function             | source                  | result   | used for                                             |
 * |----------------------|-------------------------|----------|------------------------------------------------------|
 * | `applyMask`          | bytes                   | in place | everything else; from 96 bytes on, 16 bytes per step |
 * | `applyMaskInView`    | a DataView of the chunk | in place | up to 128 bytes, in chunks of at least 128 bytes     |
 * | `copyUnmasked`       | bytes                   | a copy   | binary messages up to 64 bytes                       |
 * | `copyUnmaskedInView` | a DataView of the chunk | a copy   | the same, in chunks of at least 128 bytes            |
 *
 * A DataView reads four bytes per step at any alignment. Creating one costs more than it saves for a single short
 * frame, so it is created once per chunk, if the chunk is likely to contain several frames.
 */
import { type MAX_LOOP_COPY, scratch, scratchOfSize } from "./copy.ts";

/** Below this size, creating a view of words costs more than it saves. */
const MIN_SIZE_FOR_WORDS = 96;

const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** The key for the rest of a payload after its first `count` bytes. */
export const rotateKey = (key: number, count: number): number => {
  const bits = (count & 3) << 3;
  return bits === 0 ? key : (key >>> bits) | (key << (32 - bits));
};

/**
 * Masks or unmasks in place. Returns whether the result is ASCII: this costs nothing here, and speeds up decoding text.
 */
export const applyMask = (bytes: Uint8Array, start: number, end: number, key: number): boolean => {
  let union = 0;
  let at = start;
  if (end - start >= MIN_SIZE_FOR_WORDS && isLittleEndian) {
    while ((bytes.byteOffset + at) & 3) {
      union |= bytes[at]! ^= key;
      key = rotateKey(key, 1);
      at++;
    }
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (end - at) >> 2);
    if (applyMaskToWords(words, key) & 0x80808080) union |= 0x80;
    at += words.length << 2;
  }
  const k0 = key & 0xff;
  const k1 = (key >>> 8) & 0xff;
  const k2 = (key >>> 16) & 0xff;
  const k3 = key >>> 24;
  for (; at + 3 < end; at += 4) {
    union |= (bytes[at]! ^= k0) | (bytes[at + 1]! ^= k1) | (bytes[at + 2]! ^= k2) | (bytes[at + 3]! ^= k3);
  }
  if (at < end) union |= bytes[at]! ^= k0;
  if (at + 1 < end) union |= bytes[at + 1]! ^= k1;
  if (at + 2 < end) union |= bytes[at + 2]! ^= k2;
  return (union & 0x80) === 0;
};

/** Masks or unmasks in place. Returns the bitwise OR of the result. Four words per step take half as long as one. */
const applyMaskToWords = (words: Int32Array, key: number): number => {
  let union = 0;
  let i = 0;
  for (; i + 3 < words.length; i += 4) {
    const a = words[i]! ^ key;
    const b = words[i + 1]! ^ key;
    const c = words[i + 2]! ^ key;
    const d = words[i + 3]! ^ key;
    words[i] = a;
    words[i + 1] = b;
    words[i + 2] = c;
    words[i + 3] = d;
    union |= a | b | c | d;
  }
  for (; i < words.length; i++) union |= words[i]! ^= key;
  return union;
};

/**
 * Like {@link applyMask}, through a view of the chunk.
 *
 * It writes words with `setUint32`. In Node 24, V8 stops inlining `setInt32` at a place that has once written to the end
 * of a view, which multiplies the cost of this loop by four.
 */
export const applyMaskInView = (view: DataView, start: number, end: number, key: number): boolean => {
  let union = 0;
  let at = start;
  for (; at + 3 < end; at += 4) {
    const word = view.getInt32(at, true) ^ key;
    view.setUint32(at, word, true);
    union |= word;
  }
  for (let rotated = key; at < end; at++, rotated >>>= 8) {
    const byte = view.getUint8(at) ^ (rotated & 0xff);
    view.setUint8(at, byte);
    union |= byte;
  }
  return (union & 0x80808080) === 0;
};

const scratchView = new DataView(scratch.buffer);

/** Returns an unmasked copy of `size` bytes, at most {@link MAX_LOOP_COPY}. */
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
  return new Uint8Array(scratchOfSize[size]!);
};

/** Like {@link copyUnmasked}, through a view of the chunk. */
export const copyUnmaskedInView = (
  source: DataView,
  start: number,
  size: number,
  key: number,
): Uint8Array<ArrayBuffer> => {
  let i = 0;
  for (; i + 3 < size; i += 4) scratchView.setUint32(i, source.getInt32(start + i, true) ^ key, true);
  for (; i < size; i++) scratch[i] = source.getUint8(start + i) ^ (key >>> ((i & 3) << 3));
  return new Uint8Array(scratchOfSize[size]!);
};
