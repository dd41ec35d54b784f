/** Topics and their members: a connection has one `Member` in a `PubSub`, and one `Entry` in each of its topics. */
import type { OutMessage } from "../message.ts";
import { snapshot } from "../protocol/io-data.ts";
import type { SessionListener } from "../session/extensions.ts";
import type { TopicSession } from "../session/self.ts";
import type { Batch } from "./batch.ts";
import type { Gap, SubscribeOptions } from "./options.ts";

const DEFAULT_MAX_BUFFERED = 1024 * 1024;

/** A message that was published while `init` of a member was pending. */
export interface Held {
  readonly entry: Entry;
  readonly message: OutMessage;
  readonly size: number;
}

/** What a member needs of its `PubSub`. */
export interface MemberOwner {
  opened(member: Member): void;
  ended(member: Member): void;
  /** Sends what was held until `init` had returned. */
  sendHeld(held: readonly Held[]): void;
  /** Sends what was published to the member's topics in this event-loop tick. */
  flushMember(member: Member): void;
}

export class Member implements SessionListener {
  readonly session: TopicSession;
  /** By the name of the topic. */
  readonly entries = new Map<string, Entry>();
  /** `init` has returned. */
  isOpen: boolean;
  /** The address, if it was asked for. */
  address: string | undefined = undefined;
  /** The size of {@link held} in bytes. */
  heldBytes = 0;
  /** What was published while `init` was pending. */
  private held: Held[] = [];
  private readonly owner: MemberOwner;

  constructor(session: TopicSession, owner: MemberOwner) {
    this.session = session;
    this.owner = owner;
    this.isOpen = session.isInitialized;
    session.listen(this);
  }

  /** The bytes that wait for the client, or for the end of `init`. */
  get waiting(): number {
    return this.isOpen ? this.session.unflushed : this.heldBytes;
  }

  hold(entry: Entry, { opcode, data }: OutMessage, size: number): void {
    this.held.push({ entry, message: { opcode, data: snapshot(data ?? "") }, size });
    this.heldBytes += size;
  }

  onOpen(): void {
    if (this.isOpen) return;
    this.isOpen = true;
    this.owner.opened(this);
    const { held } = this;
    this.held = [];
    this.heldBytes = 0;
    this.owner.sendHeld(held);
  }

  flush(): void {
    this.owner.flushMember(this);
  }

  onEnd(): void {
    this.held = [];
    this.owner.ended(this);
  }
}

/** One member of one topic. */
export class Entry {
  readonly topic: TopicMembers;
  readonly member: Member;
  readonly drops: boolean;
  readonly maxBuffered: number;
  readonly onGap: ((gap: Gap) => unknown) | undefined;
  /** The number of subscriptions that are not cancelled. 0: the entry is removed. */
  holders = 1;
  /** How many messages and infos were dropped since the last one that was not. */
  missed = 0;
  /** See {@link sentOf}. The number of a batch, because a reference would keep its messages in memory. */
  private batchId = 0;
  private sent = 0;

  constructor(topic: TopicMembers, member: Member, options: SubscribeOptions<unknown>) {
    const own = member.session.maxBuffered;
    this.topic = topic;
    this.member = member;
    this.drops = options.slow === "drop";
    this.maxBuffered = this.drops ? Math.min(options.maxBuffered ?? DEFAULT_MAX_BUFFERED, own) : own;
    this.onGap = options.onGap;
  }

  /** Whether `count` messages of `size` bytes together may be sent. With nothing waiting, every single message may. */
  hasRoom(size: number, waiting: number = this.member.waiting, count = 1): boolean {
    return (waiting === 0 && count === 1) || waiting + size <= this.maxBuffered;
  }

  /** Whether an info may be delivered, after the info that announces a gap if there is one. */
  get hasRoomForInfo(): boolean {
    const { session } = this.member;
    return !this.drops || session.waitingInfos + (this.missed > 0 ? 1 : 0) < session.maxInfos;
  }

  /** How many messages at the start of a batch this member has received, or is not to receive. */
  sentOf({ id }: Batch): number {
    return this.batchId === id ? this.sent : 0;
  }

  /** All messages that are in the batch now count as received. */
  setSent({ id, count }: Batch): void {
    this.batchId = id;
    this.sent = count;
  }
}

/** The members of one topic. */
export class TopicMembers {
  readonly name: string;
  /** Members to whom each message is sent at once: their host can't share frames, or `init` is pending. */
  readonly single = new Set<Entry>();
  /** Members who receive all messages of an event-loop tick together. */
  readonly sharing = new Set<Entry>();
  /** What {@link sharing} has not received yet. */
  batch: Batch | undefined = undefined;
  /** The number of members whose `init` has returned. */
  size = 0;

  constructor(name: string) {
    this.name = name;
  }

  get isEmpty(): boolean {
    return this.single.size + this.sharing.size === 0;
  }

  add(entry: Entry): void {
    const { isOpen, session } = entry.member;
    if (isOpen) this.size++;
    if (!isOpen || !session.sharesFrames) {
      this.single.add(entry);
      return;
    }
    // What was published before is not for this member.
    if (this.batch !== undefined) entry.setSent(this.batch);
    this.sharing.add(entry);
  }

  /** The `init` of a member has returned. */
  opened(entry: Entry): void {
    this.single.delete(entry);
    this.add(entry);
  }

  remove(entry: Entry): void {
    this.single.delete(entry);
    this.sharing.delete(entry);
    if (entry.member.isOpen) this.size--;
  }

  /** Also members whose `init` is pending. */
  *[Symbol.iterator](): Iterator<Entry> {
    yield* this.single;
    yield* this.sharing;
  }

  /** Calls `visit` for each member. */
  forEach(visit: (entry: Entry) => void): void {
    this.single.forEach(visit);
    this.sharing.forEach(visit);
  }
}
