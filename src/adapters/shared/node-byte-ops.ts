/** Byte operations with Node's Buffer, which are several times faster than the portable ones. */
import { Buffer, isUtf8 } from "node:buffer";
import type { ByteOps } from "../../protocol/byte-ops.ts";
import { LastText } from "../../protocol/short-text/last-text.ts";
import { utf8Length } from "../../protocol/utf8.ts";

/** The longest text for which a loop in JavaScript is faster than a native call. */
const MAX_COUNTED_IN_JS = 8;

/** Undocumented methods that `toString` and `write` call for Latin-1, on Node, Bun and Deno. */
type FastBuffer = Buffer & {
  latin1Slice(start: number, end: number): string;
  latin1Write(text: string, at: number, size: number): number;
};

const view = (bytes: Uint8Array): FastBuffer =>
  bytes instanceof Buffer
    ? (bytes as FastBuffer)
    : (Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) as FastBuffer);

export const nodeByteOps: ByteOps = {
  lastText: new LastText(),
  // Not from Buffer's pool: a message that the application keeps would retain unrelated memory.
  alloc: (size) => new Uint8Array(Buffer.allocUnsafeSlow(size).buffer as ArrayBuffer),
  allocOutput: (size) => Buffer.allocUnsafeSlow(size),
  isUtf8,
  decodeAscii: (bytes, start, end) => view(bytes).latin1Slice(start, end),
  decodeUtf8: (bytes, start, end) => view(bytes).toString("utf8", start, end),
  utf8Length: (text) => (text.length > MAX_COUNTED_IN_JS ? Buffer.byteLength(text) : utf8Length(text)),
  writeUtf8: (text, target, at, size) => {
    // As many bytes as UTF-16 units: ASCII. Writing it as Latin-1 gives the same bytes and is faster.
    if (size === text.length) view(target).latin1Write(text, at, size);
    else view(target).write(text, at, size, "utf8");
  },
  writeLatin1: (text, target, at) => {
    view(target).latin1Write(text, at, text.length);
  },
};
