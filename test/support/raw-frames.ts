/** A client's frames, by hand: an encoder and a decoder that share no code with the library, and refuse nothing. */

export interface FrameShape {
  readonly fin?: boolean;
  readonly rsv?: number;
  readonly masked?: boolean;
  /** The length to announce, where it is not the payload's; in the 64-bit form from 65 536 on. */
  readonly length?: number | bigint;
}

export interface Frame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly payload: Buffer;
}

const KEY = [0x12, 0x9f, 0x00, 0xfe];

export const CONTINUATION = 0x0;
export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PING = 0x9;
export const PONG = 0xa;

export const frame = (opcode: number, payload: string | Uint8Array = "", shape: FrameShape = {}): Buffer => {
  const { fin = true, rsv = 0, masked = true } = shape;
  const data = Buffer.from(payload);
  const length = BigInt(shape.length ?? data.length);
  const head: number[] = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const mask = masked ? 0x80 : 0;
  if (length < 126n) head.push(mask | Number(length));
  else if (length < 65_536n) head.push(mask | 126, Number(length >> 8n), Number(length & 255n));
  else {
    head.push(mask | 127);
    for (let shift = 56n; shift >= 0n; shift -= 8n) head.push(Number((length >> shift) & 255n));
  }
  if (!masked) return Buffer.concat([Buffer.from(head), data]);
  return Buffer.concat([Buffer.from([...head, ...KEY]), data.map((byte, i) => byte ^ KEY[i % 4]!)]);
};

export const closeFrame = (code?: number, text: string | Uint8Array = ""): Buffer =>
  frame(CLOSE, code === undefined ? "" : Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(text)]));

/** Reads a server's frame with the reader's `take`. */
export const readFrame = async (take: (size: number) => Promise<Buffer>): Promise<Frame> => {
  const [first, second] = (await take(2)) as unknown as [number, number];
  if (second & 0x80) throw new Error("a server must not mask");
  let length = second & 0x7f;
  if (length === 126) length = (await take(2)).readUInt16BE();
  else if (length === 127) length = Number((await take(8)).readBigUInt64BE());
  return { fin: first >= 0x80, rsv: (first >> 4) & 7, opcode: first & 15, payload: await take(length) };
};
