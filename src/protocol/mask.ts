/** Masking (RFC 6455 §5.3). A key is a number whose lowest eight bits are its first octet. */

/** Below this many octets, making a view of words costs more than it saves. */
const WORDS_FROM = 96;

const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** The key for a payload that goes on after `octets` of it were done. */
export const rotateKey = (key: number, octets: number): number => {
  const bits = (octets & 3) << 3;
  return bits === 0 ? key : (key >>> bits) | (key << (32 - bits));
};

/** Masks or unmasks in place. Returns whether what came out is all ASCII: free to know here, and worth a lot for text. */
export const applyMask = (bytes: Uint8Array, start: number, end: number, key: number): boolean => {
  let seen = 0;
  let at = start;
  if (end - start >= WORDS_FROM && isLittleEndian) {
    while ((bytes.byteOffset + at) & 3) {
      seen |= bytes[at]! ^= key;
      key = rotateKey(key, 1);
      at++;
    }
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (end - at) >> 2);
    if (applyMaskToWords(words, key) & 0x80808080) seen |= 0x80;
    at += words.length << 2;
  }
  const k0 = key & 0xff;
  const k1 = (key >>> 8) & 0xff;
  const k2 = (key >>> 16) & 0xff;
  const k3 = key >>> 24;
  for (; at + 3 < end; at += 4) {
    seen |= (bytes[at]! ^= k0) | (bytes[at + 1]! ^= k1) | (bytes[at + 2]! ^= k2) | (bytes[at + 3]! ^= k3);
  }
  if (at < end) seen |= bytes[at]! ^= k0;
  if (at + 1 < end) seen |= bytes[at + 1]! ^= k1;
  if (at + 2 < end) seen |= bytes[at + 2]! ^= k2;
  return (seen & 0x80) === 0;
};

/** Four at a time take half as long as one by one. Returns all bits that any of them has. */
const applyMaskToWords = (words: Int32Array, key: number): number => {
  let seen = 0;
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
    seen |= a | b | c | d;
  }
  for (; i < words.length; i++) seen |= words[i]! ^= key;
  return seen;
};

/**
 * The same for a short stretch, through a view of the chunk that it is in: words, wherever it begins, and no view of its
 * own to be made.
 */
export const applyMaskInView = (view: DataView, start: number, end: number, key: number): boolean => {
  let seen = 0;
  let at = start;
  for (; at + 3 < end; at += 4) {
    const word = view.getInt32(at, true) ^ key;
    view.setInt32(at, word, true);
    seen |= word;
  }
  for (let rest = key; at < end; at++, rest >>>= 8) {
    const octet = view.getUint8(at) ^ (rest & 0xff);
    view.setUint8(at, octet);
    seen |= octet;
  }
  return (seen & 0x80808080) === 0;
};
