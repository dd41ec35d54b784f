/**
 * The sliding window of one direction for context takeover (RFC 7692 §7.2.3.2): the most recent data, to which the next
 * message may refer. Kept as bytes instead of a zlib stream: this needs a few kilobytes instead of hundreds, and no
 * cleanup.
 */
export class MessageWindow {
  private readonly size: number;
  private bytes: Uint8Array | undefined;

  constructor(windowBits: number) {
    this.size = 2 ** windowBits;
  }

  /** The dictionary for the next message; `undefined` before the first message. */
  get dictionary(): Uint8Array | undefined {
    return this.bytes;
  }

  /** Adds a message that was compressed or inflated. */
  add(message: Uint8Array): void {
    if (message.length === 0) return;
    const kept = Math.min(this.bytes?.length ?? 0, Math.max(this.size - message.length, 0));
    const added = Math.min(message.length, this.size);
    const bytes = new Uint8Array(kept + added);
    if (kept > 0) bytes.set(this.bytes!.subarray(this.bytes!.length - kept));
    bytes.set(message.subarray(message.length - added), kept);
    this.bytes = bytes;
  }
}
