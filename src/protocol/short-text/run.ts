/**
 * Short texts that arrive one right behind the other. Making a string of octets is a call of the host, which costs more
 * than all else that is done for a short text; so a run of them is decoded in one.
 */
import { FIN, MASKED, OPCODE } from "../frame.ts";
import { applyMaskInView } from "../mask.ts";

/** Payloads of up to so many octets have their length in the second octet of their header (RFC 6455 §5.2). */
export const SHORT = 125;

/** A masked header for such a length: two octets and the key. */
export const SHORT_HEADER = 6;

/**
 * A run has so many octets at most, with its headers: engines make a part of a string point into the whole, so a text that
 * is kept keeps its run.
 */
const MAX_RUN = 256;

/** The first octet of a text in one frame. */
export const TEXT = FIN | OPCODE.text;

/**
 * Unmasks the frames from `at` on, where one ends that begins at `start`, for as long as they are whole, ASCII, and have
 * `longest` octets at most. Returns where the last of them ends.
 */
export const unmaskRun = (view: DataView, start: number, at: number, longest: number): number => {
  const limit = Math.min(view.byteLength, start + MAX_RUN);
  while (at + SHORT_HEADER <= limit && view.getUint8(at) === TEXT) {
    const size = view.getUint8(at + 1) - MASKED;
    const payload = at + SHORT_HEADER;
    const end = payload + size;
    if (size < 0 || size > longest || end > limit) break;
    const key = view.getInt32(at + 2, true);
    if (!applyMaskInView(view, payload, end, key)) {
      applyMaskInView(view, payload, end, key);
      break;
    }
    at = end;
  }
  return at;
};

/** Masks the frames of a run again that are between `at` and `end`: nobody has taken them. */
export const maskRun = (view: DataView, at: number, end: number): void => {
  while (at < end) {
    const payload = at + SHORT_HEADER;
    const next = payload + view.getUint8(at + 1) - MASKED;
    applyMaskInView(view, payload, next, view.getInt32(at + 2, true));
    at = next;
  }
};
