/** The client's end of permessage-deflate (RFC 7692 §7.2): zlib compresses, `inflater.ts` judges what comes back. */
import { constants, deflateRawSync, type ZlibOptions } from "node:zlib";
import { Inflater } from "./inflater.ts";
import type { DeflateParams } from "./negotiation.ts";

const TAIL = Buffer.from([0, 0, 0xff, 0xff]);

export interface CompressOptions extends Pick<ZlibOptions, "level" | "strategy" | "memLevel"> {
  /** Sizes after which a block is ended; the last goes on to the end. */
  readonly blocks?: readonly number[];
}

export class Deflate {
  readonly params: DeflateParams;
  private readonly inflater: Inflater;
  /** What the next message may refer to: a dictionary is what takeover of a context is. */
  private history: Buffer = Buffer.alloc(0);

  constructor(params: DeflateParams) {
    this.params = params;
    this.inflater = new Inflater(params.serverMaxWindowBits, !params.serverNoContextTakeover);
  }

  /** Compresses a message, as far as was agreed with reference to the messages before it. */
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
          // zlib's 8 is 9 (it refers to less than 2 ** bits - 261 octets ago, so that 9 fits into a window of 256).
          windowBits: Math.max(9, this.params.clientMaxWindowBits),
          ...(history.length > 0 ? { dictionary: history } : {}),
        }),
      );
      history = Buffer.concat([history, block]).subarray(-window);
    }
    if (!this.params.clientNoContextTakeover) this.history = history;
    const whole = Buffer.concat(compressed);
    // Of an empty message zlib makes nothing: it is an empty stored block (§7.2.3.6).
    return whole.length === 0 ? Buffer.alloc(1) : whole.subarray(0, -TAIL.length);
  }

  /** @throws Failure if it is not what the server may send */
  inflate(message: Uint8Array): Buffer {
    return this.inflater.inflate(message);
  }
}
