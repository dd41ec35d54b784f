/** Sends messages and infos to the members of topics. */
import type { Messages, OutMessage } from "../message.ts";
import { ioLength } from "../protocol/io-data.ts";
import type { SharedSlice } from "../protocol/shared-messages.ts";
import { messageList } from "../session/outgoing.ts";
import type { TopicSession } from "../session/self.ts";
import { Batch } from "./batch.ts";
import { type Except, isExcepted } from "./except.ts";
import type { Entry, Held, Member, TopicMembers } from "./member.ts";
import type { Gap } from "./options.ts";

/**
 * When all batches together reach this many bytes, they are sent, without waiting for the end of the event-loop tick.
 */
const FLUSH_THRESHOLD = 131_072;

/** An unknown number of missed messages. Whatever is added to it, it stays unknown. */
const UNKNOWN = Number.POSITIVE_INFINITY;

/** What a delivery needs of its `PubSub`. */
export interface DeliveryOwner {
  readonly node: string;
  /** A member has missed messages or infos. */
  onGap(gap: Gap): void;
}

/** Which members are left out. */
export interface Selection {
  readonly except: Except;
  readonly volatile: boolean;
}

/** Consecutive messages of a batch that one member receives. */
interface Run {
  readonly entry: Entry;
  readonly batch: Batch;
  readonly order: number;
  readonly from: number;
  /** Exclusive. */
  to: number;
}

/**
 * Infos are passed on when they are broadcast, and messages to members of {@link TopicMembers.single} when they are
 * published. Messages to members of {@link TopicMembers.sharing} are collected, and sent at the end of the event-loop
 * tick with one write for each member. If something else is about to be sent to a member before that, its collected
 * messages are sent first, so that everything is sent in the order of the calls.
 */
export class Delivery {
  delivered = 0;
  dropped = 0;
  closedSlow = 0;
  private readonly owner: DeliveryOwner;
  /**
   * Deferred calls that run code of the application (`onGap`, listeners of `self.signal`). They are made when all
   * members have been served, because this code may subscribe, publish and stop.
   */
  private later: (() => unknown)[] = [];
  private isRunningLater = false;
  /** The topics that have a batch. */
  private unsent: TopicMembers[] = [];
  /** The approximate size of their batches in bytes. */
  private unsentBytes = 0;
  private flushScheduled = false;
  private lastTopic: TopicMembers | undefined = undefined;
  /** Incremented when something is published to a topic other than {@link lastTopic}. */
  private order = 0;

  constructor(owner: DeliveryOwner) {
    this.owner = owner;
  }

  /** @param messages messages that have been checked */
  publish(topic: TopicMembers, messages: Messages, { except, volatile }: Selection): void {
    if (topic.single.size > 0) this.sendToSingle(topic, messages, except, volatile);
    if (topic.sharing.size > 0) this.collect(topic, messages, volatile ? withBacklogged(topic, except) : except);
    this.runLater();
  }

  broadcast(topic: TopicMembers, info: unknown, { except, volatile }: Selection): void {
    topic.forEach((entry) => {
      const { session } = entry.member;
      if (isExcepted(except, session)) return;
      if (volatile && (session.waitingInfos > 0 || entry.member.waiting > 0)) return;
      // Announcing a gap runs code of the application, which may itself broadcast. The info is deferred, so that every
      // member receives it before the infos of such a broadcast.
      if (entry.missed > 0 || this.isRunningLater) this.later.push(() => this.inform(entry, info));
      else this.inform(entry, info);
    });
    this.runLater();
  }

  /** Sends what was held until `init` had returned. */
  sendHeld(held: readonly Held[]): void {
    for (const { entry, message, size } of held) if (!this.sendOne(entry, message, size)) break;
    this.runLater();
  }

  /** Sends everything that was published. */
  flush(): void {
    const { unsent } = this;
    if (unsent.length === 0) return;
    try {
      for (const { batch, sharing } of unsent)
        for (const entry of sharing)
          if (!this.sendWhole(entry, batch!)) this.sendRuns(entry.member, this.runsOf(entry.member), true);
    } finally {
      for (const topic of unsent) topic.batch = undefined;
      this.unsent = [];
      this.unsentBytes = 0;
      this.lastTopic = undefined;
    }
    this.runLater();
  }

  flushMember(member: Member): void {
    this.sendUnsent(member);
    this.runLater();
  }

  /** Like {@link flushMember}, but the caller has to call {@link runLater}. */
  sendUnsent(member: Member): void {
    // While `init` is pending, a member has nothing in the batches: its messages are held.
    if (this.unsent.length === 0 || !member.isOpen || !member.session.sharesFrames) return;
    this.sendRuns(member, this.runsOf(member), false);
  }

  /**
   * Makes the deferred calls, in order. Calls that are added meanwhile are made by the same loop, after those that were
   * added before them: a nested call of `runLater` does nothing.
   */
  runLater(): void {
    if (this.isRunningLater || this.later.length === 0) return;
    this.isRunningLater = true;
    try {
      for (let i = 0; i < this.later.length; i++) this.later[i]!();
    } finally {
      this.later = [];
      this.isRunningLater = false;
    }
  }

  // --- messages that are sent when they are published

  private sendToSingle(topic: TopicMembers, messages: Messages, except: Except, volatile: boolean): void {
    const list = messageList(messages);
    const sizes = list.map(({ data }) => ioLength(data ?? ""));
    for (const entry of topic.single) {
      const { member } = entry;
      if (isExcepted(except, member.session) || (volatile && member.waiting > 0)) continue;
      for (const [i, message] of list.entries()) if (!this.sendOne(entry, message, sizes[i]!)) break;
    }
  }

  /**
   * Sends, holds or drops a message, or schedules the end of the connection. `false`: the connection ends, and gets no
   * more.
   */
  private sendOne(entry: Entry, message: OutMessage, size: number): boolean {
    const { member } = entry;
    const admission = this.admit(entry, size);
    if (admission !== "send") return admission === "drop";
    if (member.isOpen) {
      member.session.sendChecked(message, size);
      this.delivered++;
    } else member.hold(entry, message, size);
    return true;
  }

  // --- messages that are sent at the end of the event-loop tick

  private collect(topic: TopicMembers, messages: Messages, except: Except): void {
    if (Array.isArray(messages) && messages.length === 0) return;
    topic.batch ??= this.startBatch(topic);
    if (topic !== this.lastTopic) {
      this.lastTopic = topic;
      this.order++;
    }
    this.unsentBytes += topic.batch.add(messages, except, this.order);
    if (this.unsentBytes >= FLUSH_THRESHOLD) this.flush();
  }

  private startBatch(topic: TopicMembers): Batch {
    const [{ member }] = topic.sharing as unknown as [Entry];
    const batch = new Batch(member.session.byteOps);
    this.unsent.push(topic);
    if (!this.flushScheduled) {
      this.flushScheduled = true;
      member.session.defer(() => {
        this.flushScheduled = false;
        this.flush();
      });
    }
    return batch;
  }

  /**
   * Sends the whole batch, with the same bytes for all members. Returns `false`, and sends nothing, if some message is
   * not for everybody, or if the member has missed messages, has already received a part of the batch, has no room for
   * it, or may have to receive messages of other topics in between.
   */
  private sendWhole(entry: Entry, batch: Batch): boolean {
    const { member, missed } = entry;
    const { count, hasExceptions, messages, whole } = batch;
    if (hasExceptions || missed > 0 || entry.sentOf(batch) > 0) return false;
    if (this.unsent.length > 1 && member.entries.size > 1) return false;
    if (!entry.hasRoom(messages.frameBytes(0, count), member.waiting, count)) return false;
    member.session.sendShared(whole, true);
    this.delivered += count;
    return true;
  }

  /** What a member has not received, in the order in which it was published. It counts as received from now on. */
  private runsOf(member: Member): Run[] {
    const runs: Run[] = [];
    const collect = (entry: Entry | undefined): void => {
      const batch = entry?.topic.batch;
      if (batch === undefined) return;
      batch.forEachPiece(member.session, entry!.sentOf(batch), (order, from, to) =>
        runs.push({ entry: entry!, batch, order, from, to }),
      );
      entry!.setSent(batch);
    };
    if (member.entries.size <= this.unsent.length) member.entries.forEach(collect);
    else for (const { name } of this.unsent) collect(member.entries.get(name));
    return joined(runs.sort((a, b) => a.order - b.order));
  }

  private sendRuns(member: Member, runs: readonly Run[], flush: boolean): void {
    const { session } = member;
    let slices: SharedSlice[] = [];
    let size = 0;
    for (const { batch, entry, from, to } of runs) {
      const bytes = batch.messages.frameBytes(from, to);
      if (entry.missed === 0 && entry.hasRoom(bytes, session.unflushed + size, to - from)) {
        slices.push(batch.messages.slice(from, to));
        size += bytes;
        this.delivered += to - from;
        continue;
      }
      // Each message is judged as if it were sent alone.
      if (slices.length > 0) session.sendShared(slices, false);
      slices = [];
      size = 0;
      for (let i = from; i < to; i++) {
        const admission = this.admit(entry, batch.messages.sizeOf(i));
        if (admission === "close") return;
        if (admission === "drop") continue;
        session.sendShared([batch.messages.slice(i, i + 1)], false);
        this.delivered++;
      }
    }
    if (slices.length > 0) session.sendShared(slices, flush);
  }

  // --- gaps in what other nodes have published

  /** Announces gaps in what other nodes have published. Entries without `onGap` are skipped. */
  announceTo(entries: Iterable<Entry>, gapOf: (entry: Entry) => Gap): void {
    for (const entry of entries)
      if (entry.onGap !== undefined) this.later.push(() => entry.holders > 0 && this.deliverGap(entry, gapOf(entry)));
    this.runLater();
  }

  // --- slow members

  /** Decides what happens to a message of `size` bytes. `"close"`: the connection ends, and gets no more. */
  private admit(entry: Entry, size: number): "send" | "drop" | "close" {
    if (entry.hasRoom(size)) {
      if (entry.missed > 0 && canAnnounceGap(entry)) this.announceGap(entry);
      return "send";
    }
    if (entry.drops) {
      this.drop(entry);
      return "drop";
    }
    const { session, waiting } = entry.member;
    this.closedSlow++;
    this.later.push(() => session.endSlowConsumer(waiting, size));
    return "close";
  }

  /** Delivers an info, after the info that announces a gap if there is one, or drops it. */
  private inform(entry: Entry, info: unknown): void {
    if (entry.missed > 0 && entry.hasRoomForInfo) this.deliverGap(entry, this.takeGap(entry));
    if (!entry.hasRoomForInfo) this.drop(entry);
    else if (entry.member.session.deliver(info)) this.delivered++;
  }

  private drop(entry: Entry): void {
    entry.missed++;
    this.dropped++;
  }

  private announceGap(entry: Entry): void {
    const gap = this.takeGap(entry);
    this.later.push(() => this.deliverGap(entry, gap));
  }

  /** What a member has missed. It counts as announced from now on. */
  private takeGap(entry: Entry): Gap {
    const { missed, topic } = entry;
    entry.missed = 0;
    return { topic: topic.name, cause: "slow", missed: missed === UNKNOWN ? undefined : missed, node: this.owner.node };
  }

  /** Runs code of the application. */
  private deliverGap(entry: Entry, gap: Gap): void {
    const { onGap, member } = entry;
    const { session } = member;
    if (!canAnnounceGap(entry)) {
      entry.missed += gap.missed ?? UNKNOWN;
      return;
    }
    if (gap.cause === "slow") this.owner.onGap(gap);
    try {
      if (onGap !== undefined && session.endedBy === undefined) session.deliver(onGap(gap));
    } catch (error) {
      session.reportError(error);
    }
  }
}

/** Whether the info that announces a gap may be delivered: one more than the limit would end the connection. */
const canAnnounceGap = ({ onGap, member: { session } }: Entry): boolean =>
  onGap === undefined || session.waitingInfos < session.maxInfos;

/** Joins runs that follow each other in the same batch. */
const joined = (runs: readonly Run[]): Run[] => {
  const result: Run[] = [];
  for (const run of runs) {
    const last = result.at(-1);
    if (last?.batch === run.batch && last.to === run.from) last.to = run.to;
    else result.push(run);
  }
  return result;
};

/** Returns the exceptions, together with the members for whom something is already waiting. */
const withBacklogged = (topic: TopicMembers, except: Except): Except => {
  const excepted = new Set<TopicSession>();
  for (const { member } of topic.sharing)
    if (member.waiting > 0 || isExcepted(except, member.session)) excepted.add(member.session);
  return excepted;
};
