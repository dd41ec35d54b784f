/** Sends messages and infos to the members of a topic. */
import type { Messages, OutMessage } from "../message.ts";
import { checkMessage } from "../session/outgoing.ts";
import type { TopicSession } from "../session/self.ts";
import type { Entry } from "./member.ts";
import type { Gap } from "./options.ts";

interface Sized {
  readonly message: OutMessage;
  readonly size: number;
}

/** @throws TypeError or RangeError if one of the messages may not be sent */
export const sized = (messages: Messages): Sized[] =>
  (Array.isArray(messages) ? (messages as readonly OutMessage[]) : [messages as OutMessage]).map((message) => ({
    message,
    size: checkMessage(message),
  }));

/** Which members are left out. */
export interface Selection {
  readonly except: ReadonlySet<TopicSession>;
  readonly volatile: boolean;
}

export class Delivery {
  delivered = 0;
  dropped = 0;
  closedSlow = 0;
  private readonly node: string;
  private readonly onGap: (gap: Gap) => void;
  /**
   * What runs code of the application (`onGap`, listeners of `self.signal`). It waits until all members have got the message,
   * so that this code can subscribe, publish and stop without changing who gets it, and in which order.
   */
  private later: (() => void)[] = [];

  constructor(node: string, onGap: (gap: Gap) => void) {
    this.node = node;
    this.onGap = onGap;
  }

  publish(
    topic: string,
    entries: ReadonlySet<Entry>,
    messages: readonly Sized[],
    { except, volatile }: Selection,
  ): void {
    for (const entry of entries) {
      const { member } = entry;
      if (except.has(member.session) || (volatile && member.waiting > 0)) continue;
      for (const { message, size } of messages) if (!this.offer(topic, entry, message, size)) break;
    }
    this.runLater();
  }

  broadcast(topic: string, entries: ReadonlySet<Entry>, info: unknown, { except, volatile }: Selection): void {
    for (const entry of entries) {
      const { session } = entry.member;
      if (except.has(session) || (volatile && (session.waitingInfos > 0 || entry.member.waiting > 0))) continue;
      if (!entry.hasRoomForInfo) this.drop(entry);
      else if (entry.missed === 0) this.deliver(session, info);
      else {
        this.announceGap(topic, entry);
        this.later.push(() => this.deliver(session, info));
      }
    }
    this.runLater();
  }

  /** Sends a message that was held until `init` had returned. `false`: the connection is ending. */
  sendHeld(topic: string, entry: Entry, message: OutMessage, size: number): boolean {
    const open = this.offer(topic, entry, message, size);
    this.runLater();
    return open;
  }

  /** Sends, holds or drops a message, or has the connection end. `false`: the connection ends, and gets no more. */
  private offer(topic: string, entry: Entry, message: OutMessage, size: number): boolean {
    const { member } = entry;
    if (!entry.hasRoom(size)) {
      if (entry.drops) {
        this.drop(entry);
        return true;
      }
      const { waiting } = member;
      this.closedSlow++;
      this.later.push(() => member.session.endSlowConsumer(waiting, size));
      return false;
    }
    if (entry.missed > 0) this.announceGap(topic, entry);
    if (member.isOpen) {
      member.session.sendChecked(message);
      this.delivered++;
    } else member.hold(topic, entry, message, size);
    return true;
  }

  private deliver(session: TopicSession, info: unknown): void {
    if (session.deliver(info)) this.delivered++;
  }

  private drop(entry: Entry): void {
    entry.missed++;
    this.dropped++;
  }

  private announceGap(topic: string, entry: Entry): void {
    const { onGap } = entry;
    const { session } = entry.member;
    const gap: Gap = { topic, cause: "slow", missed: entry.missed, node: this.node };
    entry.missed = 0;
    this.later.push(() => {
      this.onGap(gap);
      try {
        if (onGap !== undefined && session.endedBy === undefined) session.deliver(onGap(gap));
      } catch (error) {
        session.reportError(error);
      }
    });
  }

  private runLater(): void {
    if (this.later.length === 0) return;
    const { later } = this;
    this.later = [];
    for (const run of later) run();
  }
}
