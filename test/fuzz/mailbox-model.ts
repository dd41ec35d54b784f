/** A reference implementation of the mailbox as one list: slow and simple. */

type Entry<T> =
  | { readonly kind: "message"; readonly what: T; readonly size: number }
  | { readonly kind: "info"; readonly what: T; readonly number: number };

export class MailboxModel<T> {
  private list: Entry<T>[] = [];
  private sent = 0;
  private released = 0;
  private marked = 0;

  private get first(): number {
    return this.list.findIndex(({ kind }) => kind === "message");
  }
  /** The position of messages of the latest chunk: before the infos that were sent since. */
  private get place(): number {
    if (this.marked === this.sent) return this.list.length;
    const place = this.list.findIndex((entry) => entry.kind === "info" && entry.number >= this.marked);
    return place === -1 ? this.list.length : place;
  }
  private count(kind: "message" | "info"): number {
    return this.list.filter((entry) => entry.kind === kind).length;
  }

  get messages(): number {
    return this.count("message");
  }
  get infos(): number {
    return this.count("info");
  }
  get bytes(): number {
    return this.list.reduce((sum, entry) => sum + (entry.kind === "message" ? entry.size : 0), 0);
  }
  get hasInfo(): boolean {
    return this.list.some((entry) => entry.kind === "info" && entry.number < this.released);
  }
  /** Whether nothing is queued before a message that arrives now. */
  get isNext(): boolean {
    return this.place === 0 && this.first === -1;
  }

  mark(): void {
    this.marked = this.sent;
  }
  addMessage(what: T, size: number): void {
    this.list.splice(this.place, 0, { kind: "message", what, size });
  }
  addInfo(what: T): void {
    this.list.push({ kind: "info", what, number: this.sent++ });
  }
  releaseInfos(): void {
    this.released = this.sent;
  }
  /** The next message, if no info is queued before it. */
  takeMessage(): T | undefined {
    return this.list[0]?.kind === "message" ? this.list.shift()!.what : undefined;
  }
  takeInfo(): T | undefined {
    const place = this.list.findIndex(({ kind }) => kind === "info");
    return this.list.splice(place, 1)[0]!.what;
  }
  clear(): void {
    this.list = [];
  }
}
