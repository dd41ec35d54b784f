/** Finds pings among frames that wait to be parsed: they are answered ahead of the messages before them. */
import { copy } from "./copy.ts";
import { FIN, MASKED, MAX_CONTROL_PAYLOAD, OPCODE } from "./frame.ts";
import { applyMask } from "./mask.ts";

/** The size of a masked header for a payload of up to 125 bytes: two bytes and the key (RFC 6455 §5.2). */
const SHORT_HEADER = 6;

/**
 * The payloads of the pings in `chunk` from `at` on, where a frame begins. Stops at the first incomplete or invalid
 * frame.
 */
export const pingsIn = (chunk: Uint8Array, at: number): Uint8Array<ArrayBuffer>[] => {
  const pings: Uint8Array<ArrayBuffer>[] = [];
  while (at + SHORT_HEADER <= chunk.length) {
    const first = chunk[at]!;
    const second = chunk[at + 1]!;
    const opcode = first & 0x0f;
    // Nothing is parsed after an unmasked frame, a reserved opcode or a close frame.
    if ((second & MASKED) === 0 || opcode === OPCODE.close || opcode > OPCODE.pong) break;
    let size = second & 0x7f;
    let header = SHORT_HEADER;
    if (size === 126) {
      size = (chunk[at + 2]! << 8) | chunk[at + 3]!;
      header += 2;
    } else if (size === 127) {
      // A frame with a 64-bit length is rarely complete in one chunk: §5.2 allows that form from 64 KiB on only.
      if (at + 10 > chunk.length || (chunk[at + 2]! | chunk[at + 3]! | chunk[at + 4]! | chunk[at + 5]!) !== 0) break;
      size = ((chunk[at + 6]! << 24) | (chunk[at + 7]! << 16) | (chunk[at + 8]! << 8) | chunk[at + 9]!) >>> 0;
      header += 8;
    }
    const payload = at + header;
    const end = payload + size;
    if (end > chunk.length) break;
    if (opcode === OPCODE.ping) {
      // §5.5: control frames are not fragmented, and their payload is at most 125 bytes.
      if (first !== (FIN | OPCODE.ping) || size > MAX_CONTROL_PAYLOAD) break;
      const key = chunk[at + 2]! | (chunk[at + 3]! << 8) | (chunk[at + 4]! << 16) | (chunk[at + 5]! << 24);
      const data = copy(chunk, payload, end);
      applyMask(data, 0, size, key);
      pings.push(data);
    }
    at = end;
  }
  return pings;
};
