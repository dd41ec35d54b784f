/**
 * The text that was decoded last, and the octets that it was decoded from. What arrives is often sent on as it is, by an
 * echo, a relay, a chat: then it need be neither measured nor encoded again.
 */
export class RecentText {
  text = "";
  private bytes: Uint8Array = NOTHING;
  private start = 0;
  private end = 0;

  /** The octets are not to be changed until {@link forget}, nor while something that was sent refers to them. */
  set(text: string, bytes: Uint8Array, start: number, end: number): void {
    this.text = text;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  /** Keeps nothing alive any more. */
  forget(): void {
    this.set("", NOTHING, 0, 0);
  }

  /** How many octets the text has. */
  get size(): number {
    return this.end - this.start;
  }

  /** The octets themselves. */
  get octets(): Uint8Array {
    return this.bytes.subarray(this.start, this.end);
  }
}

const NOTHING = new Uint8Array(0);

/** Below this many octets, measuring and encoding once more costs less than remembering. */
export const RECENT_FROM = 512;

/** One for all connections: it holds for as long as one of them hands out what has arrived. */
export const recentText = new RecentText();
