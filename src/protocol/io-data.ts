/** `IoData`: text and octets that are written one after the other without being joined first. */
import type { IoData } from "../message.ts";
import type { Octets } from "./octets.ts";
import { utf8Length } from "./utf8.ts";

/**
 * How many octets it takes.
 *
 * @throws TypeError if there is anything else in it than strings, Uint8Arrays, ArrayBuffers and lists of them
 */
export const ioLength = (data: IoData): number => {
  if (typeof data === "string") return utf8Length(data);
  if (data instanceof Uint8Array || data instanceof ArrayBuffer) return data.byteLength;
  if (!Array.isArray(data))
    throw new TypeError("data must be a string, a Uint8Array, an ArrayBuffer or a list of them");
  let length = 0;
  for (const part of data as readonly IoData[]) length += ioLength(part);
  return length;
};

/** Writes it to `target` from `at` on, where there is room, and returns where it ends. */
export const writeIoData = (data: IoData, target: Uint8Array, at: number, octets: Octets): number => {
  if (typeof data === "string") {
    const units = data.length;
    // Short text is mostly ASCII, and quicker written than handed to the host.
    if (units <= 32) {
      let i = 0;
      for (; i < units; i++) {
        const unit = data.charCodeAt(i);
        if (unit >= 0x80) break;
        target[at + i] = unit;
      }
      if (i === units) return at + units;
    }
    octets.writeUtf8(data, target, at);
    return at + utf8Length(data);
  }
  if (data instanceof Uint8Array) {
    target.set(data, at);
    return at + data.length;
  }
  if (data instanceof ArrayBuffer) return writeIoData(new Uint8Array(data), target, at, octets);
  let end = at;
  for (const part of data) end = writeIoData(part, target, end, octets);
  return end;
};
