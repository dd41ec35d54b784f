/** A client's frames (RFC 6455 §5.2), sound ones and others. Shares no code with the library: it is here to judge it. */

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
  /** The masking key; none: the frame is not masked. */
  readonly key: readonly number[] | undefined;
  /** How many bits the length is written with; by default as few as will do. */
  readonly lengthBits: 7 | 16 | 64 | undefined;
  /** The length to announce, if it is not the payload's. */
  readonly announced: bigint | undefined;
}

/** What is unusual about a frame. */
export type Shape = Partial<Omit<Frame, "opcode" | "payload">>;

export type Payload = string | Uint8Array;

let turn = 0;

/** Another key for every frame, without the cost of good randomness, which a test has no use for. */
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
/** A continuation that is the last of its message. */
export const last = (payload?: Payload, shape?: Shape): Frame => frame(CONTINUATION, payload, shape);
/** A continuation that is not. */
export const more = (payload?: Payload, shape?: Shape): Frame => frame(CONTINUATION, payload, { fin: false, ...shape });

/** A close frame; without a code it is empty. */
export const close = (code?: number, reason: Payload = "", shape?: Shape): Frame => {
  if (code === undefined) return frame(CLOSE, "", shape);
  return frame(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]), shape);
};

/** One message in several frames: one for each part. */
export const fragments = (opcode: number, parts: readonly Payload[], shape: Shape = {}): Frame[] =>
  parts.map((part, i) =>
    frame(i === 0 ? opcode : CONTINUATION, part, { fin: i === parts.length - 1, ...(i === 0 ? shape : {}) }),
  );

/** Cuts octets into parts of a size; at least one part. */
export const parts = (payload: Payload, size: number): Buffer[] => {
  const octets = Buffer.from(payload);
  const cut: Buffer[] = [];
  for (let at = 0; at === 0 || at < octets.length; at += size) cut.push(octets.subarray(at, at + size));
  return cut;
};

const header = ({ opcode, payload, fin, rsv, key, lengthBits, announced }: Frame): number[] => {
  const length = announced ?? BigInt(payload.length);
  const bits = lengthBits ?? (length < 126n ? 7 : length < 65_536n ? 16 : 64);
  const masked = key === undefined ? 0 : 0x80;
  const octets = [
    (fin ? 0x80 : 0) | (rsv << 4) | opcode,
    masked | (bits === 7 ? Number(length) : bits === 16 ? 126 : 127),
  ];
  if (bits > 7)
    for (let shift = bits - 8; shift >= 0; shift -= 8) octets.push(Number((length >> BigInt(shift)) & 255n));
  return octets.concat(key ?? []);
};

/** The frames as they go over the wire. */
export const encode = (frames: readonly Frame[]): Buffer => {
  const headers = frames.map(header);
  const octets = Buffer.allocUnsafe(
    frames.reduce((sum, { payload }, i) => sum + headers[i]!.length + payload.length, 0),
  );
  let at = 0;
  frames.forEach(({ payload, key }, i) => {
    for (const octet of headers[i]!) octets[at++] = octet;
    if (key === undefined) octets.set(payload, at);
    else for (let j = 0; j < payload.length; j++) octets[at + j] = payload[j]! ^ key[j & 3]!;
    at += payload.length;
  });
  return octets;
};
