/** One connection: finds the channel of each message, and joins topics. */
import type { OutMessage } from "../message.ts";
import type { Subscription } from "../pubsub/options.ts";
import { sessionOf } from "../pubsub/session-of.ts";
import type { Clock } from "../session/clock.ts";
import type { Self } from "../websock.ts";
import { type ChannelOwner, ChannelSession } from "./channel-session.ts";
import type { PreparedChannel } from "./prepared-channel.ts";
import { presenceState } from "./presence-messages.ts";
import { type ClientMessage, writeEnd, writePush, writeReply } from "./serializer.ts";
import { TextReader } from "./text-reader.ts";
import { MAX_TOPIC_LENGTH, type OutInfo, payloadOf } from "./topics.ts";

/** An info of `socket.send`. It goes through the mailbox of the connection, which keeps the order. */
interface ChannelInfo {
  readonly type: "info";
  readonly session: ChannelSession;
  readonly info: unknown;
}

/** What `handleInfo` of the connection receives. */
export type ConnectionInfo = ChannelInfo | OutInfo;

/** What connections share. */
export interface ConnectionOwner {
  readonly clock: Clock;
  readonly joinTimeout: number;
  readonly maxTopics: number;
  channelFor(topic: string): PreparedChannel | undefined;
  subscribe(self: Self<ConnectionInfo>, topic: string, channel: PreparedChannel): readonly Subscription[];
  whenReady(subscriptions: readonly Subscription[]): Promise<unknown> | undefined;
  broadcast(topic: string, event: string, payload: unknown, except: Self<never> | undefined): boolean;
}

/** How many bytes may wait for the callbacks of all topics: else, each of many topics could let its messages wait. */
const MAX_WAITING_SIZE = 16_777_216;

/** A session that has ended, but has a pending callback. */
interface Completing {
  /** By the clock. */
  readonly endedAt: number;
  /** Resolves when the callback has settled, and `terminate` has returned. */
  readonly complete: Promise<unknown>;
}

export class ChannelConnection implements ChannelOwner {
  readonly self: Self<ConnectionInfo>;
  readonly shared: unknown;
  private waitingSize = 0;
  private readonly owner: ConnectionOwner;
  readonly texts = new TextReader();
  private readonly sessions = new Map<string, ChannelSession>();
  private readonly completing = new Map<ChannelSession, Completing>();
  /** Whether {@link receive} is running, and the answer to its message. */
  private receiving = false;
  private answer: OutMessage | undefined = undefined;

  constructor(owner: ConnectionOwner, self: Self<ConnectionInfo>, shared: unknown) {
    this.owner = owner;
    this.self = self;
    this.shared = shared;
  }

  get clock(): Clock {
    return this.owner.clock;
  }

  get joinTimeout(): number {
    return this.owner.joinTimeout;
  }

  /**
   * Handles a message.
   *
   * @param data the message as it arrived
   * @returns the answer, if there is one already: as the result of a callback, it is sent faster
   */
  receive(message: ClientMessage, data: string | Uint8Array): OutMessage | undefined {
    this.receiving = true;
    this.answer = undefined;
    try {
      this.dispatch(message, data);
    } finally {
      this.receiving = false;
    }
    return this.answer;
  }

  private dispatch(message: ClientMessage, data: string | Uint8Array): void {
    const { topic, event, ref, joinRef, payload } = message;
    if (topic === "phoenix") {
      if (event === "heartbeat") this.reply({ ...message, joinRef: null }, "ok", {});
      else this.replyUnmatched(message);
      return;
    }
    if (event === "phx_join") {
      this.join(message, data);
      return;
    }
    const session = this.sessions.get(topic);
    if (event !== "phx_leave" && event.startsWith("phx_")) {
      // Other clients would take it for an event of the protocol if it were broadcast.
      this.reply(message, "error", { reason: "unknown event" });
    } else if (session === undefined) {
      // A client that leaves a topic twice, or after its channel has ended, expects an answer, and nothing else.
      if (event === "phx_leave") this.reply(message, "ok", {});
      else this.replyUnmatched(message);
    } else if (joinRef === null || String(joinRef) === String(session.joinRef)) {
      session.receive(event === "phx_leave" ? { type: "leave", ref } : { type: "in", ref, event, payload }, data);
    }
  }

  handleInfo(info: ConnectionInfo): void {
    if (info.type === "info") info.session.receive(info);
    else this.sessions.get(info.topic)?.receive({ type: "out", event: info.event, payload: payloadOf(info) });
  }

  private join(message: ClientMessage, data: string | Uint8Array): void {
    const { topic } = message;
    const former = this.sessions.get(topic);
    if (former !== undefined) {
      this.send(writeEnd(former.joinRef, topic, "phx_close"));
      former.end("rejoined");
    }
    const isPossible = topic !== "" && topic.length <= MAX_TOPIC_LENGTH;
    const channel = isPossible ? this.owner.channelFor(topic) : undefined;
    const earlier = this.completingOf(topic);
    if (channel === undefined) {
      this.replyUnmatched(message);
    } else if (this.sessions.size + this.completing.size - Math.min(earlier.length, 1) >= this.owner.maxTopics) {
      this.reply(message, "error", { reason: "too many channels joined" });
    } else {
      const session = new ChannelSession(this, channel, message);
      this.sessions.set(topic, session);
      const deadline = Math.max(...earlier.map(({ endedAt }) => endedAt + this.joinTimeout));
      if (deadline > this.clock.now()) session.wait(deadline, data);
      else session.begin();
    }
  }

  private completingOf(topic: string): readonly Completing[] {
    return [...this.completing].filter(([its]) => its.topic === topic).map(([, completing]) => completing);
  }

  private reply({ joinRef, ref, topic }: ClientMessage, status: "ok" | "error", response: object): void {
    if (ref !== null) this.send(writeReply(joinRef, ref, topic, status, response));
  }

  private replyUnmatched(message: ClientMessage): void {
    this.reply({ ...message, joinRef: null }, "error", { reason: "unmatched topic" });
  }

  /** The connection has ended. Returns a promise that resolves when all `terminate` have returned. */
  end(): Promise<unknown> {
    for (const session of [...this.sessions.values()]) session.end("closed");
    return Promise.all(Array.from(this.completing.values(), ({ complete }) => complete));
  }

  // --- calls of the sessions

  send(messages: OutMessage | readonly OutMessage[]): boolean {
    return this.self.push(messages);
  }

  respond(message: OutMessage): void {
    if (this.receiving) this.answer = message;
    else this.send(message);
  }

  subscribe({ topic, channel }: ChannelSession): readonly Subscription[] {
    return this.owner.subscribe(this.self, topic, channel);
  }

  whenReady(subscriptions: readonly Subscription[]): Promise<unknown> | undefined {
    return this.owner.whenReady(subscriptions);
  }

  afterJoin({ topic, joinRef, channel: { presence } }: ChannelSession): readonly OutMessage[] {
    if (presence === undefined) return [];
    return [writePush(joinRef, topic, "presence_state", presenceState(presence.list(topic)))];
  }

  broadcast(topic: string, event: string, payload: unknown, exceptSelf: boolean): boolean {
    return this.owner.broadcast(topic, event, payload, exceptSelf ? this.self : undefined);
  }

  sendInfo(session: ChannelSession, info: unknown): boolean {
    return this.self.send({ type: "info", session, info });
  }

  onEnd(session: ChannelSession, complete: Promise<unknown> | undefined): void {
    const { topic, channel } = session;
    this.sessions.delete(topic);
    channel.presence?.untrack(this.self, topic);
    if (complete === undefined) return;
    const endedAt = this.clock.now();
    this.completing.set(session, { endedAt, complete: complete.then(() => this.onComplete(session)) });
  }

  private onComplete(session: ChannelSession): void {
    const { topic, channel } = session;
    this.completing.delete(session);
    const next = this.sessions.get(topic);
    // A callback that was pending may have tracked the connection again.
    if (!next?.hasBegun) channel.presence?.untrack(this.self, topic);
    if (this.completingOf(topic).length === 0) next?.begin();
  }

  onWaiting(size: number): void {
    this.waitingSize += size;
    // One message may wait, whatever its size.
    if (size <= 0 || this.waitingSize <= MAX_WAITING_SIZE || this.waitingSize === size) return;
    const [first, ...others] = this.sessions.values();
    const largest = others.reduce((a, b) => (b.waitingSize > a.waitingSize ? b : a), first!);
    largest.failOverflow(`more than ${MAX_WAITING_SIZE} bytes wait for the callbacks of the connection`);
  }

  reportError(error: unknown): void {
    sessionOf(this.self).reportError(error);
  }
}
