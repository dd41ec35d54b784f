/** Encodes frames of a client and decodes frames of a server. Shares no code with the library. */
import { Buffer } from "node:buffer";

export const OP = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface Frame {
  readonly opcode: number;
  readonly payload?: Uint8Array | string;
  readonly fin?: boolean;
  /** RSV1–3 as a number: 4, 2, 1. */
  readonly rsv?: number;
  /** `null`: unmasked. */
  readonly mask?: readonly [number, number, number, number] | null;
  /** The number of bits of the length field. Default: the shortest form. */
  readonly lengthForm?: 7 | 16 | 64;
  /** The length in the header. Default: the payload's. */
  readonly claims?: number | bigint;
}

export const KEY = [0x37, 0xfa, 0x21, 0x3d] as const;

export const bytesOf = (data: Uint8Array | string): Uint8Array =>
  typeof data === "string" ? new TextEncoder().encode(data) : data;

/** A client's frame (RFC 6455 §5.2), byte by byte. */
export const frame = (options: Frame): Uint8Array<ArrayBuffer> => {
  const payload = bytesOf(options.payload ?? "");
  const length = BigInt(options.claims ?? payload.length);
  const form = options.lengthForm ?? (length < 126n ? 7 : length < 65_536n ? 16 : 64);
  const mask = options.mask === undefined ? KEY : options.mask;
  const out: number[] = [((options.fin ?? true) ? 0x80 : 0) | ((options.rsv ?? 0) << 4) | options.opcode];
  const masked = mask === null ? 0 : 0x80;
  if (form === 7) out.push(masked | Number(length));
  else out.push(masked | (form === 16 ? 126 : 127));
  for (let bits = form === 7 ? 0 : form; bits > 0; bits -= 8) out.push(Number((length >> BigInt(bits - 8)) & 0xffn));
  if (mask !== null) out.push(...mask);
  const bytes = new Uint8Array(out.length + payload.length);
  bytes.set(out);
  payload.forEach((byte, i) => {
    bytes[out.length + i] = mask === null ? byte : byte ^ mask[i % 4]!;
  });
  return bytes;
};

export const join = (...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
};

/** Copies of parts of `bytes`, cut at the positions `cuts`, modulo the length. */
export const cutAt = (bytes: Uint8Array, cuts: readonly number[]): Uint8Array<ArrayBuffer>[] => {
  const at = [...new Set(cuts.map((cut) => (bytes.length === 0 ? 0 : cut % bytes.length)))].sort((a, b) => a - b);
  return [0, ...at].map((start, i) => bytes.slice(start, at[i] ?? bytes.length)).filter((piece) => piece.length > 0);
};

/** Copies of parts of at most `size` bytes. */
export const cutEvery = (bytes: Uint8Array, size: number): Uint8Array<ArrayBuffer>[] => {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
  return pieces;
};

export interface ServerFrame {
  readonly first: number;
  readonly payload: Uint8Array;
}

/** Decodes a server's frames. Throws unless all are complete, unmasked, and have the shortest length field. */
export const serverFrames = (bytes: Uint8Array): ServerFrame[] => {
  const wire = Buffer.from(bytes);
  const frames: ServerFrame[] = [];
  for (let at = 0; at < wire.length; ) {
    const first = wire.readUInt8(at);
    const short = wire.readUInt8(at + 1);
    if (short >= 128) throw new Error("a server's frame is masked");
    const length =
      short < 126 ? short : short === 126 ? wire.readUInt16BE(at + 2) : Number(wire.readBigUInt64BE(at + 2));
    if (short === 126 && length < 126) throw new Error("not the shortest length");
    if (short === 127 && length < 65_536) throw new Error("not the shortest length");
    const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10);
    if (start + length > wire.length) throw new Error("a frame is incomplete");
    frames.push({ first, payload: Uint8Array.from(wire.subarray(start, start + length)) });
    at = start + length;
  }
  return frames;
};

export const utf8 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");

const NAMES: Readonly<Record<number, string>> = { 129: "text", 130: "binary", 136: "close", 137: "ping", 138: "pong" };

/** A server's frames in words: "text hello", "close 1000 reason". */
export const inWords = (frames: readonly ServerFrame[]): string[] =>
  frames.map(({ first, payload }) =>
    first === 0x88 && payload.length > 0
      ? `close ${(payload[0]! << 8) | payload[1]!} ${utf8(payload.subarray(2))}`.trim()
      : `${NAMES[first] ?? first} ${utf8(payload)}`.trim(),
  );
