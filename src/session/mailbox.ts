/** The queue of messages and infos that wait for the handler, in order of arrival. */
import type { ControlMessage, DataMessage } from "../message.ts";

export type InboundMessage = DataMessage | ControlMessage;

const NO_ITEMS: never[] = [];

/** A FIFO queue that needs little memory while it is empty. */
class Queue<T> {
  private items: T[] = NO_ITEMS;
  private head = 0;

  get length(): number {
    return this.items.length - this.head;
  }

  peek(): T | undefined {
    return this.items[this.head];
  }

  push(item: T): void {
    if (this.items === NO_ITEMS) this.items = [item];
    else this.items.push(item);
  }

  shift(): T | undefined {
    if (this.items === NO_ITEMS) return undefined;
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
    this.items = NO_ITEMS;
    this.head = 0;
  }
}

interface QueuedMessage {
  readonly event: InboundMessage;
  readonly size: number;
  /** How many infos had been sent when the message arrived. They are handled first. */
  readonly infosBefore: number;
}

export class Mailbox {
  /** The number of queued messages. */
  messages = 0;
  /** Their size in bytes. */
  bytes = 0;
  /** A call of {@link releaseInfos} is scheduled. */
  releaseScheduled = false;
  /** Too many infos were sent: the connection is about to be ended. */
  overflowed = false;
  /** The number of bytes of answers that wait for the answers to the queued messages, and since when. */
  delayedBytes = 0;
  delayedSince = 0;

  private readonly messageQueue = new Queue<QueuedMessage>();
  private readonly infoQueue = new Queue<unknown>();
  private sentInfos = 0;
  private handledInfos = 0;
  private releasedInfos = 0;
  private infosAtArrival = 0;

  get infos(): number {
    return this.infoQueue.length;
  }

  /**
   * Called when bytes arrive from the peer. Messages that are added until the next call count as having arrived now.
   */
  markArrival(): void {
    this.infosAtArrival = this.sentInfos;
  }

  /** Whether a message that arrives now can be handled immediately: nothing is queued before it. */
  get isCaughtUp(): boolean {
    return this.messages === 0 && this.handledInfos >= this.infosAtArrival;
  }

  /** Whether {@link EMPTY_MAILBOX} can stand for this object. */
  get isUnused(): boolean {
    return (
      this.messages === 0 &&
      this.handledInfos === this.sentInfos &&
      !this.releaseScheduled &&
      !this.overflowed &&
      this.delayedBytes === 0
    );
  }

  addMessage(event: InboundMessage, size: number): void {
    this.messageQueue.push({ event, size, infosBefore: this.infosAtArrival });
    this.messages++;
    this.bytes += size;
  }

  addInfo(info: unknown): void {
    this.infoQueue.push(info);
    this.sentInfos++;
  }

  /** Called in a later event-loop tick: the infos that were sent until now may be handled. */
  releaseInfos(): void {
    this.releasedInfos = this.sentInfos;
    this.releaseScheduled = false;
  }

  /** The size of the next message in bytes; 0 if there is none. */
  get nextSize(): number {
    return this.messageQueue.peek()?.size ?? 0;
  }

  /** Removes and returns the next message, unless infos have to be handled before it. */
  takeMessage(): InboundMessage | undefined {
    const next = this.messageQueue.peek();
    if (next === undefined || next.infosBefore > this.handledInfos) return undefined;
    this.messageQueue.shift();
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
    return this.infoQueue.shift();
  }

  clear(): void {
    this.messageQueue.clear();
    this.infoQueue.clear();
    this.messages = this.bytes = 0;
    this.handledInfos = this.releasedInfos = this.sentInfos;
  }
}

/**
 * The shared empty mailbox, used while a connection has nothing to queue. It saves the memory of a mailbox per
 * connection and stays hot in the CPU cache. Never add to it.
 */
export const EMPTY_MAILBOX = new Mailbox();
