/**
 * The most recently decoded text, and the bytes it was decoded from. Handlers often send a text as it has arrived (an
 * echo, a relay, a chat): it then needs neither measuring nor encoding.
 */
import { NO_BYTES } from "../copy.ts";

export class LastText {
  text = "";
  private memory: Uint8Array = NO_BYTES;
  private start = 0;
  private end = 0;
  /** A view of `memory`, only set for short texts. {@link copyTo} needs it. */
  view: DataView | undefined = undefined;
  /** The bytes change after {@link forget}: they are in a receive buffer. */
  private isShared = false;

  /**
   * The bytes must not change before {@link forget}, and, unless they are in shared memory, while a part that is being
   * written refers to them.
   */
  set(text: string, bytes: Uint8Array, start: number, end: number, isShared: boolean, view?: DataView): void {
    this.text = text;
    this.start = start;
    this.end = end;
    this.isShared = isShared;
    // Skip the store when the value is unchanged: the garbage collector's write barrier costs more than the comparison.
    if (this.memory !== bytes) this.memory = bytes;
    if (this.view !== view) this.view = view;
  }

  /** Drops the references to the text and its bytes. */
  forget(): void {
    this.set("", NO_BYTES, 0, 0, false);
  }

  /** The length of the text in bytes. */
  get size(): number {
    return this.end - this.start;
  }

  /** Copies the bytes of a short text to `target` from `at` on, four per step, and returns the position behind them. */
  copyTo(target: DataView, at: number): number {
    const { end } = this;
    const view = this.view!;
    let source = this.start;
    for (; source + 3 < end; source += 4, at += 4) target.setUint32(at, view.getInt32(source, true), true);
    for (; source < end; source++, at++) target.setUint8(at, view.getUint8(source));
    return at;
  }

  /** A view of the text's bytes, valid until {@link forget}. */
  get bytes(): Uint8Array {
    return this.memory.subarray(this.start, this.end);
  }

  /** Whether `data` is this text, and its bytes must be copied to be sent, because they change after {@link forget}. */
  isTransient(data: unknown): boolean {
    return this.isShared && data === this.text;
  }
}

/** Shorter texts are not recorded, except in a run: measuring and encoding them again costs less. */
export const MIN_LAST_TEXT = 512;
