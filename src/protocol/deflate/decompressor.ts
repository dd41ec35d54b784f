/** The client's messages, inflated (RFC 7692 §7.2.2), and never further than the limits allow. */
import { ProtocolError } from "../../errors.ts";
import { CLOSE } from "../close.ts";
import type { Deflate, Inflated, InflateFailure, InflateOptions } from "./deflate-port.ts";
import type { CompressionSettings, DeflateParameters } from "./negotiation.ts";
import { MessageWindow } from "./window.ts";

/** Up to so many octets in and out, inflating takes less than handing over to another thread would. */
const SYNC_LIMIT = 65_536;

/**
 * What the sender took off (§7.2.1), and a final block behind it: a stream that does not end there was cut off or is no
 * DEFLATE at all.
 */
const TAIL = Uint8Array.of(0x00, 0x00, 0xff, 0xff, 0x03, 0x00);

/** A message may be made of so many streams, each ended by a final block (§7.2.3.5): every one costs a set-up. */
const MAX_STREAMS = 64;

/** How far a message is inflated. */
interface Progress {
  readonly stream: Uint8Array;
  readonly length: number;
  readonly limit: number;
  /** What the next stream may refer to. */
  readonly window: MessageWindow;
  /** Whether the next message may as well. */
  readonly keepsWindow: boolean;
  readonly parts: Uint8Array[];
  consumed: number;
  size: number;
}

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
  decompress(payload: Uint8Array, done: (result: Uint8Array | ProtocolError) => void): Uint8Array | undefined {
    const { length } = payload;
    const stream = new Uint8Array(length + TAIL.length);
    stream.set(payload);
    stream.set(TAIL, length);
    const limit = Math.min(this.maxMessageSize, Math.max(SYNC_LIMIT, Math.max(length, 1) * this.maxInflation));
    const window = this.window ?? new MessageWindow(15);
    const progress: Progress = {
      stream,
      length,
      limit,
      window,
      keepsWindow: this.window !== undefined,
      parts: [],
      consumed: 0,
      size: 0,
    };
    while (length <= SYNC_LIMIT) {
      const result = this.deflater.inflateSync(...nextInput(progress, Math.min(limit, SYNC_LIMIT)));
      if (result === "too big" && limit > SYNC_LIMIT) break;
      if (advance(progress, result)) return joinParts(progress);
    }
    this.inflateAsync(progress, done);
    return undefined;
  }

  private inflateAsync(progress: Progress, done: (result: Uint8Array | ProtocolError) => void): void {
    this.deflater.inflate(...nextInput(progress, progress.limit), (result) => {
      try {
        if (advance(progress, result)) done(joinParts(progress));
        else this.inflateAsync(progress, done);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        done(error);
      }
    });
  }
}

/** What is to be inflated next; zlib must be given room for one octet at least. */
const nextInput = (
  { stream, consumed, size, window }: Progress,
  limit: number,
): [data: Uint8Array, options: InflateOptions] => [
  stream.subarray(consumed),
  { limit: Math.max(limit - size, 1), dictionary: window.dictionary },
];

/** Takes what came out of a stream. Returns whether it was the last one of the message. */
const advance = (progress: Progress, result: Inflated | InflateFailure): boolean => {
  if (result === "corrupt" || progress.parts.length === MAX_STREAMS) {
    throw new ProtocolError(CLOSE.invalidPayload, "a compressed message that is no DEFLATE stream");
  }
  if (result === "too big" || progress.size + result.bytes.length > progress.limit) {
    throw new ProtocolError(CLOSE.tooBig, `a message of more than ${progress.limit} octets`);
  }
  progress.parts.push(result.bytes);
  progress.size += result.bytes.length;
  progress.consumed += result.consumed;
  const isLast = progress.consumed >= progress.length;
  if (!isLast || progress.keepsWindow) progress.window.add(result.bytes);
  return isLast;
};

const joinParts = ({ parts, size }: Progress): Uint8Array => {
  if (parts.length === 1) return parts[0]!;
  const message = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    message.set(part, at);
    at += part.length;
  }
  return message;
};
