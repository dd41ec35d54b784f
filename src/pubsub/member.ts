/** A connection, as the topics of one `PubSub` know it, and its entries in them. */
import type { OutMessage } from "../message.ts";
import type { SessionListener } from "../session/extensions.ts";
import type { TopicSession } from "../session/self.ts";
import type { Gap, SubscribeOptions } from "./options.ts";

const DEFAULT_MAX_BUFFERED = 1024 * 1024;

interface Held {
  readonly topic: string;
  readonly entry: Entry;
  readonly message: OutMessage;
  readonly size: number;
}

/** What a member needs of its `PubSub`. */
export interface MemberOwner {
  opened(member: Member): void;
  ended(member: Member): void;
  /** Sends a message to a member that is open. */
  send(topic: string, entry: Entry, message: OutMessage, size: number): boolean;
}

export class Member implements SessionListener {
  readonly session: TopicSession;
  /** By the name of the topic. */
  readonly entries = new Map<string, Entry>();
  /** `init` has returned, and what was published before is sent. */
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
    return this.isOpen ? this.session.buffered : this.heldBytes;
  }

  hold(topic: string, entry: Entry, message: OutMessage, size: number): void {
    this.held.push({ topic, entry, message, size });
    this.heldBytes += size;
  }

  onOpen(): void {
    if (this.isOpen) return;
    this.isOpen = true;
    this.owner.opened(this);
    const { held } = this;
    this.held = [];
    this.heldBytes = 0;
    for (const { topic, entry, message, size } of held) if (!this.owner.send(topic, entry, message, size)) return;
  }

  onEnd(): void {
    this.held = [];
    this.owner.ended(this);
  }
}

/** One member of one topic. */
export class Entry {
  readonly member: Member;
  readonly drops: boolean;
  readonly maxBuffered: number;
  readonly onGap: ((gap: Gap) => unknown) | undefined;
  /** The number of subscriptions that are not cancelled. 0: the entry is removed. */
  holders = 1;
  /** How many messages and infos were dropped since the last one that was not. */
  missed = 0;

  constructor(member: Member, options: SubscribeOptions<unknown>) {
    const own = member.session.maxBuffered;
    this.member = member;
    this.drops = options.slow === "drop";
    this.maxBuffered = this.drops ? Math.min(options.maxBuffered ?? DEFAULT_MAX_BUFFERED, own) : own;
    this.onGap = options.onGap;
  }

  /** Whether a message of `size` bytes may be sent. With nothing waiting, every message may. */
  hasRoom(size: number): boolean {
    const { waiting } = this.member;
    return waiting === 0 || waiting + size <= this.maxBuffered;
  }

  /** Whether an info may be delivered, after the info that announces a gap if there is one. */
  get hasRoomForInfo(): boolean {
    const { session } = this.member;
    return !this.drops || session.waitingInfos + (this.missed > 0 ? 1 : 0) < session.maxInfos;
  }
}
