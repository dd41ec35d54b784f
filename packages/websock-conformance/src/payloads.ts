/** Payloads of the cases. */

/** Parses hexadecimal digits; spaces are ignored. */
export const hex = (digits: string): Buffer => Buffer.from(digits.replaceAll(" ", ""), "hex");

const repeat = (pattern: Buffer, size: number): Buffer => Buffer.alloc(size, pattern);

/** Printable ASCII. Its period of 89 bytes divides no power of two, so that moved or lost bytes are noticed. */
export const ascii = (size: number): Buffer => repeat(Buffer.from(Array.from({ length: 89 }, (_, i) => 33 + i)), size);

/** Almost every byte value; not UTF-8. */
export const bytes = (size: number): Buffer =>
  repeat(Buffer.from(Array.from({ length: 251 }, (_, i) => 255 - i)), size);

const MIXED = Buffer.from("Straße, κόσμε, 中文字, 😀🚀; ");

/** Text with characters of one to four bytes; padded with ASCII where a character would not fit. */
export const mixed = (size: number): Buffer => {
  const text = repeat(MIXED, size);
  let end = size - (size % MIXED.length);
  for (const character of MIXED.toString()) {
    const next = end + Buffer.byteLength(character);
    if (next > size) break;
    end = next;
  }
  return text.fill(0x2e, end);
};

/** Incompressible bytes, reproducible by seed. */
export const noise = (size: number, seed = 1): Buffer => {
  const made = Buffer.allocUnsafe(size);
  let state = seed;
  for (let i = 0; i < size; i++) {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    made[i] = state >>> 11;
  }
  return made;
};

/** JSON as applications send it: compresses well, but does not repeat a single line. */
export const json = (size: number): Buffer => {
  let text = "[";
  for (let i = 0; text.length < size; i++) {
    const n = Math.imul(i + 1, 2654435761) >>> 0;
    text += `{"id":${i},"name":"user-${n % 997}","active":${n % 3 === 0},"score":${n % 10_007},"tags":["a${n % 13}"]},`;
  }
  return Buffer.from(text).subarray(0, size);
};
