/** Encodes frames of a client as Buffers, including invalid ones. Shares no code with the library. */
import { frame as encodeFrame, KEY } from "./client-frames.ts";

export interface FrameShape {
  readonly fin?: boolean;
  readonly rsv?: number;
  readonly masked?: boolean;
  /** The length in the header, if it differs from the payload's. */
  readonly length?: number | bigint;
}

export interface Frame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly payload: Buffer;
}

export const CONTINUATION = 0x0;
export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PING = 0x9;
export const PONG = 0xa;

export const frame = (opcode: number, payload: string | Uint8Array = "", shape: FrameShape = {}): Buffer => {
  const { fin = true, rsv = 0, masked = true, length: claims = Buffer.byteLength(payload) } = shape;
  return Buffer.from(encodeFrame({ opcode, payload, fin, rsv, mask: masked ? KEY : null, claims }).buffer);
};

export const closeFrame = (code?: number, text: string | Uint8Array = ""): Buffer =>
  frame(CLOSE, code === undefined ? "" : Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(text)]));

/** Reads a server's frame. `take`: resolves to the next `size` bytes. */
export const readFrame = async (take: (size: number) => Promise<Buffer>): Promise<Frame> => {
  const [first, second] = (await take(2)) as unknown as [number, number];
  if (second & 0x80) throw new Error("a server must not mask");
  let length = second & 0x7f;
  if (length === 126) length = (await take(2)).readUInt16BE();
  else if (length === 127) length = Number((await take(8)).readBigUInt64BE());
  return { fin: first >= 0x80, rsv: (first >> 4) & 7, opcode: first & 15, payload: await take(length) };
};
