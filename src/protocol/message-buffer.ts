/** Collects a message whose octets arrive piece by piece into one stretch of memory. */
import type { ByteOps } from "./byte-ops.ts";

/**
 * What is set aside before the octets are there: an announced length is only a claim, and a thousand peers may make it.
 */
const TRUSTED_LENGTH = 1024 * 1024;

/** Fragments are coalesced as they come, so that a million tiny ones cost what one message costs. */
export class MessageBuffer {
  private readonly byteOps: ByteOps;
  private bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(byteOps: ByteOps) {
    this.byteOps = byteOps;
    this.bytes = byteOps.alloc(0);
  }

  /** Appends `source[start..end)` and returns where it now begins, in {@link memory}. `expected`: what the message will reach at least. */
  append(source: Uint8Array, start: number, end: number, expected: number): number {
    const at = this.length;
    const needed = at + end - start;
    if (needed > this.bytes.length) this.grow(needed, expected);
    this.bytes.set(source.subarray(start, end), at);
    this.length = needed;
    return at;
  }

  /** The memory as it is now; {@link append} may replace it. */
  get memory(): Uint8Array<ArrayBuffer> {
    return this.bytes;
  }

  /** The whole message, and an empty buffer again. What is kept of it never pins more than twice its size. */
  take(): Uint8Array<ArrayBuffer> {
    const { bytes, length } = this;
    this.clear();
    return length * 2 >= bytes.length ? bytes.subarray(0, length) : bytes.slice(0, length);
  }

  clear(): void {
    this.bytes = this.byteOps.alloc(0);
    this.length = 0;
  }

  private grow(needed: number, expected: number): void {
    // Doubled, however small the step: `expected` is what is known of a message that may go on in further fragments, and
    // to grow by just that would copy the whole of it for each.
    const grown = this.byteOps.alloc(Math.max(needed, this.bytes.length * 2, Math.min(expected, TRUSTED_LENGTH)));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}
