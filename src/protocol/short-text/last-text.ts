/**
 * The text that was decoded last, and the octets that it was decoded from. What arrives is often sent on as it is, by an
 * echo, a relay, a chat: then it need be neither measured nor encoded again.
 */
export class LastText {
  text = "";
  private memory: Uint8Array = NOTHING;
  private start = 0;
  private end = 0;
  /** A view of the same octets, where they are few: it is what {@link copyTo} needs. */
  view: DataView | undefined = undefined;

  /** The octets are not to be changed until {@link forget}, nor while something that was sent refers to them. */
  set(text: string, bytes: Uint8Array, start: number, end: number, view?: DataView): void {
    this.text = text;
    this.start = start;
    this.end = end;
    // Telling the collector of a new value costs more than a look at the old one.
    if (this.memory !== bytes) this.memory = bytes;
    if (this.view !== view) this.view = view;
  }

  /** Keeps nothing alive any more. */
  forget(): void {
    this.set("", NOTHING, 0, 0);
  }

  /** How many octets the text has. */
  get size(): number {
    return this.end - this.start;
  }

  /** Writes the octets of a short text to `target` from `at` on, a word at a time, and returns where they end. */
  copyTo(target: DataView, at: number): number {
    const { end } = this;
    const view = this.view!;
    let from = this.start;
    for (; from + 3 < end; from += 4, at += 4) target.setInt32(at, view.getInt32(from, true), true);
    for (; from < end; from++, at++) target.setUint8(at, view.getUint8(from));
    return at;
  }

  /** The octets themselves. */
  get bytes(): Uint8Array {
    return this.memory.subarray(this.start, this.end);
  }
}

const NOTHING = new Uint8Array(0);

/** Below this many octets, measuring and encoding once more costs less than remembering; but for short ones in a run. */
export const LAST_TEXT_FROM = 512;
