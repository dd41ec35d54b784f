/** Joins `IoData` for hosts that do not accept lists. */
import type { IoData } from "../../message.ts";
import type { ByteOps } from "../../protocol/byte-ops.ts";
import { writeIoData } from "../../protocol/io-data.ts";

/** @param size the size of `data` in bytes */
export const joinOctets = (data: IoData, size: number, byteOps: ByteOps): Uint8Array<ArrayBuffer> => {
  if (data instanceof Uint8Array && data.buffer instanceof ArrayBuffer) return data as Uint8Array<ArrayBuffer>;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  const joined = byteOps.alloc(size);
  writeIoData(data, joined, 0, byteOps, size);
  return joined;
};

/** The text is valid, because messages are checked before they are sent. */
export const joinText = (data: IoData, size: number, byteOps: ByteOps): string => {
  if (typeof data === "string") return data;
  if (Array.isArray(data) && data.every((part) => typeof part === "string")) return data.join("");
  return byteOps.decodeUtf8(joinOctets(data, size, byteOps), 0, size);
};
