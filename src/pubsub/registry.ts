/** Which connections are members of which topics. */
import type { TopicSession } from "../session/self.ts";
import type { Delivery } from "./delivery.ts";
import { Entry, type Held, Member, type MemberOwner, TopicMembers } from "./member.ts";
import type { SubscribeOptions } from "./options.ts";

/** Is told which topics have members in this process. */
export interface TopicInterest {
  hold(topic: string): void;
  release(topic: string): void;
}

export class Registry implements MemberOwner {
  subscriptions = 0;
  interest: TopicInterest | undefined = undefined;
  private readonly delivery: Delivery;
  private readonly topics = new Map<string, TopicMembers>();
  private readonly members = new Map<TopicSession, Member>();
  private readonly directory = new Map<string, Member>();

  constructor(delivery: Delivery) {
    this.delivery = delivery;
  }

  get topicCount(): number {
    return this.topics.size;
  }

  get addressCount(): number {
    return this.directory.size;
  }

  /** The topic of this name, if it has members, or connections whose `init` is pending. */
  find(topic: string): TopicMembers | undefined {
    return this.topics.get(topic);
  }

  /** All members of all topics who want to know about gaps. */
  *withOnGap(): Iterable<Entry> {
    for (const topic of this.topics.values()) for (const entry of topic) if (entry.onGap !== undefined) yield entry;
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
    const entry = this.link(topic, member, options);
    try {
      store(member);
    } catch (error) {
      this.remove(entry);
      throw error;
    }
    return entry;
  }

  /** Adds a subscription that was stored during hibernation. */
  restore(topic: string, session: TopicSession, options: SubscribeOptions<unknown>): void {
    this.link(topic, this.memberOf(session), options);
  }

  private link(topic: string, member: Member, options: SubscribeOptions<unknown>): Entry {
    let topicMembers = this.topics.get(topic);
    if (topicMembers === undefined) {
      this.topics.set(topic, (topicMembers = new TopicMembers(topic)));
      this.interest?.hold(topic);
    }
    const entry = new Entry(topicMembers, member, options);
    topicMembers.add(entry);
    member.entries.set(topic, entry);
    this.subscriptions++;
    return entry;
  }

  /** Releases one holder of an entry. */
  release(entry: Entry): void {
    if (entry.holders === 1) this.remove(entry);
    else if (entry.holders > 1) entry.holders--;
  }

  removeSession(topic: string, session: TopicSession): void {
    const entry = this.members.get(session)?.entries.get(topic);
    if (entry !== undefined) this.remove(entry);
  }

  /** Enters an address into the directory. */
  register(session: TopicSession, address: string): void {
    this.memberOf(session).address = address;
    this.directory.set(address, this.members.get(session)!);
  }

  findAddress(address: string): TopicSession | undefined {
    return this.directory.get(address)?.session;
  }

  opened(member: Member): void {
    for (const entry of member.entries.values()) entry.topic.opened(entry);
  }

  ended(member: Member): void {
    for (const entry of member.entries.values()) this.remove(entry);
    if (member.address !== undefined) this.directory.delete(member.address);
    this.members.delete(member.session);
  }

  sendHeld(held: readonly Held[]): void {
    this.delivery.sendHeld(held);
  }

  flushMember(member: Member): void {
    this.delivery.flushMember(member);
  }

  /** Ends all memberships. */
  clear(): void {
    this.delivery.flush();
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

  private remove(entry: Entry): void {
    const { topic, member } = entry;
    // What was published before it leaves is for it.
    if (topic.batch !== undefined) this.delivery.sendUnsent(member);
    entry.holders = 0;
    member.entries.delete(topic.name);
    topic.remove(entry);
    if (topic.isEmpty) {
      this.topics.delete(topic.name);
      this.interest?.release(topic.name);
    }
    this.subscriptions--;
    if (member.session.endedBy === undefined) store(member);
    // Only now, because `onGap` may subscribe again.
    this.delivery.runLater();
  }
}

/** Stores the topics of a connection that can outlive the process. */
const store = ({ session, entries }: Member): void => {
  if (session.home === undefined) return;
  session.storeTopics(
    Array.from(entries.values(), ({ topic, drops, maxBuffered }) => [
      topic.name,
      drops ? { slow: "drop", maxBuffered } : {},
    ]),
  );
};
