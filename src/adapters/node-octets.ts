/** Octets and text by Node's own means: its calls on Buffers cost a fraction of the portable ones. */
import { Buffer, isUtf8 } from "node:buffer";
import type { Octets } from "../protocol/octets.ts";

const view = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export const nodeOctets: Octets = {
  // Not from Buffer's pool: what is kept of a message must not keep other people's memory.
  alloc: (size) => new Uint8Array(Buffer.allocUnsafeSlow(size).buffer as ArrayBuffer),
  allocOutput: (size) => Buffer.allocUnsafeSlow(size),
  isUtf8,
  decodeAscii: (bytes, start, end) => view(bytes).toString("latin1", start, end),
  decodeUtf8: (bytes, start, end) => view(bytes).toString("utf8", start, end),
  writeUtf8: (text, target, at) => {
    view(target).write(text, at);
  },
};
