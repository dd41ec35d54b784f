/**
 * Runs of short text messages: consecutive frames in one chunk. Decoding bytes to a string is a call to the host, which
 * costs more than everything else that a short text needs, so the texts of a run are decoded in one call.
 */
import { FIN, MASKED, OPCODE } from "../frame.ts";
import { applyMaskInView } from "../mask.ts";

/** The largest payload whose length is encoded in the second byte of the header (RFC 6455 §5.2). */
export const MAX_SHORT = 125;

/** The size of a masked header for such a payload: two bytes and the masking key. */
export const SHORT_HEADER = 6;

/**
 * The maximum size of a run in bytes, headers included. Engines implement a substring as a reference to the whole
 * string, so a text that an application keeps also keeps the text of its run.
 */
const MAX_RUN = 256;

/** The first byte of an unfragmented, uncompressed text frame. */
export const TEXT_FRAME = FIN | OPCODE.text;

/**
 * Unmasks the frames that follow the first frame of a run, and returns the end of the last one. Stops before a frame
 * that is incomplete, not an ASCII text, or longer than `maxSize`.
 *
 * @param start where the payload of the run's first frame begins
 * @param at where that frame ends
 * @param chunkEnd where the received bytes end
 */
export const unmaskRun = (view: DataView, start: number, at: number, chunkEnd: number, maxSize: number): number => {
  const limit = Math.min(chunkEnd, start + MAX_RUN);
  while (at + SHORT_HEADER <= limit && view.getUint8(at) === TEXT_FRAME) {
    const size = view.getUint8(at + 1) - MASKED;
    const payload = at + SHORT_HEADER;
    const end = payload + size;
    if (size < 0 || size > maxSize || end > limit) break;
    const key = view.getInt32(at + 2, true);
    if (!applyMaskInView(view, payload, end, key)) {
      applyMaskInView(view, payload, end, key);
      break;
    }
    at = end;
  }
  return at;
};

/** Re-masks the frames between `at` and `end`, which were unmasked for a run but not delivered. */
export const maskRun = (view: DataView, at: number, end: number): void => {
  while (at < end) {
    const payload = at + SHORT_HEADER;
    const next = payload + view.getUint8(at + 1) - MASKED;
    applyMaskInView(view, payload, next, view.getInt32(at + 2, true));
    at = next;
  }
};
