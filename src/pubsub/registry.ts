/** Which connections are members of which topics. */
import type { TopicSession } from "../session/self.ts";
import { Entry, Member, type MemberOwner } from "./member.ts";
import type { SubscribeOptions } from "./options.ts";

/** The entries of one topic. */
interface TopicEntries {
  readonly entries: Set<Entry>;
  /** The number of entries whose member is open. */
  open: number;
}

const NO_ENTRIES: ReadonlySet<Entry> = new Set();

export class Registry implements MemberOwner {
  /** Sends a message that was held until `init` had returned. */
  readonly send: MemberOwner["send"];
  subscriptions = 0;
  private readonly topics = new Map<string, TopicEntries>();
  private readonly members = new Map<TopicSession, Member>();
  private readonly directory = new Map<string, Member>();

  constructor(send: MemberOwner["send"]) {
    this.send = send;
  }

  get topicCount(): number {
    return this.topics.size;
  }

  get addressCount(): number {
    return this.directory.size;
  }

  entriesOf(topic: string): ReadonlySet<Entry> {
    return this.topics.get(topic)?.entries ?? NO_ENTRIES;
  }

  sizeOf(topic: string): number {
    return this.topics.get(topic)?.open ?? 0;
  }

  topicsOf(session: TopicSession): string[] {
    return [...(this.members.get(session)?.entries.keys() ?? [])];
  }

  /** Adds a subscription of a session whose end is not decided. The first options stay. */
  add(topic: string, session: TopicSession, options: SubscribeOptions<unknown>): Entry {
    const member = this.memberOf(session);
    const known = member.entries.get(topic);
    if (known !== undefined) {
      known.holders++;
      return known;
    }
    const entry = new Entry(member, options);
    let topicEntries = this.topics.get(topic);
    if (topicEntries === undefined) {
      topicEntries = { entries: new Set(), open: 0 };
      this.topics.set(topic, topicEntries);
    }
    topicEntries.entries.add(entry);
    if (member.isOpen) topicEntries.open++;
    member.entries.set(topic, entry);
    this.subscriptions++;
    return entry;
  }

  /** Releases one holder of an entry. */
  release(topic: string, entry: Entry): void {
    if (entry.holders === 1) this.remove(topic, entry);
    else if (entry.holders > 1) entry.holders--;
  }

  removeSession(topic: string, session: TopicSession): void {
    const entry = this.members.get(session)?.entries.get(topic);
    if (entry !== undefined) this.remove(topic, entry);
  }

  /** Enters an address into the directory. */
  register(session: TopicSession, address: string): void {
    this.memberOf(session).address = address;
    this.directory.set(address, this.members.get(session)!);
  }

  find(address: string): TopicSession | undefined {
    return this.directory.get(address)?.session;
  }

  opened(member: Member): void {
    for (const topic of member.entries.keys()) this.topics.get(topic)!.open++;
  }

  ended(member: Member): void {
    for (const [topic, entry] of member.entries) this.remove(topic, entry);
    if (member.address !== undefined) this.directory.delete(member.address);
    this.members.delete(member.session);
  }

  /** Ends all memberships. */
  clear(): void {
    for (const member of [...this.members.values()]) member.onEnd();
  }

  /** A member stays until its connection ends, so that a session gets one listener, however often it subscribes. */
  private memberOf(session: TopicSession): Member {
    let member = this.members.get(session);
    if (member === undefined) {
      member = new Member(session, this);
      this.members.set(session, member);
    }
    return member;
  }

  private remove(topic: string, entry: Entry): void {
    const topicEntries = this.topics.get(topic)!;
    entry.holders = 0;
    entry.member.entries.delete(topic);
    topicEntries.entries.delete(entry);
    if (entry.member.isOpen) topicEntries.open--;
    if (topicEntries.entries.size === 0) this.topics.delete(topic);
    this.subscriptions--;
  }
}
