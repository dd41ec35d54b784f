/** What waits for a connection: messages from its peer and infos from its own side, in the order in which they arrived. */
import type { ControlMessage, DataMessage } from "../message.ts";

export type Arrived = DataMessage | ControlMessage;

const NONE: never[] = [];

/** A queue that takes little memory while it is empty. */
class Fifo<T> {
  private items: T[] = NONE;
  private head = 0;

  get length(): number {
    return this.items.length - this.head;
  }

  peek(): T | undefined {
    return this.items[this.head];
  }

  push(item: T): void {
    if (this.items === NONE) this.items = [item];
    else this.items.push(item);
  }

  shift(): T | undefined {
    if (this.items === NONE) return undefined;
    const item = this.items[this.head];
    this.items[this.head++] = undefined as T;
    if (this.head === this.items.length) {
      this.clear();
    } else if (this.head >= 1024 && this.head * 2 >= this.items.length) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
    return item;
  }

  clear(): void {
    this.items = NONE;
    this.head = 0;
  }
}

interface Waiting {
  readonly event: Arrived;
  readonly size: number;
  /** How many infos had been sent when it arrived: those come first. */
  readonly after: number;
}

export class Mailbox {
  /** How many messages wait, and how many octets they have. */
  messages = 0;
  bytes = 0;

  private readonly waiting = new Fifo<Waiting>();
  private readonly waitingInfos = new Fifo<unknown>();
  private sentInfos = 0;
  private handledInfos = 0;
  private releasedInfos = 0;
  private arrival = 0;

  get infos(): number {
    return this.waitingInfos.length;
  }

  /** Something arrives from the peer: what {@link addMessage} adds until the next call came in this moment. */
  markArrival(): void {
    this.arrival = this.sentInfos;
  }

  /** Whether a message that arrives now may be handled at once: nothing came before it. */
  get isCaughtUp(): boolean {
    return this.messages === 0 && this.handledInfos >= this.arrival;
  }

  addMessage(event: Arrived, size: number): void {
    this.waiting.push({ event, size, after: this.arrival });
    this.messages++;
    this.bytes += size;
  }

  addInfo(info: unknown): void {
    this.waitingInfos.push(info);
    this.sentInfos++;
  }

  /** A turn of the event loop has passed: the infos sent until now may be handled. */
  releaseInfos(): void {
    this.releasedInfos = this.sentInfos;
  }

  /** The size of the next message; 0 if there is none. */
  get nextSize(): number {
    return this.waiting.peek()?.size ?? 0;
  }

  /** The next message, if it is its turn. */
  takeMessage(): Arrived | undefined {
    const next = this.waiting.peek();
    if (next === undefined || next.after > this.handledInfos) return undefined;
    this.waiting.shift();
    this.messages--;
    this.bytes -= next.size;
    return next.event;
  }

  /** Whether an info may be handled now. */
  get hasInfo(): boolean {
    return this.handledInfos < this.releasedInfos;
  }

  takeInfo(): unknown {
    this.handledInfos++;
    return this.waitingInfos.shift();
  }

  /** Drops everything. */
  clear(): void {
    this.waiting.clear();
    this.waitingInfos.clear();
    this.messages = this.bytes = 0;
    this.handledInfos = this.releasedInfos = this.sentInfos;
  }
}

/**
 * Stands for the mailbox of every connection for which nothing has ever waited; nothing is added to it. Most connections
 * need no other, and the processor has this one at hand, whichever of them it looks at.
 */
export const EMPTY_MAILBOX = new Mailbox();
