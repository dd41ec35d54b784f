/** A growing buffer for a message that arrives in several chunks or frames. */
import type { ByteOps } from "./byte-ops.ts";
import { viewOrCopy } from "./copy.ts";

/**
 * The most that is allocated before the bytes have arrived. The length in a header is only a claim: a thousand clients
 * that announce 10 MB each must not make the server allocate 10 GB.
 */
const TRUSTED_LENGTH = 1024 * 1024;

/** Fragments are coalesced as they arrive, so a million tiny fragments need no more memory than one message. */
export class MessageBuffer {
  private readonly byteOps: ByteOps;
  private bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(byteOps: ByteOps) {
    this.byteOps = byteOps;
    this.bytes = byteOps.alloc(0);
  }

  /**
   * Appends `source[start..end)`.
   *
   * @param expected the length that the message will have at least
   */
  append(source: Uint8Array, start: number, end: number, expected: number): void {
    const at = this.length;
    const needed = at + end - start;
    if (needed > this.bytes.length) this.grow(needed, expected);
    this.bytes.set(source.subarray(start, end), at);
    this.length = needed;
  }

  /** The current memory. {@link append} may replace it. */
  get memory(): Uint8Array<ArrayBuffer> {
    return this.bytes;
  }

  /** Returns the message and empties the buffer. */
  take(): Uint8Array<ArrayBuffer> {
    const { bytes, length } = this;
    this.clear();
    return viewOrCopy(bytes, 0, length);
  }

  clear(): void {
    this.bytes = this.byteOps.alloc(0);
    this.length = 0;
  }

  private grow(needed: number, expected: number): void {
    // Always at least double the size. `expected` covers only the fragments whose headers have arrived; growing to just
    // that size would copy the whole message for every fragment.
    const grown = this.byteOps.alloc(Math.max(needed, this.bytes.length * 2, Math.min(expected, TRUSTED_LENGTH)));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}
