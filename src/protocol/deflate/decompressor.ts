/** Inflation of the messages that the client sends (RFC 7692 §7.2.2), within the size limits. */
import { ProtocolError } from "../../errors.ts";
import { CLOSE } from "../close.ts";
import type { Deflate, Inflated, InflateFailure, InflateOptions } from "./deflate-port.ts";
import type { CompressionSettings, DeflateParameters } from "./negotiation.ts";
import { MessageWindow } from "./window.ts";

/**
 * Up to this size in bytes, before and after, inflation is synchronous: a handover to another thread would take longer.
 */
const SYNC_LIMIT = 65_536;

/**
 * The four bytes that the sender removed (§7.2.1), followed by an empty final block. A stream that does not end with
 * that block is truncated or not DEFLATE.
 */
const TAIL = Uint8Array.of(0x00, 0x00, 0xff, 0xff, 0x03, 0x00);

/**
 * The most streams per message, each ended by a final block (§7.2.3.5). Limited, because zlib is set up for each of
 * them.
 */
const MAX_STREAMS = 64;

/** The progress of one message's inflation. */
interface Progress {
  readonly stream: Uint8Array;
  readonly length: number;
  readonly limit: number;
  /** The data that the next stream may refer to. */
  readonly window: MessageWindow;
  /** Whether the next message may also refer to it (context takeover). */
  readonly keepsWindow: boolean;
  readonly parts: Uint8Array[];
  consumed: number;
  size: number;
}

/**
 * Without context takeover, all connections with the same parameters share one decompressor; with it, each connection
 * has its own.
 */
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
   * Inflates a message. Small messages are inflated synchronously and returned. For a large one, `undefined` is
   * returned, and `done` is called with the message or the error in a later event-loop tick. `payload` is read only
   * during the call.
   *
   * @throws ProtocolError 1007 for an invalid DEFLATE stream, 1009 for a message that is too large
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

/** The arguments for inflating the next stream. zlib requires a limit of at least one byte. */
const nextInput = (
  { stream, consumed, size, window }: Progress,
  limit: number,
): [data: Uint8Array, options: InflateOptions] => [
  stream.subarray(consumed),
  { limit: Math.max(limit - size, 1), dictionary: window.dictionary },
];

/** Records the output of a stream. Returns whether it was the last one of the message. */
const advance = (progress: Progress, result: Inflated | InflateFailure): boolean => {
  if (result === "corrupt" || progress.parts.length === MAX_STREAMS) {
    throw new ProtocolError(CLOSE.invalidPayload, "received a compressed message that is not a valid DEFLATE stream");
  }
  if (result === "too big" || progress.size + result.bytes.length > progress.limit) {
    throw new ProtocolError(CLOSE.tooBig, `received a message of more than ${progress.limit} bytes`);
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
