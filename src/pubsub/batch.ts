/** What was published to one topic in an event-loop tick, for the members whose hosts can share frames. */
import type { IoData, Messages, OutMessage } from "../message.ts";
import type { ByteOps } from "../protocol/byte-ops.ts";
import { ioLength } from "../protocol/io-data.ts";
import { SharedMessages, type SharedSlice } from "../protocol/shared-messages.ts";
import type { TopicSession } from "../session/self.ts";
import { type Except, isExcepted } from "./except.ts";

/** Consecutive messages of a batch. */
interface Piece {
  /** Its position among the pieces of all topics, in the order of publishing. */
  readonly order: number;
  readonly from: number;
  /** Exclusive. */
  to: number;
  readonly except: Except;
}

let batches = 0;

export class Batch {
  readonly id = ++batches;
  readonly messages: SharedMessages;
  /** Some message is not for everybody. */
  hasExceptions = false;
  private readonly pieces: Piece[] = [];
  private all: readonly [SharedSlice] | undefined = undefined;

  constructor(byteOps: ByteOps) {
    this.messages = new SharedMessages(byteOps);
  }

  get count(): number {
    return this.messages.count;
  }

  /** Adds messages that have been checked, and returns their approximate size in bytes. */
  add(messages: Messages, except: Except, order: number): number {
    const from = this.count;
    let size = 0;
    if (Array.isArray(messages)) for (const message of messages as readonly OutMessage[]) size += this.addOne(message);
    else size = this.addOne(messages as OutMessage);
    const last = this.pieces.at(-1);
    if (last !== undefined && last.order === order && last.except === except) last.to = this.count;
    else this.pieces.push({ order, from, to: this.count, except });
    if (except !== undefined) this.hasExceptions = true;
    return size;
  }

  private addOne(message: OutMessage): number {
    this.messages.add(message);
    return approximateSize(message.data ?? "");
  }

  /** All messages, once no more are added. The same array for all members. */
  get whole(): readonly [SharedSlice] {
    return (this.all ??= [this.messages.slice(0, this.count)]);
  }

  /** Visits the pieces for a session that has received the first `sent` messages. `to` is exclusive. */
  forEachPiece(session: TopicSession, sent: number, visit: (order: number, from: number, to: number) => void): void {
    for (const { order, from, to, except } of this.pieces)
      if (to > sent && !isExcepted(except, session)) visit(order, Math.max(from, sent), to);
  }
}

const approximateSize = (data: IoData): number => (typeof data === "string" ? data.length : ioLength(data));
