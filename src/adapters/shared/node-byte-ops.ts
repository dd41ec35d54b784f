/** Octets and text by Node's own means: its calls on Buffers cost a fraction of the portable ones. */
import { Buffer, isUtf8 } from "node:buffer";
import type { Octets } from "../../protocol/byte-ops.ts";
import { utf8Length } from "../../protocol/utf8.ts";

/** Up to here a loop is faster than a call of the host; for long text Node is many times as fast as any. */
const MAX_COUNTED_IN_JS = 8;

/** What `toString` and `write` call in the end for Latin-1; it is there on Bun and Deno too. */
type FastBuffer = Buffer & {
  latin1Slice(start: number, end: number): string;
  latin1Write(text: string, at: number, size: number): number;
};

const view = (bytes: Uint8Array): FastBuffer =>
  bytes instanceof Buffer
    ? (bytes as FastBuffer)
    : (Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) as FastBuffer);

export const nodeOctets: Octets = {
  // Not from Buffer's pool: what is kept of a message must not keep other people's memory.
  alloc: (size) => new Uint8Array(Buffer.allocUnsafeSlow(size).buffer as ArrayBuffer),
  allocOutput: (size) => Buffer.allocUnsafeSlow(size),
  isUtf8,
  decodeAscii: (bytes, start, end) => view(bytes).latin1Slice(start, end),
  decodeUtf8: (bytes, start, end) => view(bytes).toString("utf8", start, end),
  utf8Length: (text) => (text.length > MAX_COUNTED_IN_JS ? Buffer.byteLength(text) : utf8Length(text)),
  writeUtf8: (text, target, at, size) => {
    // As many octets as units: ASCII, which Latin-1 writes the same and faster.
    if (size === text.length) view(target).latin1Write(text, at, size);
    else view(target).write(text, at, size, "utf8");
  },
  writeLatin1: (text, target, at) => {
    view(target).latin1Write(text, at, text.length);
  },
};
