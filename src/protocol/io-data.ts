/**
 * Measuring and writing `IoData`: strings and bytes that are written one after the other without being joined first.
 */
import { codedTypeError } from "../error-codes.ts";
import { show } from "../known-keys.ts";
import type { IoData } from "../message.ts";
import { type ByteOps, portableByteOps } from "./byte-ops.ts";
import { MAX_LOOP_COPY } from "./copy.ts";

/**
 * The length of `data` in bytes, strings as UTF-8.
 *
 * @throws TypeError if `data` contains anything other than strings, Uint8Arrays, ArrayBuffers and lists of them
 */
export const ioLength = (data: IoData, byteOps: ByteOps = portableByteOps): number => {
  if (typeof data === "string") {
    const { lastText } = byteOps;
    return data === lastText.text ? lastText.size : byteOps.utf8Length(data);
  }
  if (data instanceof Uint8Array) return data.length; // V8 compiles `length` to a load, and `byteLength` to a call
  if (data instanceof ArrayBuffer) return data.byteLength;
  return listLength(data, byteOps);
};

// Separate functions, because V8 allocates the variables that a closure captures in every call, also for a string.

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

/** Lists are checked for cycles from this depth on. Real data is rarely nested this deeply. */
const CHECKED_DEPTH = 1_000;

/**
 * Calls `visit` for each string and byte array in `data`, in order. Takes linear time, and does not recurse, so that
 * deeply nested lists can't overflow the stack.
 *
 * @throws TypeError for a value that is not IoData, such as a list that contains itself
 */
export const forEachPart = (data: IoData, visit: (part: string | Uint8Array) => void): void => {
  /** The lists that are being visited, outermost first, each with the index of its next element. */
  const path: { readonly list: readonly IoData[]; next: number }[] = [];
  /** The lists of {@link path}, once it is {@link CHECKED_DEPTH} deep. */
  let checked: Set<readonly IoData[]> | undefined;
  const enter = (part: IoData): void => {
    if (typeof part === "string" || part instanceof Uint8Array) visit(part);
    else if (part instanceof ArrayBuffer) visit(new Uint8Array(part));
    else if (Array.isArray(part)) {
      const list: readonly IoData[] = part;
      if (path.length >= CHECKED_DEPTH) {
        checked ??= new Set(path.map((level) => level.list));
        if (checked.has(list))
          throw codedTypeError("WEBSOCK_UNSENDABLE_MESSAGE", "data must not be an array that contains itself");
        checked.add(list);
      }
      path.push({ list, next: 0 });
    } else {
      const cure = "; to send any other value, use json(value)";
      throw codedTypeError(
        "WEBSOCK_UNSENDABLE_MESSAGE",
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

/** Up to this length, writing ASCII in a loop is faster than a call to the host. */
const MAX_LOOP_WRITE = 48;

/** Writes `data` to `target` from `at` on, and returns the position behind it. The caller ensures that it fits. */
export const writeIoData = (
  data: IoData,
  target: Uint8Array,
  at: number,
  byteOps: ByteOps,
  size: number = ioLength(data, byteOps),
): number => {
  if (typeof data === "string") {
    // As many bytes as code units: the text is ASCII.
    if (size <= MAX_LOOP_WRITE && size === data.length) {
      for (let i = 0; i < size; i++) target[at + i] = data.charCodeAt(i);
    } else if (data === byteOps.lastText.text) {
      target.set(byteOps.lastText.bytes, at);
    } else {
      byteOps.writeUtf8(data, target, at, size);
    }
    return at + size;
  }
  if (data instanceof Uint8Array) {
    if (size <= MAX_LOOP_COPY) for (let i = 0; i < size; i++) target[at + i] = data[i]!;
    else target.set(data, at);
    return at + size;
  }
  return writeList(data, target, at, byteOps);
};

/** Data of at least this size in bytes is sent without a copy. The application must not modify it (see `IoData`). */
export const COPY_LIMIT = 16_384;

/** Returns data that does not change if the application modifies `data`, for messages that are not sent immediately. */
export const snapshot = (data: IoData, byteOps: ByteOps = portableByteOps): IoData => {
  if (typeof data === "string") return data;
  const size = ioLength(data, byteOps);
  if (size >= COPY_LIMIT && !Array.isArray(data)) return data;
  const bytes = byteOps.alloc(size);
  writeIoData(data, bytes, 0, byteOps, size);
  return bytes;
};
