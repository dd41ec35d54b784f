/** A client's frames (RFC 6455 §5.2), valid and invalid ones. Shares no code with websock-js, which it tests. */

export const CONTINUATION = 0x0;
export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PING = 0x9;
export const PONG = 0xa;

export interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
  readonly fin: boolean;
  /** RSV1 is 4, RSV2 is 2, RSV3 is 1. */
  readonly rsv: number;
  /** The masking key; `undefined`: the frame is not masked. */
  readonly key: readonly number[] | undefined;
  /** How many bits encode the length; `undefined`: as few as possible. */
  readonly lengthBits: 7 | 16 | 64 | undefined;
  /** The length in the header, if it differs from the payload's. */
  readonly announced: bigint | undefined;
}

/** Deviations from an ordinary frame. */
export type Shape = Partial<Omit<Frame, "opcode" | "payload">>;

export type Payload = string | Uint8Array;

let turn = 0;

/** A different key for every frame. A test does not need good randomness. */
const nextKey = (): readonly number[] => {
  turn = (Math.imul(turn, 1664525) + 1013904223) >>> 0;
  return [turn >>> 24, (turn >>> 16) & 255, (turn >>> 8) & 255, (turn >>> 3) & 255];
};

export const frame = (opcode: number, payload: Payload = "", shape: Shape = {}): Frame => ({
  opcode,
  payload: Buffer.from(payload),
  fin: true,
  rsv: 0,
  key: nextKey(),
  lengthBits: undefined,
  announced: undefined,
  ...shape,
});

export const text = (payload?: Payload, shape?: Shape): Frame => frame(TEXT, payload, shape);
export const binary = (payload?: Payload, shape?: Shape): Frame => frame(BINARY, payload, shape);
export const ping = (payload?: Payload, shape?: Shape): Frame => frame(PING, payload, shape);
export const pong = (payload?: Payload, shape?: Shape): Frame => frame(PONG, payload, shape);
/** The last continuation frame of a message. */
export const last = (payload?: Payload, shape?: Shape): Frame => frame(CONTINUATION, payload, shape);
/** A continuation frame that is not the last. */
export const more = (payload?: Payload, shape?: Shape): Frame => frame(CONTINUATION, payload, { fin: false, ...shape });

/** A close frame; empty without a code. */
export const close = (code?: number, reason: Payload = "", shape?: Shape): Frame => {
  if (code === undefined) return frame(CLOSE, "", shape);
  return frame(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]), shape);
};

/** One message in several frames, one per part. */
export const fragments = (opcode: number, parts: readonly Payload[], shape: Shape = {}): Frame[] =>
  parts.map((part, i) =>
    frame(i === 0 ? opcode : CONTINUATION, part, { fin: i === parts.length - 1, ...(i === 0 ? shape : {}) }),
  );

/** Cuts a payload into parts of a size; at least one part. */
export const parts = (payload: Payload, size: number): Buffer[] => {
  const bytes = Buffer.from(payload);
  const cut: Buffer[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += size) cut.push(bytes.subarray(at, at + size));
  return cut;
};

const header = ({ opcode, payload, fin, rsv, key, lengthBits, announced }: Frame): number[] => {
  const length = announced ?? BigInt(payload.length);
  const bits = lengthBits ?? (length < 126n ? 7 : length < 65_536n ? 16 : 64);
  const masked = key === undefined ? 0 : 0x80;
  const bytes = [
    (fin ? 0x80 : 0) | (rsv << 4) | opcode,
    masked | (bits === 7 ? Number(length) : bits === 16 ? 126 : 127),
  ];
  if (bits > 7) for (let shift = bits - 8; shift >= 0; shift -= 8) bytes.push(Number((length >> BigInt(shift)) & 255n));
  return bytes.concat(key ?? []);
};

/** Encodes frames. */
export const encode = (frames: readonly Frame[]): Buffer => {
  const headers = frames.map(header);
  const bytes = Buffer.allocUnsafe(
    frames.reduce((sum, { payload }, i) => sum + headers[i]!.length + payload.length, 0),
  );
  let at = 0;
  frames.forEach(({ payload, key }, i) => {
    for (const byte of headers[i]!) bytes[at++] = byte;
    if (key === undefined) bytes.set(payload, at);
    else for (let j = 0; j < payload.length; j++) bytes[at + j] = payload[j]! ^ key[j & 3]!;
    at += payload.length;
  });
  return bytes;
};
