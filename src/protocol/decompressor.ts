/** The client's messages, inflated (RFC 7692 §7.2.2), and never further than the limits allow. */
import { ProtocolError } from "../errors.ts";
import { CLOSE } from "./close.ts";
import type { Deflate, Inflated, InflateFailure, InflateOptions } from "./deflate.ts";
import { MessageWindow } from "./message-window.ts";
import type { CompressionSettings, DeflateParameters } from "./permessage-deflate.ts";

/** Up to so many octets in and out, inflating takes less than handing over to another thread would. */
const SYNC_LIMIT = 65_536;

/**
 * What the sender took off (§7.2.1), and a final block behind it: a stream that does not end there was cut off or is no
 * DEFLATE at all.
 */
const TAIL = Uint8Array.of(0x00, 0x00, 0xff, 0xff, 0x03, 0x00);

/** Without context takeover one serves all connections that agreed on the same; with it, each has its own. */
export class Decompressor {
  private readonly deflater: Deflate;
  private readonly maxMessageSize: number;
  private readonly maxInflation: number;
  private readonly window: MessageWindow | undefined;

  constructor(
    { maxInflation }: CompressionSettings,
    { clientNoContextTakeover, clientMaxWindowBits }: DeflateParameters,
    maxMessageSize: number,
    deflater: Deflate,
  ) {
    this.maxInflation = maxInflation;
    this.maxMessageSize = maxMessageSize;
    this.window = clientNoContextTakeover ? undefined : new MessageWindow(clientMaxWindowBits);
    this.deflater = deflater;
  }

  /**
   * Inflates a message: at once, and returns it, where little goes in and comes out; else `later` is called with it in
   * another turn, and `undefined` is returned. `payload` is only read during the call.
   *
   * @throws ProtocolError 1007 for what is no DEFLATE stream, 1009 for a message that is too large
   */
  decompress(payload: Uint8Array, later: (result: Uint8Array | ProtocolError) => void): Uint8Array | undefined {
    const { length } = payload;
    const stream = new Uint8Array(length + TAIL.length);
    stream.set(payload);
    stream.set(TAIL, length);
    const limit = Math.min(this.maxMessageSize, Math.max(SYNC_LIMIT, Math.max(length, 1) * this.maxInflation));
    const dictionary = this.window?.dictionary;
    if (length <= SYNC_LIMIT) {
      const result = this.deflater.inflateSync(stream, { limit: Math.min(limit, SYNC_LIMIT), dictionary });
      if (result !== "too big" || limit <= SYNC_LIMIT) return this.check(result, length, limit);
    }
    this.inflateLater(stream, length, { limit, dictionary }, later);
    return undefined;
  }

  private inflateLater(
    stream: Uint8Array,
    length: number,
    options: InflateOptions,
    later: (result: Uint8Array | ProtocolError) => void,
  ): void {
    this.deflater.inflate(stream, options, (result) => {
      try {
        later(this.check(result, length, options.limit));
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        later(error);
      }
    });
  }

  private check(result: Inflated | InflateFailure, length: number, limit: number): Uint8Array {
    if (result === "too big") throw new ProtocolError(CLOSE.tooBig, `a message of more than ${limit} octets`);
    // §7.2.3.5: behind a final block of its own, a sender puts one empty octet.
    if (result === "corrupt" || result.consumed < length - 1) {
      throw new ProtocolError(CLOSE.invalidPayload, "a compressed message that is no DEFLATE stream");
    }
    this.window?.add(result.bytes);
    return result.bytes;
  }
}
