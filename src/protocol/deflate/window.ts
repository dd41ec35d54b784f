/**
 * Context takeover (RFC 7692 §7.2.3.2): the end of what one side has compressed so far, to which its next message may
 * refer. It is kept as octets, not as a zlib stream: a few kilobytes instead of hundreds, and nothing to be closed.
 */
export class MessageWindow {
  private readonly size: number;
  private bytes: Uint8Array | undefined;

  constructor(windowBits: number) {
    this.size = 2 ** windowBits;
  }

  /** For the next message; `undefined` before the first one. */
  get dictionary(): Uint8Array | undefined {
    return this.bytes;
  }

  /** A message was compressed or inflated. */
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
