/**
 * One topic that a client has joined: calls the callbacks of its channel, one at a time, and sends what they return.
 *
 * | event | joining | joined | ended |
 * |---|---|---|---|
 * | message, info, broadcast event for `handleOut` | waits | waits for a pending callback, then is handled | dropped |
 * | `phx_leave` | ends | waits for a pending callback, then ends | |
 * | join of the same topic, end of the connection | ends | ends | |
 * | a callback throws or rejects | the join is answered with an error, ends | `phx_error`, ends | is reported |
 */
import type { OutMessage } from "../message.ts";
import { utf8Length } from "../protocol/utf8.ts";
import type { Subscription } from "../pubsub/options.ts";
import type { Clock, Timed } from "../session/clock.ts";
import { isPromiseLike } from "../session/promise-like.ts";
import type { Self } from "../websock.ts";
import type { Channel, EndReason, Events, MessageRef } from "./channel.ts";
import { ChannelOverflow } from "./errors.ts";
import { checkAcceptance, checkChannelResult, isChannelResult, type Status } from "./results.ts";
import {
  type ClientMessage,
  type Ref,
  type ReplyTexts,
  replyTexts,
  writeEnd,
  writePush,
  writeReply,
} from "./serializer.ts";
import { ChannelSocket, type SocketHandle } from "./socket.ts";
import { validate } from "./standard-schema.ts";

/** How many events may wait for a pending callback, and how many bytes their messages may have together. */
const MAX_WAITING = 1_024;
const MAX_WAITING_SIZE = 1_048_576;

type AnyCallback = (...args: unknown[]) => unknown;

/** A channel as this module calls it: the types of its application are unknown. */
export interface AnyChannel extends Omit<Channel<unknown, unknown, unknown>, "events" | "handleIn"> {
  readonly events?: Events;
  readonly handleIn?: AnyCallback | Readonly<Record<string, AnyCallback>>;
}

/** What a channel handles, in order. */
export type ChannelEvent =
  | { readonly type: "in"; readonly ref: Ref | null; readonly event: string; readonly payload: unknown }
  | { readonly type: "out"; readonly event: string; readonly payload: unknown }
  | { readonly type: "info"; readonly info: unknown }
  | { readonly type: "leave"; readonly ref: Ref | null };

/** What a channel needs of its connection. */
export interface ChannelOwner {
  readonly self: Self<never>;
  readonly shared: unknown;
  readonly clock: Clock;
  /** In milliseconds. */
  readonly joinTimeout: number;
  send(messages: OutMessage | readonly OutMessage[]): boolean;
  /** Sends the answer to a message, after which nothing else is sent for it. */
  respond(message: OutMessage): void;
  /** Makes the connection receive what is broadcast to the topic. */
  subscribe(session: ChannelSession): readonly Subscription[];
  /** Returns a promise that resolves when what other nodes broadcast arrives; `undefined` if there are none. */
  whenReady(subscriptions: readonly Subscription[]): Promise<unknown> | undefined;
  /** What a client receives when it has joined, after the reply. */
  afterJoin(session: ChannelSession): readonly OutMessage[];
  broadcast(topic: string, event: string, payload: unknown, exceptSelf: boolean): boolean;
  /** Calls {@link ChannelSession.receive} with the info, in a later event-loop tick. */
  sendInfo(session: ChannelSession, info: unknown): boolean;
  /** @param complete resolves when `terminate` has returned; `undefined`: it has */
  onEnd(session: ChannelSession, complete: Promise<unknown> | undefined): void;
  reportError(error: unknown): void;
}

/** A property of an object itself, and not of its prototype: names come from clients. */
const ownOf = <T>(object: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(object, name) ? object[name] : undefined;

export class ChannelSession implements SocketHandle, Timed {
  readonly owner: ChannelOwner;
  readonly channel: AnyChannel;
  readonly topic: string;
  readonly joinRef: Ref;
  readonly socket = new ChannelSocket(this);
  slot = 0;
  private phase: "joining" | "joined" | "ended" = "joining";
  private state: unknown = undefined;
  private hasState = false;
  /** The `ref` of the join; `undefined` once it is answered. */
  private unanswered: Ref | null | undefined;
  /** Begins the join; `undefined` if it has begun. */
  private start: (() => void) | undefined = undefined;
  /** Whether the promise of a callback, a schema or a subscription is pending. */
  private pending = false;
  /** The event that is being handled. */
  private current: ChannelEvent | undefined = undefined;
  private readonly waiting: { readonly event: ChannelEvent; readonly size: number }[] = [];
  private waitingSize = 0;
  private replyTexts: ReplyTexts | undefined = undefined;
  private subscriptions: readonly Subscription[] = [];
  private endReason: EndReason = "closed";
  /** Called after `terminate`, if the pending callback had not settled when the channel ended. */
  private onTerminated: ((returned: unknown) => void) | undefined = undefined;

  constructor(owner: ChannelOwner, channel: AnyChannel, { topic, joinRef, ref }: ClientMessage) {
    this.owner = owner;
    this.channel = channel;
    this.topic = topic;
    this.joinRef = joinRef ?? ref ?? "";
    this.unanswered = ref;
  }

  get isJoined(): boolean {
    return this.phase === "joined";
  }

  /** Identifies the message that is being handled. */
  get ref(): MessageRef | undefined {
    const { current, topic, joinRef } = this;
    return current?.type === "in" && current.ref !== null ? { topic, joinRef, ref: current.ref } : undefined;
  }

  // --- joining

  /** @param former resolves when an earlier session of the topic is complete; `undefined`: there is none */
  join(payload: unknown, former: Promise<unknown> | undefined): void {
    const { clock, joinTimeout } = this.owner;
    this.start = () => {
      this.start = undefined;
      this.checkParams(payload);
      if (this.phase === "joining") clock.schedule(this, clock.now() + joinTimeout);
    };
    if (former === undefined) {
      this.start();
      return;
    }
    clock.schedule(this, clock.now() + joinTimeout);
    void former.then(() => {
      if (this.phase === "joining") this.start?.();
    });
  }

  private checkParams(payload: unknown): void {
    const { params } = this.channel;
    this.step(
      () => validate(params, payload),
      (checked) => {
        if (checked.issues !== undefined) this.refuse({ reason: "invalid payload" });
        else this.callJoin(checked.value);
      },
    );
  }

  private callJoin(payload: unknown): void {
    this.step(
      () => this.channel.join(payload, this.socket),
      (result) => {
        checkAcceptance(result, "join");
        if (result[0] === "refuse") this.refuse(typeof result[1] === "string" ? { reason: result[1] } : result[1]);
        else this.accept(result[1], result[2]);
      },
    );
  }

  private accept(state: unknown, response: unknown): void {
    // Encoded before the subscription, because it may throw.
    const answer = this.answerTo(this.unanswered, "ok", response);
    this.state = state;
    this.hasState = true;
    this.subscriptions = this.owner.subscribe(this);
    this.step(
      () => this.owner.whenReady(this.subscriptions),
      () => {
        const messages = [...answer, ...this.owner.afterJoin(this)];
        this.phase = "joined";
        this.unanswered = undefined;
        this.owner.clock.cancel(this);
        this.owner.send(messages);
      },
    );
  }

  private refuse(response: unknown): void {
    this.owner.send(this.answerTo(this.unanswered, "error", response));
    this.end("closed");
  }

  /** Nothing, if the client wants no reply. */
  private answerTo(ref: Ref | null | undefined, status: Status, response: unknown): readonly OutMessage[] {
    return ref === null || ref === undefined ? [] : [writeReply(this.joinRef, ref, this.topic, status, response)];
  }

  /** `joinTimeout` has passed. An earlier session of the topic is not awaited any longer than that. */
  tick(): void {
    if (this.phase !== "joining") return;
    if (this.start !== undefined) this.start();
    else this.refuse({ reason: "join timeout" });
  }

  // --- events

  /** @param data the message that carried the event, if it came from the client */
  receive(event: ChannelEvent, data: string | Uint8Array = ""): void {
    // What was broadcast before the subscription was meant for an earlier session of the topic.
    if (this.phase === "ended" || (event.type === "out" && !this.hasState)) return;
    if (this.phase === "joining" && event.type === "leave") {
      this.leave(event.ref);
      return;
    }
    if (this.phase === "joined" && !this.pending) {
      this.handle(event);
      return;
    }
    const size = typeof data === "string" ? utf8Length(data) : data.length;
    this.waitingSize += size;
    this.waiting.push({ event, size });
    const { length } = this.waiting;
    if (length <= MAX_WAITING && (this.waitingSize <= MAX_WAITING_SIZE || length === 1)) return;
    this.fail(
      new ChannelOverflow(
        `more than ${MAX_WAITING} events, or ${MAX_WAITING_SIZE} bytes, wait for a callback of the channel ` +
          `"${this.topic}"; is it slow, or does its promise never settle?`,
      ),
    );
  }

  private handle(event: ChannelEvent): void {
    const { channel, socket } = this;
    this.current = event;
    if (event.type === "leave") this.leave(event.ref);
    else if (event.type === "in") this.handleIn(event.event, event.payload);
    else if (event.type === "out") this.handleOut(event.event, event.payload);
    else if (channel.handleInfo !== undefined) this.call(() => channel.handleInfo!(event.info, this.state, socket));
    if (!this.pending) this.current = undefined;
  }

  private handleOut(event: string, payload: unknown): void {
    const callback = ownOf(this.channel.handleOut ?? {}, event);
    // A node with other code has broadcast it.
    if (callback === undefined) this.push(event, payload);
    else this.call(() => callback(payload, this.state, this.socket));
  }

  private handleIn(event: string, payload: unknown): void {
    const { events, handleIn } = this.channel;
    const schema = events === undefined ? "unchecked" : ownOf(events, event);
    const callback = typeof handleIn === "object" ? ownOf(handleIn, event) : handleIn;
    if (callback === undefined || schema === undefined) {
      this.answerCurrent("error", { reason: "unknown event" });
      return;
    }
    if (schema === "unchecked") this.callHandleIn(callback, event, payload);
    else
      this.step(
        () => validate(schema, payload),
        (checked) => {
          if (checked.issues === undefined) this.callHandleIn(callback, event, checked.value);
          else this.answerCurrent("error", { reason: "invalid payload" });
        },
      );
  }

  /** Called for most messages, so it creates no closure. */
  private callHandleIn(callback: AnyCallback, event: string, payload: unknown): void {
    const { channel, socket, state } = this;
    try {
      const result =
        callback === channel.handleIn
          ? callback.call(channel, event, payload, state, socket)
          : callback.call(channel.handleIn, payload, state, socket);
      this.proceed(result, this.apply);
    } catch (error) {
      this.fail(error);
    }
  }

  private call(callback: () => unknown): void {
    this.step(callback, this.apply);
  }

  /** Applies the result of a callback. */
  private apply(result: unknown): void {
    checkChannelResult(result);
    this.state = result[result.length - 1];
    if (result[0] === "reply") this.answerCurrent(result[1], result[2]);
    else if (result[0] === "push") this.push(result[1], result[2]);
    else if (result[0] === "stop") this.stop(result[1]);
  }

  /** Answers the message that is being handled. */
  private answerCurrent(status: Status, response: unknown): void {
    const { current } = this;
    if (current?.type !== "in") throw new TypeError('only "handleIn" can return reply(…)');
    if (current.ref !== null) {
      this.replyTexts ??= replyTexts(this.joinRef, this.topic);
      this.owner.respond(writeReply(this.joinRef, current.ref, this.topic, status, response, this.replyTexts));
    }
  }

  push(event: string, payload: unknown): boolean {
    return this.phase === "joined" && this.owner.send(writePush(this.joinRef, this.topic, event, payload));
  }

  reply({ topic, joinRef, ref }: MessageRef, status: Status, response: unknown): boolean {
    if (this.phase !== "joined" || topic !== this.topic || joinRef !== this.joinRef) return false;
    return this.owner.send(writeReply(joinRef, ref, topic, status, response));
  }

  broadcast(event: string, payload: unknown, exceptSelf: boolean): boolean {
    return this.owner.broadcast(this.topic, event, payload, exceptSelf);
  }

  send(info: unknown): boolean {
    return this.phase !== "ended" && this.owner.sendInfo(this, info);
  }

  // --- steps

  /** Calls `run`, and passes its value to `next`. What either throws ends the channel. */
  private step<T>(run: () => T | PromiseLike<T>, next: (this: this, value: T) => void): void {
    try {
      this.proceed(run(), next);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Passes a value to `next`: synchronously, unless it is a promise. */
  private proceed<T>(value: T | PromiseLike<T>, next: (this: this, value: T) => void): void {
    if (!isPromiseLike(value)) {
      next.call(this, value);
      return;
    }
    this.pending = true;
    Promise.resolve(value).then(
      (settled) => {
        if (this.phase === "ended") this.keepState(settled);
        this.onSettled(() => next.call(this, settled));
      },
      (error: unknown) => {
        if (this.phase === "ended") this.owner.reportError(error);
        this.onSettled(() => this.fail(error));
      },
    );
  }

  private onSettled(run: () => void): void {
    this.pending = false;
    if (this.phase === "ended") {
      this.onTerminated?.(this.terminate());
      return;
    }
    try {
      run();
    } catch (error) {
      this.fail(error);
    }
    if (!this.pending) this.current = undefined;
    while (this.phase === "joined" && !this.pending && this.waiting.length > 0) {
      const { event, size } = this.waiting.shift()!;
      this.waitingSize -= size;
      this.handle(event);
    }
  }

  /** The channel has ended meanwhile: `terminate` receives the state that `join` or another callback has returned. */
  private keepState(result: unknown): void {
    if (!Array.isArray(result)) return;
    if (result[0] === "accept") {
      this.state = result[1];
      this.hasState = true;
    } else if (this.hasState && isChannelResult(result)) {
      this.state = result[result.length - 1];
    }
  }

  // --- the end

  private leave(ref: Ref | null): void {
    this.owner.send([...this.answerTo(ref, "ok", {}), writeEnd(this.joinRef, this.topic, "phx_close")]);
    this.end("left");
  }

  private stop(reason: unknown): void {
    const isNormal = reason === "normal" || reason === "shutdown";
    this.owner.send(writeEnd(this.joinRef, this.topic, isNormal ? "phx_close" : "phx_error"));
    this.end({ stop: reason });
  }

  private fail(error: unknown): void {
    this.owner.reportError(error);
    if (this.phase === "ended") return;
    if (this.unanswered === undefined) this.owner.send(writeEnd(this.joinRef, this.topic, "phx_error"));
    else this.owner.send(this.answerTo(this.unanswered, "error", { reason: "join crashed" }));
    this.end({ error });
  }

  /** Drops what waits, and calls `terminate` when the pending callback has settled. */
  end(reason: EndReason): void {
    if (this.phase === "ended") return;
    this.phase = "ended";
    this.endReason = reason;
    this.waiting.length = 0;
    this.owner.clock.cancel(this);
    for (const subscription of this.subscriptions) subscription.cancel();
    const returned = this.pending
      ? new Promise((resolve) => {
          this.onTerminated = resolve;
        })
      : this.terminate();
    this.owner.onEnd(this, returned);
  }

  /** @returns a promise, if `terminate` returns one */
  private terminate(): Promise<unknown> | undefined {
    if (!this.hasState) return undefined;
    this.hasState = false;
    const report = (error: unknown): void => this.owner.reportError(error);
    try {
      const returned = this.channel.terminate?.(this.endReason, this.state, this.socket);
      return isPromiseLike(returned) ? Promise.resolve(returned).catch(report) : undefined;
    } catch (error) {
      report(error);
      return undefined;
    }
  }
}
