/** Our messages, compressed (RFC 7692 §7.2.1). */
import type { IoData } from "../../message.ts";
import type { ByteOps } from "../byte-ops.ts";
import { writeIoData } from "../io-data.ts";
import type { Deflate, DeflateOptions } from "./deflate-port.ts";
import type { CompressionSettings, DeflateParameters } from "./negotiation.ts";
import { MessageWindow } from "./window.ts";

/** Up to so many octets, compressing takes less than handing over to another thread would. */
export const SYNC_LIMIT = 65_536;

/** The end of every flushed stream, which is not sent (§7.2.1). */
const TAIL_LENGTH = 4;

/** Without context takeover one serves all connections that agreed on the same; with it, each has its own. */
export class Compressor {
  /** Messages of fewer octets are sent as they are. */
  readonly threshold: number;

  private readonly deflater: Deflate;
  private readonly byteOps: ByteOps;
  private readonly options: Omit<DeflateOptions, "dictionary">;
  private readonly window: MessageWindow | undefined;
  /** The message before, and what became of it: one that goes to many is compressed once. */
  private last: { readonly input: string | Uint8Array; readonly output: Uint8Array | undefined } | undefined;

  constructor(settings: CompressionSettings, parameters: DeflateParameters, deflater: Deflate, byteOps: ByteOps) {
    const { level, memLevel, threshold } = settings;
    const { serverMaxWindowBits: windowBits, serverNoContextTakeover } = parameters;
    this.threshold = threshold;
    this.options = { level, memLevel, windowBits };
    this.window = serverNoContextTakeover ? undefined : new MessageWindow(windowBits);
    this.deflater = deflater;
    this.byteOps = byteOps;
  }

  /** The payload of the frame with RSV1; `undefined` where the message is better sent as it is. */
  compress(data: IoData, size: number): Uint8Array | undefined {
    const { last } = this;
    if (last !== undefined && typeof data === "string" && data === last.input) return last.output;
    const bytes = this.flatten(data, size);
    if (last !== undefined && bytes.length === last.input.length && sameOctets(bytes, last.input)) return last.output;
    const output = this.payload(bytes, this.deflater.deflateSync(bytes, this.optionsNow));
    if (this.window === undefined)
      this.last = { input: typeof data === "string" ? data : new Uint8Array(bytes), output };
    return output;
  }

  /** The same for large messages, in a later turn. */
  compressLater(data: IoData, size: number, done: (payload: Uint8Array | undefined) => void): void {
    const bytes = this.flatten(data, size);
    this.deflater.deflate(bytes, this.optionsNow, (deflated) => done(this.payload(bytes, deflated)));
  }

  private get optionsNow(): DeflateOptions {
    return { ...this.options, dictionary: this.window?.dictionary };
  }

  private payload(bytes: Uint8Array, deflated: Uint8Array): Uint8Array | undefined {
    const length = deflated.length - TAIL_LENGTH;
    // Never larger than it was; an empty message's one octet is the exception that the RFC makes (§7.2.3.6).
    if (length >= bytes.length && bytes.length > 0) return undefined;
    // Only what the other side inflates becomes part of its window.
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

const sameOctets = (a: Uint8Array, b: string | Uint8Array): boolean => {
  if (typeof b === "string") return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
};
