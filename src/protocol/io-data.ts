/** `IoData`: text and octets that are written one after the other without being joined first. */
import type { IoData } from "../message.ts";
import { type Octets, portableOctets } from "./octets.ts";
import { recentText } from "./recent-text.ts";

/**
 * How many octets it takes.
 *
 * @throws TypeError if there is anything else in it than strings, Uint8Arrays, ArrayBuffers and lists of them
 */
export const ioLength = (data: IoData, octets: Octets = portableOctets): number => {
  if (typeof data === "string") return data === recentText.text ? recentText.size : octets.utf8Length(data);
  if (data instanceof Uint8Array) return data.length; // compiled to a load, where byteLength is a call
  if (data instanceof ArrayBuffer) return data.byteLength;
  if (!Array.isArray(data))
    throw new TypeError("data must be a string, a Uint8Array, an ArrayBuffer or a list of them");
  let length = 0;
  for (const part of data as readonly IoData[]) length += ioLength(part, octets);
  return length;
};

/** Up to here a loop is faster than a call of the host. */
const WRITE_BY_HAND = 48;

/** Writes it to `target` from `at` on, where there is room, and returns where it ends. */
export const writeIoData = (
  data: IoData,
  target: Uint8Array,
  at: number,
  octets: Octets,
  size: number = ioLength(data, octets),
): number => {
  if (typeof data === "string") {
    // As many octets as units: ASCII, and when it is short, quicker written than handed to the host.
    if (size <= WRITE_BY_HAND && size === data.length) {
      for (let i = 0; i < size; i++) target[at + i] = data.charCodeAt(i);
    } else if (data === recentText.text) {
      target.set(recentText.octets, at);
    } else {
      octets.writeUtf8(data, target, at, size);
    }
    return at + size;
  }
  if (data instanceof Uint8Array) {
    target.set(data, at);
    return at + size;
  }
  if (data instanceof ArrayBuffer) return writeIoData(new Uint8Array(data), target, at, octets, size);
  let end = at;
  for (const part of data) end = writeIoData(part, target, end, octets);
  return end;
};
