/** `IoData`: text and octets that are written one after the other without being joined first. */
import { show } from "../known-keys.ts";
import type { IoData } from "../message.ts";
import { type ByteOps, portableByteOps } from "./byte-ops.ts";

/**
 * How many octets it takes.
 *
 * @throws TypeError if there is anything else in it than strings, Uint8Arrays, ArrayBuffers and lists of them
 */
export const ioLength = (data: IoData, byteOps: ByteOps = portableByteOps): number => {
  if (typeof data === "string") {
    const { lastText } = byteOps;
    return data === lastText.text ? lastText.size : byteOps.utf8Length(data);
  }
  if (data instanceof Uint8Array) return data.length; // compiled to a load, where byteLength is a call
  if (data instanceof ArrayBuffer) return data.byteLength;
  return listLength(data, byteOps);
};

// Functions of their own: one with a closure allocates memory for its variables in each call, of a string too.

const listLength = (data: IoData, byteOps: ByteOps): number => {
  let length = 0;
  forEachPart(data, (part) => {
    length += ioLength(part, byteOps);
  });
  return length;
};

const writeList = (data: IoData, target: Uint8Array, at: number, byteOps: ByteOps): number => {
  let end = at;
  forEachPart(data, (part) => {
    end = writeIoData(part, target, end, byteOps);
  });
  return end;
};

/** From this depth on, lists are checked for containing themselves. Data that is built by a program is rarely deeper. */
const CHECKED_DEPTH = 1_000;

/**
 * Calls `visit` for the strings and bytes in `data`, from the first to the last: in linear time, and without recursion, so
 * that no depth overflows the stack.
 *
 * @throws TypeError for anything that is not IoData, such as a list that contains itself
 */
export const forEachPart = (data: IoData, visit: (part: string | Uint8Array) => void): void => {
  /** The lists that are being read, outermost first, each with the position of its next element. */
  const path: { readonly list: readonly IoData[]; next: number }[] = [];
  /** The lists of {@link path}, once there are many. */
  let checked: Set<readonly IoData[]> | undefined;
  const enter = (part: IoData): void => {
    if (typeof part === "string" || part instanceof Uint8Array) visit(part);
    else if (part instanceof ArrayBuffer) visit(new Uint8Array(part));
    else if (Array.isArray(part)) {
      const list: readonly IoData[] = part;
      if (path.length >= CHECKED_DEPTH) {
        checked ??= new Set(path.map((level) => level.list));
        if (checked.has(list)) throw new TypeError("data must not be an array that contains itself");
        checked.add(list);
      }
      path.push({ list, next: 0 });
    } else {
      const cure = "; to send any other value, use json(value)";
      throw new TypeError(
        `data must be a string, a Uint8Array, an ArrayBuffer or an array of them, not ${show(part)}${cure}`,
      );
    }
  };
  enter(data);
  for (let level = path.at(-1); level !== undefined; level = path.at(-1)) {
    if (level.next < level.list.length) {
      enter(level.list[level.next++]!);
    } else {
      path.pop();
      checked?.delete(level.list);
    }
  }
};

/** Up to here a loop is faster than a call of the host. */
const WRITE_BY_HAND = 48;

/** Writes it to `target` from `at` on, where there is room, and returns where it ends. */
export const writeIoData = (
  data: IoData,
  target: Uint8Array,
  at: number,
  byteOps: ByteOps,
  size: number = ioLength(data, byteOps),
): number => {
  if (typeof data === "string") {
    // As many octets as units: ASCII, and when it is short, quicker written than handed to the host.
    if (size <= WRITE_BY_HAND && size === data.length) {
      for (let i = 0; i < size; i++) target[at + i] = data.charCodeAt(i);
    } else if (data === byteOps.lastText.text) {
      target.set(byteOps.lastText.bytes, at);
    } else {
      byteOps.writeUtf8(data, target, at, size);
    }
    return at + size;
  }
  if (data instanceof Uint8Array) {
    target.set(data, at);
    return at + size;
  }
  return writeList(data, target, at, byteOps);
};
