/**
 * One topic that a client has joined: calls the callbacks of its channel, one at a time, and sends what they return.
 *
 * | event | waiting, joining | joined | ended |
 * |---|---|---|---|
 * | message, info, broadcast event for `handleOut` | waits | waits for a pending callback, then is handled | dropped |
 * | `phx_leave` | ends | waits for a pending callback, then ends | |
 * | join of the same topic, end of the connection | ends | ends | |
 * | a callback throws or rejects | the join is answered with an error, ends | `phx_error`, ends | is reported |
 * | `joinTimeout` | waiting: the join begins; joining: it is answered with an error, ends | | |
 */
import { codedTypeError } from "../error-codes.ts";
import type { OutMessage } from "../message.ts";
import { isPromiseLike } from "../promise-like.ts";
import { utf8Length } from "../protocol/utf8.ts";
import type { Subscription } from "../pubsub/options.ts";
import type { Clock, Timed } from "../session/clock.ts";
import { describeIssues, validate, validateSync } from "../standard-schema.ts";
import type { Self } from "../websock.ts";
import type { EndReason, MessageRef } from "./channel.ts";
import { ChannelOverflow, JoinTimeout } from "./errors.ts";
import { SessionRef } from "./message-ref.ts";
import type { AnyCallback, PreparedChannel } from "./prepared-channel.ts";
import { checkAcceptance, checkChannelResult, checkStatus, isChannelResult, type Status } from "./results.ts";
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

/** How many events may wait for a pending callback, and how many bytes their messages may have together. */
const MAX_WAITING = 1_024;
const MAX_WAITING_SIZE = 1_048_576;

const sizeOf = (data: string | Uint8Array): number => (typeof data === "string" ? utf8Length(data) : data.length);

const asyncReply = (): TypeError => codedTypeError("WEBSOCK_ASYNC_SCHEMA", "the schema of a reply must be synchronous");

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
  /** The session has `size` more bytes that wait for its callbacks: if all sessions have too many, one ends. */
  onWaiting(size: number): void;
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

export class ChannelSession implements SocketHandle, Timed {
  readonly owner: ChannelOwner;
  readonly channel: PreparedChannel;
  readonly topic: string;
  readonly joinRef: Ref;
  readonly socket = new ChannelSocket(this);
  slot = 0;
  /** `waiting`: for an earlier session of the topic, which has ended, and has a pending callback. */
  private phase: "waiting" | "joining" | "joined" | "ended" = "waiting";
  private state: unknown = undefined;
  private hasState = false;
  /** The `ref` of the join; `undefined` once it is answered. */
  private unanswered: Ref | null | undefined;
  /** The payload of the join, until it begins, and the size of its message. */
  private joinPayload: unknown;
  private joinSize = 0;
  /** Whether the promise of a callback, a schema or a subscription is pending. */
  private pending = false;
  /** The event that is being handled. */
  private current: ChannelEvent | undefined = undefined;
  private readonly waiting: { readonly event: ChannelEvent; readonly size: number }[] = [];
  /** The bytes of what waits: events, and the join itself. */
  waitingSize = 0;
  private replyTexts: ReplyTexts | undefined = undefined;
  private subscriptions: readonly Subscription[] = [];
  private endReason: EndReason = "closed";
  /** Called after `terminate`, if the pending callback had not settled when the channel ended. */
  private onTerminated: ((returned: unknown) => void) | undefined = undefined;

  constructor(owner: ChannelOwner, channel: PreparedChannel, { topic, joinRef, ref, payload }: ClientMessage) {
    this.owner = owner;
    this.channel = channel;
    this.topic = topic;
    this.joinRef = joinRef ?? ref ?? "";
    this.unanswered = ref;
    this.joinPayload = payload;
  }

  /** Whether the join has begun. */
  get hasBegun(): boolean {
    return this.phase !== "waiting";
  }

  get isJoined(): boolean {
    return this.phase === "joined";
  }

  /** Identifies the message that is being handled. */
  get ref(): MessageRef | undefined {
    const { current } = this;
    return current?.type === "in" && current.ref !== null
      ? new SessionRef(this, current.ref, current.event)
      : undefined;
  }

  // --- joining

  /**
   * The join waits for an earlier session of the topic.
   *
   * @param deadline when it begins at the latest, by the clock
   * @param data the message
   */
  wait(deadline: number, data: string | Uint8Array): void {
    this.owner.clock.schedule(this, deadline);
    this.joinSize = sizeOf(data);
    this.addWaiting(this.joinSize);
  }

  /** Begins the join, if it waits. */
  begin(): void {
    if (this.phase !== "waiting") return;
    const { joinPayload, owner } = this;
    this.phase = "joining";
    this.joinPayload = undefined;
    this.addWaiting(-this.joinSize);
    owner.clock.cancel(this);
    this.checkParams(joinPayload);
    if (this.isJoining) owner.clock.schedule(this, owner.clock.now() + owner.joinTimeout);
    this.drain();
  }

  private get isJoining(): boolean {
    return this.phase === "joining";
  }

  private checkParams(payload: unknown): void {
    const { params } = this.channel.callbacks;
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
      () => this.channel.callbacks.join(payload, this.socket),
      (result) => {
        checkAcceptance(result, "join");
        if (result[0] === "refuse") this.refuse(typeof result[1] === "string" ? { reason: result[1] } : result[1]);
        else this.accept(result[1], result[2]);
      },
    );
  }

  private accept(state: unknown, response: unknown): void {
    this.state = state;
    this.hasState = true;
    const { joinReply } = this.channel.callbacks;
    const checked = joinReply === undefined ? { value: response } : validateSync(joinReply, response, asyncReply);
    if (checked.issues !== undefined)
      throw codedTypeError(
        "WEBSOCK_INVALID_MESSAGE",
        `the reply to the join of "${this.topic}" does not match its schema: ${describeIssues(checked.issues)}`,
      );
    // Encoded before the subscription, because it may throw.
    const answer = this.answerTo(this.unanswered, "ok", checked.value);
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
    if (this.phase === "waiting") this.begin();
    else if (this.phase === "joining") {
      const { joinTimeout } = this.owner;
      const error = new JoinTimeout(`the join of "${this.topic}" was pending for ${joinTimeout} ms`);
      this.owner.reportError(error);
      this.owner.send(this.answerTo(this.unanswered, "error", { reason: "join timeout" }));
      this.end({ error });
    }
  }

  // --- events

  /** @param data the message that carried the event, if it came from the client */
  receive(event: ChannelEvent, data: string | Uint8Array = ""): void {
    // What was broadcast before the subscription was meant for an earlier session of the topic.
    if (this.phase === "ended" || (event.type === "out" && !this.hasState)) return;
    if (this.phase === "joined" && !this.pending) this.handle(event);
    else if (this.phase !== "joined" && event.type === "leave") this.leave(event.ref);
    else this.queue(event, sizeOf(data));
  }

  private queue(event: ChannelEvent, size: number): void {
    this.waiting.push({ event, size });
    const { length } = this.waiting;
    if (length > MAX_WAITING)
      this.failOverflow(`${length} events wait for its callbacks, and at most ${MAX_WAITING} may`);
    // One message may wait, whatever its size.
    else if (this.waitingSize + size > MAX_WAITING_SIZE && length > 1)
      this.failOverflow(`more than ${MAX_WAITING_SIZE} bytes wait for its callbacks`);
    else this.addWaiting(size);
  }

  private addWaiting(size: number): void {
    this.waitingSize += size;
    this.owner.onWaiting(size);
  }

  /** @param what what is too much */
  failOverflow(what: string): void {
    this.fail(
      new ChannelOverflow(`the topic "${this.topic}" has ended: ${what}; is a callback slow, or does it never settle?`),
    );
  }

  private handle(event: ChannelEvent): void {
    const { callbacks } = this.channel;
    this.current = event;
    try {
      if (event.type === "leave") this.leave(event.ref);
      else if (event.type === "in") this.handleIn(event.event, event.payload);
      else if (event.type === "out") this.handleOut(event.event, event.payload);
      else if (callbacks.handleInfo !== undefined)
        this.proceed(callbacks.handleInfo(event.info as never, this.state, this.socket), this.apply);
    } catch (error) {
      this.fail(error);
    }
    if (!this.pending) this.current = undefined;
  }

  /** Handles what waits, as far as no callback is pending. */
  private drain(): void {
    while (this.phase === "joined" && !this.pending && this.waiting.length > 0) {
      const { event, size } = this.waiting.shift()!;
      this.addWaiting(-size);
      this.handle(event);
    }
  }

  private handleOut(event: string, payload: unknown): void {
    const callback = this.channel.out.get(event);
    // A node with other code has broadcast it.
    if (callback === undefined) this.push(event, payload);
    else this.proceed(callback.call(this.channel.callbacks.handleOut, payload, this.state, this.socket), this.apply);
  }

  private handleIn(event: string, payload: unknown): void {
    const handler = this.channel.handlerOf(event);
    if (handler === undefined) this.answerCurrent("error", { reason: "unknown event" });
    else if (handler.payload === undefined) this.callHandleIn(handler.callback, event, payload);
    else
      this.proceed(validate(handler.payload, payload), (checked) => {
        if (checked.issues === undefined) this.callHandleIn(handler.callback, event, checked.value);
        else this.answerCurrent("error", { reason: "invalid payload" });
      });
  }

  private callHandleIn(callback: AnyCallback, event: string, payload: unknown): void {
    const { socket, state } = this;
    const { callbacks } = this.channel;
    const result =
      callback === callbacks.handleIn
        ? callback.call(callbacks, event, payload, state, socket)
        : callback.call(callbacks.handleIn, payload, state, socket);
    this.proceed(result, this.apply);
  }

  /** Applies the result of a callback. */
  private apply(result: unknown): void {
    checkChannelResult(result);
    this.state = result[result.length - 1];
    if (result[0] === "reply") this.applyReply(result[1], result[2]);
    else if (result[0] === "push") this.push(result[1], result[2]);
    else if (result[0] === "stop") this.stop(result[1]);
  }

  private applyReply(status: Status, response: unknown): void {
    const { current } = this;
    if (current?.type !== "in") throw codedTypeError("WEBSOCK_INVALID_RESULT", 'only "handleIn" can return reply(…)');
    const reply = this.checkReply(current.event, status, response);
    this.answerCurrent(reply.status, reply.response);
  }

  /** A reply that does not match its schema is reported, and the client receives an error in its place. */
  private checkReply(event: string, status: Status, response: unknown): { status: Status; response: unknown } {
    const schema = this.channel.handlerOf(event)?.replies[status];
    if (schema === undefined) return { status, response };
    const checked = validateSync(schema, response, asyncReply);
    if (checked.issues === undefined) return { status, response: checked.value };
    const reply = `the reply "${status}" to the event "${event}" of the topic "${this.topic}"`;
    this.owner.reportError(
      codedTypeError(
        "WEBSOCK_INVALID_MESSAGE",
        `${reply} does not match its schema: ${describeIssues(checked.issues)}`,
      ),
    );
    return { status: "error", response: { reason: "invalid reply" } };
  }

  /** Answers the message that is being handled. */
  private answerCurrent(status: Status, response: unknown): void {
    const { current } = this;
    if (current?.type === "in" && current.ref !== null) {
      this.replyTexts ??= replyTexts(this.joinRef, this.topic);
      this.owner.respond(writeReply(this.joinRef, current.ref, this.topic, status, response, this.replyTexts));
    }
  }

  push(event: string, payload: unknown): boolean {
    return this.phase === "joined" && this.owner.send(writePush(this.joinRef, this.topic, event, payload));
  }

  reply(ref: MessageRef, status: Status, response: unknown): boolean {
    checkStatus(status);
    if (this.phase !== "joined" || !SessionRef.isOf(this, ref)) return false;
    const reply = this.checkReply(ref.event, status, response);
    return this.owner.send(writeReply(this.joinRef, ref.ref, this.topic, reply.status, reply.response));
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
    this.drain();
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
    this.joinPayload = undefined;
    this.current = undefined;
    this.waiting.length = 0;
    this.addWaiting(-this.waitingSize);
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
    const { state } = this;
    this.state = undefined;
    this.hasState = false;
    const report = (error: unknown): void => this.owner.reportError(error);
    try {
      const returned = this.channel.callbacks.terminate?.(this.endReason, state, this.socket);
      return isPromiseLike(returned) ? Promise.resolve(returned).catch(report) : undefined;
    } catch (error) {
      report(error);
      return undefined;
    }
  }
}
