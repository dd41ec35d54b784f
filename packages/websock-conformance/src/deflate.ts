/** The client's side of permessage-deflate (RFC 7692 §7.2): zlib compresses, `inflater.ts` checks the server's data. */
import { constants, deflateRawSync, type ZlibOptions } from "node:zlib";
import { Inflater } from "./inflater.ts";
import type { DeflateParams } from "./negotiation.ts";

const TAIL = Buffer.from([0, 0, 0xff, 0xff]);

export interface CompressOptions extends Pick<ZlibOptions, "level" | "strategy" | "memLevel"> {
  /** Sizes of the blocks; one more block contains the rest. */
  readonly blocks?: readonly number[];
}

export class Deflate {
  readonly params: DeflateParams;
  private readonly inflater: Inflater;
  /** What the next message may refer to; passed to zlib as a dictionary, which has the effect of context takeover. */
  private history: Buffer = Buffer.alloc(0);

  constructor(params: DeflateParams) {
    this.params = params;
    this.inflater = new Inflater(params.serverMaxWindowBits, !params.serverNoContextTakeover);
  }

  /** Compresses a message, with references to earlier messages if that was negotiated. */
  compress(payload: Uint8Array, { blocks = [], ...options }: CompressOptions = {}): Buffer {
    const window = 2 ** this.params.clientMaxWindowBits;
    const compressed: Buffer[] = [];
    let history = this.history;
    let at = 0;
    for (const size of [...blocks, payload.length]) {
      const block = payload.subarray(at, at + size);
      at += block.length;
      compressed.push(
        deflateRawSync(block, {
          ...options,
          finishFlush: constants.Z_SYNC_FLUSH,
          // zlib treats 8 as 9. It refers back less than 2 ** bits - 261 bytes, so that 9 fits into a window of 256.
          windowBits: Math.max(9, this.params.clientMaxWindowBits),
          ...(history.length > 0 ? { dictionary: history } : {}),
        }),
      );
      history = Buffer.concat([history, block]).subarray(-window);
    }
    if (!this.params.clientNoContextTakeover) this.history = history;
    const whole = Buffer.concat(compressed);
    // zlib produces no data for an empty message, which is an empty stored block (§7.2.3.6).
    return whole.length === 0 ? Buffer.alloc(1) : whole.subarray(0, -TAIL.length);
  }

  /** @throws Failure if the data is invalid */
  inflate(message: Uint8Array): Buffer {
    return this.inflater.inflate(message);
  }
}
