/**
 * A real session between a scripted handler and a scripted wire, and everything that DESIGN.md §2 promises about it,
 * checked at every call it makes and after every step.
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
import { SessionWire, type Watcher } from "./session-wire.ts";
import { SilenceModel } from "./silence-model.ts";
import type { SteppedClock } from "./stepped-clock.ts";
import type { Verdict } from "./verdict.ts";

/** The marks of DESIGN.md §2. */
const INBOUND_EVENTS = 1024;
const INBOUND_OCTETS = 65_536;
const UNPAUSABLE_EVENTS = 65_536;
const OUTBOUND_OCTETS = 65_536;
const MAX_INFOS = 65_536;

type Name = "init" | "handleIn" | "handleControl" | "handleInfo";

interface Waiting {
  readonly event: DataMessage | ControlMessage;
  readonly size: number;
  /** How many infos come before it. */
  readonly after: number;
  readonly reaction: Reaction;
}

/** A callback whose promise is pending. */
interface Live {
  readonly name: Name;
  readonly since: number;
  readonly promised: Promised;
}

interface Info {
  readonly reaction: Reaction;
}

export class SessionWorld implements Watcher {
  readonly session: Session;
  readonly wire: SessionWire;
  readonly silence: SilenceModel;
  /** Everything that was promised and may be settled. */
  readonly promises: Promised[] = [];
  ends = 0;

  readonly setting: Setting;
  readonly clock: SteppedClock;
  private readonly verdict: Verdict;
  private self!: Self<Info>;

  /** All messages that were told and have to be handled, and how many were. */
  private readonly told: Waiting[] = [];
  private handledMessages = 0;
  private waitingOctets = 0;
  private readonly reactions = new Map<object, Reaction>();
  /** The same of infos. */
  private readonly infos: Info[] = [];
  private handledInfos = 0;
  private releasedInfos = 0;
  private mark = 0;
  private sending = false;
  private overflowed = false;
  private toldOfInfo = false;

  private inside = false;
  private live: Live | undefined;
  private flushing = false;
  private state: unknown;
  private hasState = false;
  private states = 0;
  /** What the last result is still to cause. */
  private outbox: Attempt[] = [];
  private ending: Ending | undefined;
  private readonly reports: ((error: unknown) => boolean)[] = [];

  private remoteCode: number | undefined;
  private remoteClosed = false;
  private failure: ProtocolError | undefined;
  private readonly shutdownCodes = new Set<number>();
  private gaveUp = false;
  /** Since when the end is known: by the peer's close, the loss, or the decision. */
  private endKnownAt: number | undefined;
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

  // --- what the session calls

  private takeMessage(message: DataMessage | ControlMessage): Reaction {
    const next = this.told[this.handledMessages++];
    this.verdict.same(message.opcode, next?.event.opcode, "a message out of order");
    this.verdict.same(message.data, next?.event.data, "a message out of order");
    this.verdict.holds((next?.after ?? 0) <= this.handledInfos, "a message overtook an info");
    this.verdict.holds(
      this.wire.gone || this.wire.buffered <= OUTBOUND_OCTETS || this.fitsAfterClose(next?.size ?? 0),
      "a message was handled although too much waits for the peer",
    );
    this.waitingOctets -= next?.size ?? 0;
    return next?.reaction ?? CALM;
  }

  /** A peer that has closed need not be held back: what it sent is handled as long as an answer of the same size fits. */
  private fitsAfterClose(size: number): boolean {
    return this.remoteClosed && this.wire.buffered + size <= this.setting.options.maxBuffered;
  }

  private takeInfo(info: Info): Reaction {
    this.verdict.same(info, this.infos[this.handledInfos], "an info out of order");
    this.verdict.holds(!this.sending, "an info was delivered in the sender's stack");
    this.verdict.holds(this.isHeldBack, "an info overtook a message");
    this.handledInfos++;
    return info.reaction;
  }

  private get waiting(): number {
    return this.told.length - this.handledMessages;
  }

  /** Whether nothing waits, or what waits has a reason to. */
  private get isHeldBack(): boolean {
    const next = this.told[this.handledMessages];
    return next === undefined || next.after > this.handledInfos || this.isBlocked;
  }

  /** May the session still think that too much waits for the peer? */
  private get isBlocked(): boolean {
    return !this.wire.gone && (this.wire.buffered > 0 || this.wire.drainsDue > 0);
  }

  private call(name: Name, reaction: Reaction, state: unknown, self: Self<Info>): unknown {
    const { verdict } = this;
    verdict.holds(!this.inside, `${name} within another callback`);
    verdict.same(this.live?.name, undefined, `${name} while another callback is pending`);
    verdict.same(this.session.ended, false, `${name} after the end was decided`);
    verdict.same(self, this.self, "another self");
    if (name !== "init") {
      verdict.holds(this.hasState, `${name} before init returned`);
      verdict.same(state, this.state, `${name} got another state than was returned`);
    }
    this.expectObeyed();
    this.meanwhile(reaction);
    return this.answer(name, reaction);
  }

  private terminate(reaction: Reaction, reason: CloseReason, state: unknown, self: Self<Info>): unknown {
    const { verdict } = this;
    this.noticeEnd();
    verdict.holds(!this.terminated, "terminate was called twice");
    verdict.holds(this.hasState, "terminate was called without a state");
    verdict.holds(!this.inside, "terminate within another callback");
    verdict.same(this.live?.name, undefined, "terminate while another callback is pending");
    verdict.same(reason, this.session.endedBy, "terminate got another reason");
    verdict.same(state, this.state, "terminate got another state than the last that was returned");
    verdict.same(self, this.self, "another self");
    this.terminated = true;
    this.meanwhile(reaction);
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
    if (promised.isSettled || promised.isSynchronous) this.reports.push(isError);
    else promised.onSettled = () => this.reports.push(isError);
  };

  private meanwhile({ meanwhile }: Reaction): void {
    this.inside = true;
    for (const what of meanwhile) {
      if (what === "send an info") this.send(CALM);
      else if (what === "send five infos") for (let i = 0; i < 5; i++) this.send(CALM);
      else if (what === "look at self") this.lookAtSelf();
      else if (what === "shut down") this.shutDown(1001);
      else if (what === "lose the wire") this.wire.lose();
      else this.session.abort();
    }
    this.inside = false;
  }

  private answer(name: Name, reaction: Reaction): unknown {
    const state = { number: ++this.states };
    const promised = new Promised(name, reaction, resultOf(reaction.result, state));
    const { error } = promised;
    const prediction = promised.fails ? crash((given) => given === error) : predict(reaction.result, name);
    promised.takeEffect = () => this.obey(prediction, state);
    if (promised.isSynchronous) promised.takeEffect();
    else {
      this.live = { name, since: this.clock.now(), promised };
      this.promises.push(promised);
      // Not at once: what arrives in the same stack comes before it.
      if (this.flushing) queueMicrotask(() => this.settleDown());
    }
    return promised.give();
  }

  /** The session gets to see a result. */
  private obey({ isResult, reported, sends, ending }: Prediction, state: unknown): void {
    const isOpen = !this.session.ended;
    if (isResult) {
      this.state = state;
      this.hasState = true;
    }
    if (reported !== undefined && (isOpen || !isResult)) this.reports.push(reported);
    if (!isOpen) return;
    this.outbox = this.wire.gone ? [] : [...sends];
    this.ending = ending;
  }

  /** Promises that are settled by now are about to be heard of. */
  private settleDown(): void {
    if (this.live?.promised.isSettled) {
      const { promised } = this.live;
      this.live = undefined;
      promised.takeEffect();
    }
    if (this.terminating?.promised.isSettled) this.terminating = undefined;
  }

  /** What the last result was to cause has happened. */
  private expectObeyed(): void {
    if (this.session.ended) return;
    this.verdict.same(this.ending, undefined, "a result that ends the connection did not");
    this.verdict.holds(this.outbox.length === 0 || this.wire.gone, "a message was not sent");
  }

  private onError(error: unknown): void {
    const { verdict } = this;
    if (error instanceof MailboxOverflow) verdict.holds(this.overflowed, "reported an overflow where there is none");
    else if (error instanceof TypeError && error.message.includes('the handler has no "handleInfo"')) {
      verdict.holds(!this.setting.has.handleInfo && !this.toldOfInfo, "told twice of an info without handleInfo");
      this.toldOfInfo = true;
    } else if (error instanceof Error && error.message.includes('did not settle within "closeTimeout"'))
      this.onGiveUp();
    else {
      // In any order: a list whose second message ends the connection is read to its end, after `terminate` has run.
      const expected = this.reports.findIndex((isIt) => isIt(error));
      verdict.holds(expected !== -1, `reported what nobody caused: ${error}`);
      this.reports.splice(expected, 1);
    }
  }

  private onGiveUp(): void {
    const { live, verdict } = this;
    verdict.holds(live !== undefined, "gave up a callback that was not pending");
    verdict.same(this.clock.now(), this.giveUpAt, "gave up a callback at another moment");
    this.live = undefined;
    this.gaveUp = true;
  }

  /** When the callback that is pending has to be given up. */
  private get giveUpAt(): number | undefined {
    if (this.live === undefined || this.endKnownAt === undefined) return undefined;
    return Math.max(this.live.since, this.endKnownAt) + this.setting.options.closeTimeout;
  }

  // --- what the wire tells

  onSend(opcode: Opcode, data: IoData, size: number): void {
    const { verdict, wire } = this;
    verdict.holds(!this.session.ended, "sent after the end was decided");
    this.silence.look(wire);
    if (data === HEARTBEAT) {
      verdict.holds(this.setting.wire.control && wire.buffered === 0, "a heartbeat that is of no use");
      this.silence.onHeartbeat(verdict);
      return;
    }
    const next = this.outbox.shift();
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
    this.verdict.holds(this.session.ended, "closed before the end was decided");
    this.noticeEnd({ code, text });
  }

  onAbort(): void {}

  onReceived(): void {
    this.silence.onReceived();
    this.mark = this.infos.length;
  }

  /** How many messages there have been. */
  get registered(): number {
    return this.reactions.size;
  }

  /** A message with this reaction is about to arrive. */
  register(event: object, reaction: Reaction): void {
    this.reactions.set(event, reaction);
  }

  onMessage(event: DataMessage | ControlMessage, size: number): void {
    const isControl = event.opcode === "ping" || event.opcode === "pong";
    if (this.session.ended) return;
    if (isControl && (this.silence.takesPong(event as ControlMessage) || !this.setting.has.handleControl)) return;
    const { maxMessageSize } = this.setting.options;
    const before = this.waitingOctets;
    this.told.push({ event, size, after: this.mark, reaction: this.reactions.get(event) ?? CALM });
    this.waitingOctets += size;
    const [events, octets] = this.setting.wire.pause
      ? [INBOUND_EVENTS, INBOUND_OCTETS]
      : [UNPAUSABLE_EVENTS + 1, maxMessageSize + 1024 * 1024];
    this.verdict.holds(this.waiting <= events && before <= octets, "more waits than the mailbox may hold");
  }

  onRemoteClose(code: number | undefined): void {
    if (this.session.ended) return;
    this.remoteClosed = true;
    this.remoteCode = code;
    this.endKnownAt ??= this.clock.now();
  }

  onFailure(error: ProtocolError): void {
    this.failure = error;
  }

  onGone(): void {
    this.endKnownAt ??= this.clock.now();
    this.outbox = [];
  }

  onPause(): void {
    this.silence.onPause();
  }
  onResume(): void {
    this.silence.onResume();
  }

  // --- what comes from outside

  send(reaction: Reaction): void {
    const info: Info = { reaction };
    const isAlive = !this.session.ended && !this.remoteClosed && !this.wire.gone && !this.overflowed;
    const { handleInfo } = this.setting.has;
    const isFull = handleInfo && this.infos.length - this.handledInfos >= MAX_INFOS;
    this.overflowed ||= isAlive && isFull;
    // Before the call, should it be delivered within it.
    if (isAlive && handleInfo && !isFull) this.infos.push(info);
    const before = this.sending;
    this.sending = true;
    this.verdict.same(this.self.send(info), isAlive && !isFull, "self.send said something else");
    this.sending = before;
  }

  lookAtSelf(): void {
    this.verdict.same(this.self.buffered, this.wire.buffered, "self.buffered");
    this.verdict.same(this.self.signal.aborted, this.session.ended, "self.signal.aborted");
  }

  shutDown(code: 1001 | 1012): void {
    this.shutdownCodes.add(code);
    this.session.shutdown(code);
    this.verdict.holds(this.session.ended, "a shutdown that does not end it");
  }

  /** The group is about to close or drain it, now or later. */
  expectShutdown(code: 1001 | 1012): void {
    this.shutdownCodes.add(code);
  }

  /** The event loop is about to take a turn. */
  expectTurn(): void {
    this.releasedInfos = this.infos.length;
  }

  /** Promises are about to be heard of. */
  beginFlush(): void {
    this.flushing = true;
    this.settleDown();
  }

  // --- the end

  /** Holds the end against what may have caused it. */
  private noticeEnd(said?: { readonly code: number | undefined; readonly text: string }): void {
    if (this.endedAt !== undefined || !this.session.ended) return;
    const { verdict } = this;
    this.endedAt = this.clock.now();
    this.endKnownAt ??= this.endedAt;
    verdict.holds(said !== undefined || this.wire.gone, "ended without a close frame");
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
      verdict.holds(code !== undefined, "a shutdown that nobody asked for");
      // With both codes asked for, which of them came first depends on the group's pace.
      const { closedWith = 0 } = this.wire;
      return { code: this.shutdownCodes.has(closedWith) ? closedWith : code, text: "" };
    }
    if (reason === "timeout") {
      verdict.holds(this.silence.isTimeout, "an idle timeout at another moment");
      return { code: 1001, text: "idle timeout" };
    }
    if (reason === "remote") {
      verdict.holds(this.remoteClosed, "the peer has not closed");
      verdict.holds(this.waiting === 0 || this.gaveUp, "messages before the close were dropped");
      return { code: this.remoteCode, text: "" };
    }
    const error = typeof reason === "object" ? reason.error : undefined;
    if (error instanceof ConnectionLost) {
      verdict.holds(this.wire.gone, "lost although the wire is there");
      verdict.holds(this.waiting === 0 || this.gaveUp, "messages before the loss were dropped");
      return undefined;
    }
    if (error instanceof SlowConsumer) {
      const next = this.outbox[0]?.size;
      const exceeds = next !== undefined && !this.isAccepted(next);
      verdict.holds(exceeds || this.silence.isStalled(this.wire), "a slow consumer that is not");
      return { code: 1013, text: "" };
    }
    if (error instanceof MailboxOverflow) {
      verdict.holds(this.overflowed, "an overflow that is none");
      return { code: 1011, text: "" };
    }
    if (error instanceof ProtocolError && (error === this.failure || this.isFlooded(error)))
      return { code: error.code, text: error.message };
    verdict.holds(false, `ended without a cause: ${show(reason)}`);
    return undefined;
  }

  private isFlooded({ code }: ProtocolError): boolean {
    const { options, wire } = this.setting;
    const octets = options.maxMessageSize + 1024 * 1024;
    return code === 1008 && !wire.pause && (this.waiting > UNPAUSABLE_EVENTS || this.waitingOctets > octets);
  }

  // --- what holds after every step

  check(): void {
    const { verdict, session, wire, setting, clock } = this;
    const now = clock.now();
    this.noticeEnd();
    if (this.giveUpAt !== undefined) verdict.holds(now < this.giveUpAt, "a callback was not given up in time");
    if (this.terminating !== undefined && now >= this.terminating.since + setting.options.closeTimeout)
      this.terminating = undefined;
    if (session.ended) {
      verdict.holds(wire.gone || !wire.paused, "left paused");
      const cutAt = this.endedAt! + setting.options.closeTimeout;
      verdict.holds(wire.gone || wire.aborted || now < cutAt, "the wire was not cut after closeTimeout");
      if (this.live === undefined) {
        verdict.same(this.terminated, this.hasState && setting.has.terminate, "whether terminate was called");
      }
    } else if (!wire.gone) this.silence.check(verdict, wire, this.remoteClosed);
    const isDone = session.ended && wire.gone && this.live === undefined && this.terminating === undefined;
    verdict.same(this.ends, isDone ? 1 : 0, "how often the group was told of the end");
    verdict.deliver();
  }

  /** What holds when all promises that are settled were heard of. */
  checkFlushed(): void {
    this.flushing = false;
    this.check();
    const { verdict, session, wire } = this;
    if (session.ended || this.live !== undefined) return;
    this.expectObeyed();
    verdict.holds(this.isHeldBack, "a message waits without a reason");
    verdict.holds(this.waiting > 0 || !wire.gone, "not ended although the wire is gone and nothing is pending");
    verdict.holds(this.waiting > 0 || !this.remoteClosed, "the peer's close is not answered");
    verdict.holds(this.handledInfos >= this.releasedInfos, "an info waits without a reason");
    const isFull = this.waiting >= INBOUND_EVENTS / 2 || this.waitingOctets >= INBOUND_OCTETS / 2;
    verdict.holds(!wire.paused || isFull || this.isBlocked, "paused without a reason");
    verdict.deliver();
  }

  /** What holds when all deadlines are over. */
  checkOver(): void {
    const { verdict, session, wire } = this;
    this.checkFlushed();
    verdict.holds(session.ended, "never ended");
    verdict.holds(wire.gone, "the wire was never cut");
    verdict.same(this.ends, 1, "the group was not told of the end");
    verdict.same(this.reports.length, 0, "an error was not reported");
    this.send(CALM);
    this.lookAtSelf();
    verdict.deliver();
  }
}

const show = (reason: CloseReason): string =>
  typeof reason === "object" ? `{ error: ${String(reason.error)} }` : reason;
