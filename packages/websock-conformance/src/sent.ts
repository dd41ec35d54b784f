/** What a case sends: frames as they are, or messages to be compressed on the way. */
import type { CompressOptions } from "./deflate.ts";
import type { BINARY, Frame, Payload, TEXT } from "./frames.ts";

/** A message to be compressed when it is sent. */
export interface Compressed {
  readonly opcode: typeof TEXT | typeof BINARY;
  readonly payload: Buffer;
  /** Octets of compressed data in each frame; by default one frame has them all. */
  readonly fragmentSize: number;
  readonly options: CompressOptions;
}

export type Sent = Frame | Compressed;

export const compressed = (
  opcode: Compressed["opcode"],
  payload: Payload,
  { fragmentSize = Number.POSITIVE_INFINITY, ...options }: CompressOptions & { readonly fragmentSize?: number } = {},
): Compressed => ({ opcode, payload: Buffer.from(payload), fragmentSize, options });
