/** What a case sends: frames as they are, or messages that the client compresses. */
import type { CompressOptions } from "./deflate.ts";
import type { BINARY, Frame, Payload, TEXT } from "./frames.ts";

/** A message that the client compresses when it sends it. */
export interface Compressed {
  readonly opcode: typeof TEXT | typeof BINARY;
  readonly payload: Buffer;
  /** Bytes of compressed data in each frame. Default: one frame contains all of them. */
  readonly fragmentSize: number;
  readonly options: CompressOptions;
}

export type Sent = Frame | Compressed;

export const compressed = (
  opcode: Compressed["opcode"],
  payload: Payload,
  { fragmentSize = Number.POSITIVE_INFINITY, ...options }: CompressOptions & { readonly fragmentSize?: number } = {},
): Compressed => ({ opcode, payload: Buffer.from(payload), fragmentSize, options });
