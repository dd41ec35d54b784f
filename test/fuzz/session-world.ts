/**
 * A session under test, between a scripted handler and a scripted transport.
 *
 * Method: this is a second, independent implementation of the session's rules, as a checker instead of an executor. It
 * never decides what the session should do next. Instead it records what has happened (messages, infos, settled
 * promises, results, causes of an end), and from that derives for each call of the session whether the call is allowed,
 * and after each step whether a call is overdue.
 *
 * - Calls of the session are checked when they are made: callbacks in the handler below, sent messages, close frame,
 *   pause and resume in the methods of `WireObserver`, reports in `onError`.
 * - `check` runs after every step, `checkFlushed` when all settled promises have been processed, and `checkOver` when
 *   all deadlines have passed. These find what the session should have done and has not.
 * - A failed check is recorded in the `Verdict` and thrown at the end of the step: thrown within a callback, it would
 *   be taken for an error of the handler.
 *
 * The rules of idle timeouts, heartbeats and slow consumers are in `silence-model.ts`, the meaning of results in
 * `session-results.ts`, the transport in `session-wire.ts`.
 */
import { ConnectionLost, MailboxOverflow, ProtocolError, SlowConsumer } from "../../src/errors.ts";
import type { ControlMessage, DataMessage, IoData, Opcode } from "../../src/message.ts";
import { resolveOptions } from "../../src/options.ts";
import { portableByteOps } from "../../src/protocol/byte-ops.ts";
import type { SessionGroup } from "../../src/session/group.ts";
import { callbacksOf } from "../../src/session/handler.ts";
import { HEARTBEAT } from "../../src/session/liveness.ts";
import { Session } from "../../src/session/session.ts";
import { FACTS } from "../../src/testing/connect.ts";
import type { CloseReason, Self } from "../../src/websock.ts";
import { Promised } from "./session-promises.ts";
import { type Attempt, crash, type Ending, type Prediction, predict, resultOf } from "./session-results.ts";
import { CALM, type Reaction, type Setting } from "./session-script.ts";
import { SessionWire, type WireObserver } from "./session-wire.ts";
import { SilenceModel } from "./silence-model.ts";
import type { SteppedClock } from "./stepped-clock.ts";
import type { Verdict } from "./verdict.ts";

/** The session's high-water marks and limits, stated independently of the session. */
const INBOUND_EVENTS = 1024;
const INBOUND_BYTES = 65_536;
const UNPAUSABLE_EVENTS = 65_536;
const OUTBOUND_BYTES = 65_536;
const MAX_INFOS = 65_536;

type Name = "init" | "handleIn" | "handleControl" | "handleInfo";

interface ExpectedMessage {
  readonly event: DataMessage | ControlMessage;
  readonly size: number;
  /** How many infos are handled before it. */
  readonly infosBefore: number;
  readonly reaction: Reaction;
}

/** A callback whose promise is pending. */
interface PendingCallback {
  readonly name: Name;
  readonly since: number;
  readonly promised: Promised;
}

interface Info {
  readonly reaction: Reaction;
}

export class SessionWorld implements WireObserver {
  readonly session: Session;
  readonly wire: SessionWire;
  readonly silence: SilenceModel;
  /** All promises that callbacks have returned. */
  readonly promises: Promised[] = [];
  ends = 0;

  readonly setting: Setting;
  readonly clock: SteppedClock;
  private readonly verdict: Verdict;
  private self!: Self<Info>;

  /** All messages that have arrived and have to be handled. */
  private readonly messages: ExpectedMessage[] = [];
  private handledMessages = 0;
  private waitingBytes = 0;
  private readonly reactions = new Map<object, Reaction>();
  /** All infos that were accepted. */
  private readonly infos: Info[] = [];
  private handledInfos = 0;
  private releasedInfos = 0;
  private infosAtArrival = 0;
  private sending = false;
  private overflowed = false;
  private reportedMissingHandleInfo = false;

  private inCallback = false;
  private pending: PendingCallback | undefined;
  private flushing = false;
  private state: unknown;
  private hasState = false;
  private states = 0;
  /** The messages of the last result that have not been sent yet. */
  private expectedSends: Attempt[] = [];
  private ending: Ending | undefined;
  private readonly expectedReports: ((error: unknown) => boolean)[] = [];

  private remoteCode: number | undefined;
  private remoteClosed = false;
  private failure: ProtocolError | undefined;
  private readonly shutdownCodes = new Set<number>();
  private abandoned = false;
  /** Since when the end is foreseeable: the peer's close frame, the loss, or the decision. */
  private endVisibleAt: number | undefined;
  private endedAt: number | undefined;
  private terminated = false;
  private terminating: { readonly since: number; readonly promised: Promised } | undefined;

  constructor(setting: Setting, clock: SteppedClock, group: SessionGroup, verdict: Verdict) {
    this.setting = setting;
    this.clock = clock;
    this.verdict = verdict;
    this.silence = new SilenceModel(clock, setting.options);
    this.wire = new SessionWire(setting.wire, clock, verdict, this);
    this.session = new Session(
      callbacksOf(this.handler()),
      this.wire,
      { ...FACTS },
      {
        capabilities: this.wire.capabilities,
        options: resolveOptions(setting.options),
        clock,
        byteOps: portableByteOps,
        onError: (error) => this.onError(error),
        onEnd: (session) => {
          this.ends++;
          verdict.same(session, this.session, "onEnd got another session");
          group.delete(session);
        },
      },
    );
    group.add(this.session);
    this.session.start("arg");
  }

  private handler(): object {
    const { has, init, terminate } = this.setting;
    return {
      init: (arg: unknown, self: Self<Info>) => {
        this.self = self;
        this.verdict.same(arg, "arg", "init got another argument");
        return this.call("init", init, undefined, self);
      },
      handleIn: (message: DataMessage, state: unknown, self: Self<Info>) =>
        this.call("handleIn", this.takeMessage(message), state, self),
      ...(has.handleControl && {
        handleControl: (message: ControlMessage, state: unknown, self: Self<Info>) =>
          this.call("handleControl", this.takeMessage(message), state, self),
      }),
      ...(has.handleInfo && {
        handleInfo: (info: Info, state: unknown, self: Self<Info>) =>
          this.call("handleInfo", this.takeInfo(info), state, self),
      }),
      ...(has.terminate && {
        terminate: (reason: CloseReason, state: unknown, self: Self<Info>) =>
          this.terminate(terminate, reason, state, self),
      }),
    };
  }

  // --- calls of the handler

  private takeMessage(message: DataMessage | ControlMessage): Reaction {
    const next = this.messages[this.handledMessages++];
    this.verdict.same(message.opcode, next?.event.opcode, "a message out of order");
    this.verdict.same(message.data, next?.event.data, "a message out of order");
    this.verdict.holds((next?.infosBefore ?? 0) <= this.handledInfos, "a message overtook an info");
    this.verdict.holds(
      this.wire.isDisconnected || this.wire.buffered <= OUTBOUND_BYTES || this.fitsAfterClose(next?.size ?? 0),
      "a message was handled although too much is buffered",
    );
    this.waitingBytes -= next?.size ?? 0;
    return next?.reaction ?? CALM;
  }

  /**
   * The messages of a peer that has closed are not held back, as long as a reply of the same size fits into
   * `maxBuffered`.
   */
  private fitsAfterClose(size: number): boolean {
    return this.remoteClosed && this.wire.buffered + size <= this.setting.options.maxBuffered;
  }

  private takeInfo(info: Info): Reaction {
    this.verdict.same(info, this.infos[this.handledInfos], "an info out of order");
    this.verdict.holds(!this.sending, "an info was delivered in the sender's stack");
    this.verdict.holds(this.nextMessageMayWait, "an info overtook a message");
    this.handledInfos++;
    return info.reaction;
  }

  private get waiting(): number {
    return this.messages.length - this.handledMessages;
  }

  /** Whether no message is waiting, or the next one has a reason to wait. */
  private get nextMessageMayWait(): boolean {
    const next = this.messages[this.handledMessages];
    return next === undefined || next.infosBefore > this.handledInfos || this.isBlocked;
  }

  /** Whether the session may still believe that too much is buffered. */
  private get isBlocked(): boolean {
    return !this.wire.isDisconnected && (this.wire.buffered > 0 || this.wire.drainsDue > 0);
  }

  private call(name: Name, reaction: Reaction, state: unknown, self: Self<Info>): unknown {
    const { verdict } = this;
    verdict.holds(!this.inCallback, `${name} within another callback`);
    verdict.same(this.pending?.name, undefined, `${name} while another callback is pending`);
    verdict.same(this.session.endDecided, false, `${name} after the end was decided`);
    verdict.same(self, this.self, "another self");
    if (name !== "init") {
      verdict.holds(this.hasState, `${name} before init returned`);
      verdict.same(state, this.state, `${name} got another state than was returned`);
    }
    this.expectApplied();
    this.act(reaction);
    return this.answer(name, reaction);
  }

  private terminate(reaction: Reaction, reason: CloseReason, state: unknown, self: Self<Info>): unknown {
    const { verdict } = this;
    this.checkEnd();
    verdict.holds(!this.terminated, "terminate was called twice");
    verdict.holds(this.hasState, "terminate was called without a state");
    verdict.holds(!this.inCallback, "terminate within another callback");
    verdict.same(this.pending?.name, undefined, "terminate while another callback is pending");
    verdict.same(reason, this.session.endedBy, "terminate got another reason");
    verdict.same(state, this.state, "terminate got another state than the last that was returned");
    verdict.same(self, this.self, "another self");
    this.terminated = true;
    this.act(reaction);
    const promised = new Promised("terminate", reaction, undefined);
    if (promised.fails) this.expectReport((error) => error === promised.error, promised);
    if (promised.isSynchronous) return promised.give();
    this.terminating = { since: this.clock.now(), promised };
    if (promised.isSettled && this.flushing) this.terminating = undefined;
    this.promises.push(promised);
    return promised.give();
  }

  private readonly expectReport = (isError: (error: unknown) => boolean, promised: Promised): void => {
    // A promise that is never settled is never reported.
    if (promised.isSettled || promised.isSynchronous) this.expectedReports.push(isError);
    else promised.onSettled = () => this.expectedReports.push(isError);
  };

  private act({ meanwhile }: Reaction): void {
    this.inCallback = true;
    for (const what of meanwhile) {
      if (what === "send an info") this.send(CALM);
      else if (what === "send five infos") for (let i = 0; i < 5; i++) this.send(CALM);
      else if (what === "look at self") this.lookAtSelf();
      else if (what === "shut down") this.shutDown(1001);
      else if (what === "lose the wire") this.wire.disconnect();
      else this.session.abort();
    }
    this.inCallback = false;
  }

  private answer(name: Name, reaction: Reaction): unknown {
    const state = { number: ++this.states };
    const promised = new Promised(name, reaction, resultOf(reaction.result, state));
    const { error } = promised;
    const prediction = promised.fails ? crash((given) => given === error) : predict(reaction.result, name);
    promised.takeEffect = () => this.applyPrediction(prediction, state);
    if (promised.isSynchronous) promised.takeEffect();
    else {
      this.pending = { name, since: this.clock.now(), promised };
      this.promises.push(promised);
      // Deferred: events on the same stack come before it.
      if (this.flushing) queueMicrotask(() => this.noteSettled());
    }
    return promised.give();
  }

  /** The session receives a result: from now on, its effects are expected. */
  private applyPrediction({ isResult, reported, sends, ending }: Prediction, state: unknown): void {
    const isOpen = !this.session.endDecided;
    if (isResult) {
      this.state = state;
      this.hasState = true;
    }
    if (reported !== undefined && (isOpen || !isResult)) this.expectedReports.push(reported);
    if (!isOpen) return;
    this.expectedSends = this.wire.isDisconnected ? [] : [...sends];
    this.ending = ending;
  }

  /** The session is about to process the promises that are settled by now. */
  private noteSettled(): void {
    if (this.pending?.promised.isSettled) {
      const { promised } = this.pending;
      this.pending = undefined;
      promised.takeEffect();
    }
    if (this.terminating?.promised.isSettled) this.terminating = undefined;
  }

  /** Checks that all effects of the last result have happened. */
  private expectApplied(): void {
    if (this.session.endDecided) return;
    this.verdict.same(this.ending, undefined, "a result that ends the connection did not end it");
    this.verdict.holds(this.expectedSends.length === 0 || this.wire.isDisconnected, "a message was not sent");
  }

  private onError(error: unknown): void {
    const { verdict } = this;
    if (error instanceof MailboxOverflow) verdict.holds(this.overflowed, "reported an overflow without a cause");
    else if (error instanceof TypeError && error.message.includes('the handler has no "handleInfo"')) {
      verdict.holds(
        !this.setting.has.handleInfo && !this.reportedMissingHandleInfo,
        "reported an info without handleInfo twice",
      );
      this.reportedMissingHandleInfo = true;
    } else if (error instanceof Error && error.message.includes('did not settle within "closeTimeout"'))
      this.onAbandon();
    else {
      // In any order: a list whose second message ends the connection is still read to its end after `terminate`.
      const expected = this.expectedReports.findIndex((isIt) => isIt(error));
      verdict.holds(expected !== -1, `reported an unexpected error: ${error}`);
      this.expectedReports.splice(expected, 1);
    }
  }

  private onAbandon(): void {
    const { pending, verdict } = this;
    verdict.holds(pending !== undefined, "abandoned a callback that was not pending");
    verdict.same(this.clock.now(), this.abandonAt, "abandoned a callback at another time");
    this.pending = undefined;
    this.abandoned = true;
  }

  /** When the pending callback has to be abandoned. */
  private get abandonAt(): number | undefined {
    if (this.pending === undefined || this.endVisibleAt === undefined) return undefined;
    return Math.max(this.pending.since, this.endVisibleAt) + this.setting.options.closeTimeout;
  }

  // --- calls and events of the transport

  onSend(opcode: Opcode, data: IoData, size: number): void {
    const { verdict, wire } = this;
    verdict.holds(!this.session.endDecided, "sent after the end was decided");
    this.silence.look(wire);
    if (data === HEARTBEAT) {
      verdict.holds(
        this.setting.wire.control && wire.buffered === 0,
        "a heartbeat although bytes are buffered, or without control frames",
      );
      this.silence.onHeartbeat(verdict);
      return;
    }
    const next = this.expectedSends.shift();
    const message = next?.message as { opcode: string; data?: unknown } | undefined;
    verdict.same(opcode, message?.opcode, "another message was sent");
    verdict.same(data, message?.data ?? "", "another message's data was sent");
    verdict.same(size, next?.size, "a message was sent with another size");
    verdict.holds(this.isAccepted(size), "a message was sent that exceeds maxBuffered");
  }

  private isAccepted(size: number): boolean {
    const { buffered } = this.wire;
    return buffered === 0 || buffered + size <= this.setting.options.maxBuffered;
  }

  onClose(code: number | undefined, text: string): void {
    this.verdict.holds(this.session.endDecided, "closed before the end was decided");
    this.checkEnd({ code, text });
  }

  onAbort(): void {}

  onReceived(): void {
    this.silence.onReceived();
    this.infosAtArrival = this.infos.length;
  }

  /** The number of registered messages. */
  get registered(): number {
    return this.reactions.size;
  }

  /** Sets the handler's reaction to a message that is about to arrive. */
  register(event: object, reaction: Reaction): void {
    this.reactions.set(event, reaction);
  }

  onMessage(event: DataMessage | ControlMessage, size: number): void {
    const isControl = event.opcode === "ping" || event.opcode === "pong";
    if (this.session.endDecided) return;
    if (isControl && (this.silence.takesPong(event as ControlMessage) || !this.setting.has.handleControl)) return;
    const { maxMessageSize } = this.setting.options;
    const before = this.waitingBytes;
    this.messages.push({ event, size, infosBefore: this.infosAtArrival, reaction: this.reactions.get(event) ?? CALM });
    this.waitingBytes += size;
    const [events, bytes] = this.setting.wire.pause
      ? [INBOUND_EVENTS, INBOUND_BYTES]
      : [UNPAUSABLE_EVENTS + 1, maxMessageSize + 1024 * 1024];
    this.verdict.holds(this.waiting <= events && before <= bytes, "the mailbox exceeds its limit");
  }

  onRemoteClose(code: number | undefined): void {
    if (this.session.endDecided) return;
    this.remoteClosed = true;
    this.remoteCode = code;
    this.endVisibleAt ??= this.clock.now();
  }

  onFailure(error: ProtocolError): void {
    this.failure = error;
  }

  onDisconnect(): void {
    this.endVisibleAt ??= this.clock.now();
    this.expectedSends = [];
  }

  onPause(): void {
    this.silence.onPause();
  }
  onResume(): void {
    this.silence.onResume();
  }

  // --- actions of the application and the server

  send(reaction: Reaction): void {
    const info: Info = { reaction };
    const isAlive = !this.session.endDecided && !this.remoteClosed && !this.wire.isDisconnected && !this.overflowed;
    const { handleInfo } = this.setting.has;
    const isFull = handleInfo && this.infos.length - this.handledInfos >= MAX_INFOS;
    this.overflowed ||= isAlive && isFull;
    // Before the call, in case it is delivered within it.
    if (isAlive && handleInfo && !isFull) this.infos.push(info);
    const before = this.sending;
    this.sending = true;
    this.verdict.same(this.self.send(info), isAlive && !isFull, "self.send returned another value");
    this.sending = before;
  }

  lookAtSelf(): void {
    this.verdict.same(this.self.buffered, this.wire.buffered, "self.buffered");
    this.verdict.same(this.self.signal.aborted, this.session.endDecided, "self.signal.aborted");
  }

  shutDown(code: 1001 | 1012): void {
    this.shutdownCodes.add(code);
    this.session.shutdown(code);
    this.verdict.holds(this.session.endDecided, "a shutdown did not end the session");
  }

  /** The group is about to close or drain the session, now or later. */
  expectShutdown(code: 1001 | 1012): void {
    this.shutdownCodes.add(code);
  }

  /** An event-loop tick is about to begin. */
  expectTick(): void {
    this.releasedInfos = this.infos.length;
  }

  /** Settled promises are about to be processed. */
  beginFlush(): void {
    this.flushing = true;
    this.noteSettled();
  }

  // --- the end

  /** Checks a newly decided end against its possible causes. */
  private checkEnd(said?: { readonly code: number | undefined; readonly text: string }): void {
    if (this.endedAt !== undefined || !this.session.endDecided) return;
    const { verdict } = this;
    this.endedAt = this.clock.now();
    this.endVisibleAt ??= this.endedAt;
    verdict.holds(said !== undefined || this.wire.isDisconnected, "ended without a close frame");
    const reason = this.session.endedBy!;
    const expected = this.explain(reason);
    if (said === undefined || expected === undefined) return;
    verdict.same(said.code, expected.code, `closed with another code for ${show(reason)}`);
    verdict.same(said.text, expected.text, `closed with another text for ${show(reason)}`);
  }

  private explain(reason: CloseReason): { readonly code: number | undefined; readonly text: string } | undefined {
    const { verdict, ending } = this;
    const [code] = this.shutdownCodes;
    if (ending?.matches(reason)) return ending;
    if (reason === "shutdown") {
      verdict.holds(code !== undefined, "a shutdown that was not requested");
      // If both codes were requested, either may have come first, depending on the group's batches.
      const { closedWith = 0 } = this.wire;
      return { code: this.shutdownCodes.has(closedWith) ? closedWith : code, text: "" };
    }
    if (reason === "timeout") {
      verdict.holds(this.silence.isTimeout, "an idle timeout at another time");
      return { code: 1001, text: "idle timeout" };
    }
    if (reason === "remote") {
      verdict.holds(this.remoteClosed, "the peer has not closed");
      verdict.holds(this.waiting === 0 || this.abandoned, "messages before the close were dropped");
      return { code: this.remoteCode, text: "" };
    }
    const error = typeof reason === "object" ? reason.error : undefined;
    if (error instanceof ConnectionLost) {
      verdict.holds(this.wire.isDisconnected, "lost although the transport is connected");
      verdict.holds(this.waiting === 0 || this.abandoned, "messages before the loss were dropped");
      return undefined;
    }
    if (error instanceof SlowConsumer) {
      const next = this.expectedSends[0]?.size;
      const exceeds = next !== undefined && !this.isAccepted(next);
      verdict.holds(exceeds || this.silence.isStalled(this.wire), "ended as a slow consumer without a cause");
      return { code: 1013, text: "" };
    }
    if (error instanceof MailboxOverflow) {
      verdict.holds(this.overflowed, "ended by an overflow without a cause");
      return { code: 1011, text: "" };
    }
    if (error instanceof ProtocolError && (error === this.failure || this.isFlooded(error)))
      return { code: error.closeCode, text: error.closeText };
    verdict.holds(false, `ended without a cause: ${show(reason)}`);
    return undefined;
  }

  private isFlooded({ closeCode }: ProtocolError): boolean {
    const { options, wire } = this.setting;
    const bytes = options.maxMessageSize + 1024 * 1024;
    return closeCode === 1008 && !wire.pause && (this.waiting > UNPAUSABLE_EVENTS || this.waitingBytes > bytes);
  }

  // --- invariants

  check(): void {
    const { verdict, session, wire, setting, clock } = this;
    const now = clock.now();
    this.checkEnd();
    if (this.abandonAt !== undefined) verdict.holds(now < this.abandonAt, "a callback was not abandoned in time");
    if (this.terminating !== undefined && now >= this.terminating.since + setting.options.closeTimeout)
      this.terminating = undefined;
    if (session.endDecided) {
      verdict.holds(wire.isDisconnected || !wire.paused, "left paused");
      const cutAt = this.endedAt! + setting.options.closeTimeout;
      verdict.holds(
        wire.isDisconnected || wire.aborted || now < cutAt,
        "the transport was not aborted after closeTimeout",
      );
      if (this.pending === undefined) {
        verdict.same(this.terminated, this.hasState && setting.has.terminate, "whether terminate was called");
      }
    } else if (!wire.isDisconnected) this.silence.check(verdict, wire, this.remoteClosed);
    const isDone =
      session.endDecided && wire.isDisconnected && this.pending === undefined && this.terminating === undefined;
    verdict.same(this.ends, isDone ? 1 : 0, "how often onEnd was called");
    verdict.deliver();
  }

  /** Invariants when all settled promises have been processed. */
  checkFlushed(): void {
    this.flushing = false;
    this.check();
    const { verdict, session, wire } = this;
    if (session.endDecided || this.pending !== undefined) return;
    this.expectApplied();
    verdict.holds(this.nextMessageMayWait, "a message waits without a reason");
    verdict.holds(
      this.waiting > 0 || !wire.isDisconnected,
      "not ended although the transport is disconnected and nothing is pending",
    );
    verdict.holds(this.waiting > 0 || !this.remoteClosed, "the peer's close frame was not answered");
    verdict.holds(this.handledInfos >= this.releasedInfos, "an info waits without a reason");
    const isFull = this.waiting >= INBOUND_EVENTS / 2 || this.waitingBytes >= INBOUND_BYTES / 2;
    verdict.holds(!wire.paused || isFull || this.isBlocked, "paused without a reason");
    verdict.deliver();
  }

  /** Invariants when all deadlines have passed. */
  checkOver(): void {
    const { verdict, session, wire } = this;
    this.checkFlushed();
    verdict.holds(session.endDecided, "never ended");
    verdict.holds(wire.isDisconnected, "the transport was never disconnected");
    verdict.same(this.ends, 1, "onEnd was not called");
    verdict.same(this.expectedReports.length, 0, "an error was not reported");
    this.send(CALM);
    this.lookAtSelf();
    verdict.deliver();
  }
}

const show = (reason: CloseReason): string =>
  typeof reason === "object" ? `{ error: ${String(reason.error)} }` : reason;
