/** Compression of the messages that the server sends (RFC 7692 §7.2.1). */
import type { IoData } from "../../message.ts";
import type { ByteOps } from "../byte-ops.ts";
import { writeIoData } from "../io-data.ts";
import type { SharedCompressor } from "../shared-messages.ts";
import type { Deflate, DeflateOptions } from "./deflate-port.ts";
import type { CompressionSettings, DeflateParameters } from "./negotiation.ts";
import { MessageWindow } from "./window.ts";

/** Messages up to this size in bytes are compressed synchronously: a handover to another thread would take longer. */
export const SYNC_LIMIT = 65_536;

/** The length of 00 00 ff ff, with which every flushed stream ends, and which is not sent (§7.2.1). */
const TAIL_LENGTH = 4;

type Done = (payload: Uint8Array | undefined) => void;

/**
 * Without context takeover, all connections with the same parameters share one compressor; with it, each connection has
 * its own.
 */
export class Compressor implements SharedCompressor {
  readonly threshold: number;
  readonly syncLimit = SYNC_LIMIT;

  private readonly deflater: Deflate;
  private readonly byteOps: ByteOps;
  private readonly options: Omit<DeflateOptions, "dictionary">;
  private readonly window: MessageWindow | undefined;
  /** The previous message and its result, so that a message to many connections is compressed once. */
  private previous: { readonly input: string | Uint8Array; readonly output: Uint8Array | undefined } | undefined;
  /** Without context takeover: the messages that are being compressed in another thread, and who waits for them. */
  private readonly pending = new Map<IoData, Done[]>();

  constructor(settings: CompressionSettings, parameters: DeflateParameters, deflater: Deflate, byteOps: ByteOps) {
    const { level, memLevel, threshold } = settings;
    const { serverMaxWindowBits: windowBits, serverNoContextTakeover } = parameters;
    this.threshold = threshold;
    this.options = { level, memLevel, windowBits };
    this.window = serverNoContextTakeover ? undefined : new MessageWindow(windowBits);
    this.deflater = deflater;
    this.byteOps = byteOps;
  }

  /** Whether connections share this instance: without context takeover. */
  get isShared(): boolean {
    return this.window === undefined;
  }

  compress(data: IoData, size: number): Uint8Array | undefined {
    const { previous } = this;
    if (previous !== undefined && typeof data === "string" && data === previous.input) return previous.output;
    const bytes = this.flatten(data, size);
    if (previous !== undefined && bytes.length === previous.input.length && equalBytes(bytes, previous.input))
      return previous.output;
    const output = this.toPayload(bytes, this.deflater.deflateSync(bytes, this.currentOptions));
    if (this.window === undefined)
      this.previous = { input: typeof data === "string" ? data : new Uint8Array(bytes), output };
    return output;
  }

  /** Like {@link compress}, in another thread: for large messages. */
  compressAsync(data: IoData, size: number, done: Done): void {
    const waiting = this.pending.get(data);
    if (waiting !== undefined) {
      waiting.push(done);
      return;
    }
    const all = [done];
    if (this.isShared) this.pending.set(data, all);
    const bytes = this.flatten(data, size);
    this.deflater.deflate(bytes, this.currentOptions, (deflated) => {
      this.pending.delete(data);
      const payload = this.toPayload(bytes, deflated);
      for (const each of all) each(payload);
    });
  }

  private get currentOptions(): DeflateOptions {
    return { ...this.options, dictionary: this.window?.dictionary };
  }

  private toPayload(bytes: Uint8Array, deflated: Uint8Array): Uint8Array | undefined {
    const length = deflated.length - TAIL_LENGTH;
    // An empty message is compressed to one byte (§7.2.3.6), and is sent compressed although that is larger.
    if (length >= bytes.length && bytes.length > 0) return undefined;
    // Only messages that are sent compressed are part of the peer's window.
    this.window?.add(bytes);
    return deflated.subarray(0, length);
  }

  private flatten(data: IoData, size: number): Uint8Array {
    if (data instanceof Uint8Array) return data;
    const bytes = this.byteOps.allocOutput(size);
    writeIoData(data, bytes, 0, this.byteOps, size);
    return bytes;
  }
}

const equalBytes = (a: Uint8Array, b: string | Uint8Array): boolean => {
  if (typeof b === "string") return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
};
