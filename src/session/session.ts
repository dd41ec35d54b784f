/**
 * The session: everything between a handler's callbacks and a host's transport, the same on every host.
 *
 * It calls one callback at a time, interprets what they return, decides the end and its reason, holds back whoever is
 * too fast, and watches the clock. It does no I/O: the transport, the clock and the reporter are given to it.
 */
import { ConnectionLost, MailboxOverflow, ProtocolError, SlowConsumer } from "../errors.ts";
import type { ControlMessage, Messages, OutMessage } from "../message.ts";
import type { ResolvedOptions } from "../options.ts";
import type { Octets } from "../protocol/byte-ops.ts";
import { CLOSE } from "../protocol/close.ts";
import { ioLength } from "../protocol/io-data.ts";
import {
  type CloseDetail,
  checkStopOptions,
  defaultCloseCode,
  type HandleResult,
  isNormalStop,
  type StopDetail,
} from "../result.ts";
import type { Transport, TransportEvents } from "../transport.ts";
import type { CloseReason } from "../websock.ts";
import type { AsyncContext } from "./async-context.ts";
import type { Clock, Timed } from "./clock.ts";
import type { Callback, CallbackName, Callbacks } from "./handler.ts";
import { HEARTBEAT, Liveness } from "./liveness.ts";
import { type Arrived, EMPTY_MAILBOX, Mailbox } from "./mailbox.ts";
import { checkCloseDetail, checkMessage, checkMessages, isPlainText } from "./outgoing.ts";
import type { OnError } from "./report.ts";
import { isPush, isResult, refuseResult, stateOf } from "./result-shape.ts";
import { type Addressee, type ConnectionFacts, SessionSelf } from "./self.ts";

/** So much may wait for the handler before reading pauses; it resumes below half of it. */
const INBOUND_MARK = { events: 1024, bytes: 65_536 } as const;

/** So many events may wait where the host cannot pause, and so many octets more than one message. */
const UNPAUSABLE_LIMIT = { events: 65_536, extraBytes: 1024 * 1024 } as const;

/** While more than this waits for the peer to read, nothing of what it sends is read or handled. */
const OUTBOUND_MARK = 65_536;

const MAX_INFOS = 65_536;

const NEVER = Number.POSITIVE_INFINITY;

const OPEN = 0;
/** The end is decided; a callback may still be pending. */
const ENDING = 1;
/** `terminate` has been called, or there was nothing to call it with. */
const ENDED = 2;

/** More than the outbound high-water mark is unsent: nothing is read until the peer catches up. See `canHandle`. */
const BLOCKED = 1;
/** The code that runs now is not in the connection's AsyncLocalStorage context, which must be entered before a callback is called. */
const OUTSIDE = 2;

/** What every session of a host is given. */
export interface SessionContext {
  readonly options: ResolvedOptions;
  readonly clock: Clock;
  readonly octets: Octets;
  readonly onError: OnError;
  /** The connection was asked for its id for the first time. */
  readonly onIdentified?: (session: Session, id: string) => void;
  /** The wire is gone and the handler is done. */
  readonly onEnd?: (session: Session) => void;
}

export class Session implements TransportEvents, Timed, Addressee {
  // First what every message needs, side by side: of the many sessions that a process has, few are in the processor's cache.
  private readonly clock: Clock;
  /** When something arrived last. Noted with each message, and told to {@link liveness} when that is asked. */
  private heardAt: number;
  private mailbox: Mailbox = EMPTY_MAILBOX;
  private phase: typeof OPEN | typeof ENDING | typeof ENDED = OPEN;
  /** The callback that is running, or whose promise is pending. */
  private running: CallbackName | undefined = undefined;
  /**
   * The bits {@link BLOCKED} and {@link OUTSIDE}: why a message may not be handled at once. Read for every message,
   * so one field serves for both.
   */
  private hold = 0;
  /** The handler: what {@link callbacks} are called on. */
  private readonly target: Callbacks["target"];
  private state: unknown = undefined;
  readonly self: SessionSelf;
  /** When a pending callback is given up: `undefined`, for a number has to be kept somewhere. */
  private giveUpAt: number | undefined = undefined;
  /** `init` has returned: from here on `terminate` will run. */
  private hasState = false;
  private readonly transport: Transport;
  /** The peer's close frame arrived. What came before it is handled first. */
  private remoteClosed = false;
  /** The wire is gone. What came before is handled first, if the end was not decided. */
  private gone = false;

  slot = 0;
  private readonly context: SessionContext;
  private readonly callbacks: Callbacks;
  private readonly facts: ConnectionFacts;
  private readonly liveness: Liveness;
  private reason: CloseReason = "normal";
  private settled: ((result: unknown) => void) | undefined = undefined;
  private rejected: ((error: unknown) => void) | undefined = undefined;
  /** The promise of `terminate` is pending. */
  private terminating = false;
  private paused = false;
  private drainScheduled = false;
  private overflowed = false;
  /** The application's own code has called `self.push` or `self.stop`, which is still running. */
  private acting = false;
  /** The promises of `self.drained()` that are pending. */
  private drainWaiters: ((drained: boolean) => void)[] | undefined = undefined;
  /** The AsyncLocalStorage context of the `upgrade` call. */
  private readonly asyncContext: AsyncContext | undefined;
  private toldOfInfo = false;
  private done = false;
  /** When the wire is cut. */
  private cutAt: number | undefined = undefined;

  constructor(
    callbacks: Callbacks,
    transport: Transport,
    facts: ConnectionFacts,
    context: SessionContext,
    asyncContext?: AsyncContext,
  ) {
    this.clock = context.clock;
    this.heardAt = this.clock.heard();
    this.target = callbacks.target;
    this.self = new SessionSelf(this, facts);
    this.transport = transport;
    this.context = context;
    this.callbacks = callbacks;
    this.facts = facts;
    this.liveness = new Liveness(this.heardAt);
    this.asyncContext = asyncContext;
    this.outside = asyncContext !== undefined;
  }

  enter<Target, Args extends unknown[]>(
    task: (this: Target, ...args: Args) => void,
    target: Target,
    ...args: Args
  ): void {
    if (!this.outside) {
      task.apply(target, args);
      return;
    }
    this.outside = false;
    try {
      this.asyncContext!.run(task, target, ...args);
    } finally {
      this.outside = true;
    }
  }

  inherit<Target, Args extends unknown[]>(
    task: (this: Target, ...args: Args) => void,
    target: Target,
    ...args: Args
  ): void {
    const { outside } = this;
    this.outside = false;
    try {
      task.apply(target, args);
    } finally {
      this.outside = outside;
    }
  }

  /** Runs `init`. */
  start(arg: unknown): void {
    this.enter(this.runInit, this, arg);
  }

  private runInit(arg: unknown): void {
    const { init } = this.callbacks;
    this.call("init", (argument, _state, self) => init.call(this.target, argument, self), arg);
    this.pump();
    this.reschedule();
  }

  /** Goes on with what {@link Transport.keep} has kept: `init` ran before, in another life of the process. */
  resume(state: unknown): void {
    this.state = state;
    this.hasState = true;
    this.reschedule();
  }

  /** The server goes away (1001) or restarts (1012). */
  shutdown(code: typeof CLOSE.goingAway | typeof CLOSE.serviceRestart): void {
    this.finish("shutdown", code, "");
    this.terminateWhenFree();
  }

  /** Cuts the connection off. */
  abort(): void {
    this.transport.abort();
  }

  // --- what `self` is for

  get ended(): boolean {
    return this.phase !== OPEN;
  }

  /** Why it ended; `undefined` while it has not. */
  get endedBy(): CloseReason | undefined {
    return this.phase === OPEN ? undefined : this.reason;
  }

  get buffered(): number {
    return this.transport.buffered;
  }

  deliver(info: unknown): boolean {
    if (this.phase !== OPEN || this.remoteClosed || this.gone || this.overflowed) return false;
    if (this.callbacks.handleInfo === undefined) {
      if (!this.toldOfInfo)
        this.report(
          new TypeError('an info was dropped: the handler has no "handleInfo" to receive what self.send() sends'),
          "handleInfo",
        );
      this.toldOfInfo = true;
      return true;
    }
    const { clock } = this;
    if (this.mailbox.infos >= MAX_INFOS) {
      // Not at once: this is the sender's stack.
      this.overflowed = true;
      clock.defer(() => this.overflow());
      return false;
    }
    this.ownMailbox.addInfo(info);
    if (!this.drainScheduled) {
      this.drainScheduled = true;
      clock.defer(() => this.drainInfos());
    }
    return true;
  }

  private drainInfos(): void {
    this.drainScheduled = false;
    this.mailbox.releaseInfos();
    this.pump();
  }

  private overflow(): void {
    if (this.phase !== OPEN) return;
    const error = new MailboxOverflow(`more than ${MAX_INFOS} infos are waiting for "handleInfo"`);
    this.report(error, "handleInfo");
    this.finish({ error }, CLOSE.internalError, "");
    this.terminateWhenFree();
  }

  /** `self.push`: sends now, whatever callback is running or pending. */
  pushNow(messages: Messages): boolean {
    checkMessages(messages, this.context.octets);
    if (this.phase !== OPEN || this.gone) return false;
    this.actNow(() => this.send(messages));
    return this.phase === OPEN && !this.gone;
  }

  /** `self.stop`: decides the end now, whatever callback is running or pending. */
  stopNow(reason: unknown, detail: StopDetail = {}): boolean {
    checkStopOptions(detail, "abort");
    const { messages = [], abort = false } = detail;
    const { code, text } = checkCloseDetail([detail.code ?? defaultCloseCode(reason), detail.text ?? null]);
    checkMessages(messages, this.context.octets);
    if (this.phase !== OPEN) return false;
    let decides!: boolean;
    this.actNow(() => {
      this.send(messages);
      decides = this.phase === OPEN; // unless its messages exceed `maxBuffered`
      this.finish(isNormalStop(reason) ? "normal" : { error: reason }, code, text, abort);
    });
    return decides;
  }

  /** On the application's stack, no callback is called: those that have become due meanwhile are called in a later tick. */
  private actNow(act: () => void): void {
    const { acting } = this;
    this.acting = true;
    try {
      act();
    } finally {
      this.acting = acting;
    }
    if ((this.phase === OPEN && !this.gone) || this.running !== undefined) return;
    this.clock.defer(() => {
      this.pump();
      this.terminateWhenFree();
    });
  }

  /** `self.drained`. */
  whenDrained(): Promise<boolean> {
    if (this.phase !== OPEN || this.gone) return Promise.resolve(false);
    if (this.transport.buffered <= OUTBOUND_MARK) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.drainWaiters ??= [];
      this.drainWaiters.push(resolve);
    });
  }

  private answerDrainWaiters(drained: boolean): void {
    const waiters = this.drainWaiters;
    this.drainWaiters = undefined;
    if (waiters !== undefined) for (const resolve of waiters) resolve(drained);
  }

  identified(id: string): void {
    this.context.onIdentified?.(this, id);
  }

  // --- what the transport tells

  received(): void {
    this.heardAt = this.clock.soon();
    this.mailbox.mark();
  }

  /**
   * The way of nearly every event: one function, which engines make one piece with the handler, if it is called as a method
   * and there is no other. Then neither message nor result is ever made. Other results go through {@link returned}.
   */
  text(data: string, size: number): void {
    if (!this.isReady) {
      this.textOtherwise(data, size);
      return;
    }
    this.running = "handleIn";
    try {
      const result = this.target.handleIn({ opcode: "text", data }, this.state, this.self);
      if (!isPush(result)) this.returned(result, "handleIn");
      else if (this.accept(result[2])) this.send(result[1]);
    } catch (error) {
      this.crash(error, "handleIn");
    }
    this.terminateWhenFree();
    this.afterArrival();
  }

  /** The slow path of {@link text}. It is a function of its own, so that {@link text} stays small enough to be inlined. */
  private textOtherwise(data: string, size: number): void {
    if (this.outside) this.enter(this.text, this, data, size);
    else this.arrive({ opcode: "text", data }, size);
  }

  binary(data: Uint8Array<ArrayBuffer>): void {
    this.arrive({ opcode: "binary", data }, data.length);
  }

  control(message: ControlMessage): void {
    if (this.liveness.takesPong(message)) return;
    // A ping has been answered: a peer that sends pings and does not read holds itself back like any other.
    this.noteOutbound();
    if (this.callbacks.handleControl !== undefined) this.arrive(message, message.data.length);
  }

  closing(code: number | undefined, text: string): void {
    this.facts.closeCode = code;
    this.facts.closeText = text;
    if (this.phase !== OPEN) return;
    this.remoteClosed = true;
    this.limitCallback();
    this.pump();
  }

  failed(error: ProtocolError): void {
    this.finish({ error }, error.code, error.message);
    this.terminateWhenFree();
  }

  drained(): void {
    if (this.drainWaiters !== undefined && this.transport.buffered <= OUTBOUND_MARK) this.answerDrainWaiters(true);
    if (!this.blocked) return;
    if (this.transport.buffered <= OUTBOUND_MARK / 2) this.blocked = false;
    this.pump();
  }

  idle(): void {
    this.finish("timeout", CLOSE.goingAway, "idle timeout");
    this.terminateWhenFree();
  }

  stopped(): void {
    this.shutdown(CLOSE.goingAway);
  }

  disconnected(): void {
    if (this.gone) return;
    this.gone = true;
    this.cutAt = undefined;
    this.answerDrainWaiters(false);
    if (this.phase === OPEN) {
      this.blocked = false;
      this.limitCallback();
      this.pump();
    }
    this.checkDone();
  }

  // --- events to callbacks

  /** Whether an event of the peer may be handled at once: a synchronous handler never queues anything. */
  private get isReady(): boolean {
    return this.phase === OPEN && this.running === undefined && this.hold === 0 && this.mailbox.isNext;
  }

  private get blocked(): boolean {
    return (this.hold & BLOCKED) !== 0;
  }

  private set blocked(blocked: boolean) {
    this.hold = blocked ? this.hold | BLOCKED : this.hold & ~BLOCKED;
  }

  private get outside(): boolean {
    return (this.hold & OUTSIDE) !== 0;
  }

  private set outside(outside: boolean) {
    this.hold = outside ? this.hold | OUTSIDE : this.hold & ~OUTSIDE;
  }

  /**
   * Whether a message may be handled although more than the outbound high-water mark is unsent. A host that answers the
   * peer's close frame by itself does so behind what we have sent by then: an answer that is held back would be lost. So
   * what has been received is handled there, as long as an answer of the same size fits into `maxBuffered`. The same goes
   * for a peer that has closed: it sends nothing more that would have to be held back.
   */
  private canHandle(size: number): boolean {
    const { transport, context } = this;
    if (transport.capabilities.answersClose && !this.remoteClosed) return false;
    return transport.buffered + size <= context.options.maxBuffered;
  }

  /** Whether a message may be handled at once although {@link BLOCKED} is set, because nothing else prevents it. */
  private isReadyThough(size: number): boolean {
    if (this.hold !== BLOCKED || this.phase !== OPEN || this.running !== undefined || !this.mailbox.isNext)
      return false;
    return this.canHandle(size);
  }

  private arrive(event: Arrived, size: number): void {
    if (this.isReady || this.isReadyThough(size)) {
      this.handle(event);
      this.afterArrival();
    } else if (this.outside) this.enter(this.arrive, this, event, size);
    else this.queue(event, size);
  }

  /** Only a transport that answers within `send` brings more in the meantime. */
  private afterArrival(): void {
    if (this.mailbox.messages > 0 || this.remoteClosed || this.gone) this.pump();
  }

  private queue(event: Arrived, size: number): void {
    if (this.phase !== OPEN) return;
    this.ownMailbox.addMessage(event, size);
    if (this.transport.capabilities.pause) this.updateReading();
    else this.limitMailbox();
  }

  private get ownMailbox(): Mailbox {
    if (this.mailbox === EMPTY_MAILBOX) this.mailbox = new Mailbox();
    return this.mailbox;
  }

  /** Handles what waits, in order, until there is nothing, or a callback is pending. */
  private pump(): void {
    if (this.outside) {
      this.enter(this.pump, this);
      return;
    }
    do {
      while (this.phase === OPEN && this.running === undefined && !this.acting) {
        const held = this.blocked && !this.canHandle(this.mailbox.nextSize);
        const event = held ? undefined : this.mailbox.takeMessage();
        if (event !== undefined) this.handle(event);
        else if (this.mailbox.hasInfo) this.call("handleInfo", this.callbacks.handleInfo!, this.mailbox.takeInfo());
        else break;
      }
    } while (this.phase === OPEN && this.updateReading());
    if (this.phase !== OPEN || this.running !== undefined || this.acting || this.mailbox.messages > 0) return;
    if (!this.remoteClosed && !this.gone) return;
    this.finishAsPeerDid();
    this.terminateWhenFree();
  }

  /** All that the peer had sent is handled. */
  private finishAsPeerDid(): void {
    if (this.remoteClosed) this.finish("remote", this.facts.closeCode, "");
    else this.finish({ error: new ConnectionLost() }, undefined, "");
  }

  private handle(event: Arrived): void {
    if (event.opcode === "text" || event.opcode === "binary") this.call("handleIn", this.target.handleIn, event);
    else this.call("handleControl", this.callbacks.handleControl!, event);
  }

  private call(name: CallbackName, callback: Callback, argument: unknown): void {
    if (this.outside) {
      this.enter(this.call, this, name, callback, argument);
      return;
    }
    this.running = name;
    try {
      this.returned(callback.call(this.target, argument, this.state, this.self), name);
    } catch (error) {
      this.crash(error, name);
    }
    this.terminateWhenFree();
  }

  private returned(result: unknown, name: CallbackName): void {
    if (!isResult(result)) this.awaitResult(result, name);
    else if (this.accept(stateOf(result))) this.obey(result);
  }

  /** A callback has returned. `false`: the end was decided meanwhile, and what it wants to send is dropped. */
  private accept(state: unknown): boolean {
    this.running = undefined;
    this.giveUpAt = undefined;
    this.state = state;
    this.hasState = true;
    if (this.phase !== OPEN) return false;
    this.transport.keep?.(state);
    return true;
  }

  /**
   * A promise settles as if its callback, which is running until then, returned or threw only now; unless it was given up.
   *
   * @throws TypeError for what is no promise
   */
  private awaitResult(promise: unknown, name: CallbackName): void {
    if (!isPromiseLike(promise)) refuseResult(promise, name);
    if (this.remoteClosed || this.gone) this.limitCallback();
    this.settled ??= (result) => this.enter(this.settle, this, returnIt, result);
    this.rejected ??= (error) => this.enter(this.settle, this, throwIt, error);
    Promise.resolve(promise).then(this.settled, this.rejected);
  }

  private settle(outcome: Callback, value: unknown): void {
    if (this.phase === ENDED) return;
    this.call(this.running!, outcome, value);
    this.pump();
  }

  private crash(error: unknown, callback: CallbackName): void {
    // Nothing else is handled until the end is decided: whoever is told of the error may cause more to arrive.
    this.report(error, callback);
    this.running = undefined;
    // From then on it is the deadline of `terminate`.
    if (this.phase !== ENDED) this.giveUpAt = undefined;
    // The error's text is for us to see, not for the client.
    this.finish({ error }, CLOSE.internalError, "");
  }

  // --- results to the wire

  private obey(result: HandleResult<unknown>): void {
    if (result[0] === "push") this.send(result[1]);
    else if (result[0] === "reply") this.send(result[2]);
    else if (result[0] === "stop") {
      this.stop(
        result[1],
        result.length > 3 ? (result[2] as CloseDetail) : undefined,
        result.length > 4 ? (result[3] as Messages) : [],
      );
    }
  }

  private stop(reason: unknown, detail: CloseDetail | undefined, messages: Messages): void {
    const { code, text } = checkCloseDetail(detail ?? defaultCloseCode(reason));
    this.send(messages);
    this.finish(isNormalStop(reason) ? "normal" : { error: reason }, code, text);
  }

  private send(messages: Messages): void {
    if (isPlainText(messages)) this.sendText(messages.data);
    else this.sendAll(messages);
    this.noteOutbound();
  }

  private sendAll(messages: Messages): void {
    if (!Array.isArray(messages)) this.sendOne(messages as OutMessage);
    else for (const message of messages as readonly OutMessage[]) this.sendOne(message);
  }

  private sendOne(message: OutMessage): void {
    if (isPlainText(message)) {
      this.sendText(message.data);
      return;
    }
    const size = checkMessage(message, this.context.octets);
    if (this.phase !== OPEN || this.gone || !this.hasRoom(size)) return;
    this.transport.send(message.opcode, message.data ?? "", size);
  }

  /** Any string may be sent. */
  private sendText(text: string): void {
    // A host that takes it at once need not know its size.
    if (this.phase !== OPEN || this.gone || this.transport.sendText?.(text)) return;
    const size = ioLength(text, this.context.octets);
    if (this.hasRoom(size)) this.transport.send("text", text, size);
  }

  /** Else the connection is closed. One message is always taken when nothing waits, however large: it could never be sent. */
  private hasRoom(size: number): boolean {
    const waiting = this.transport.buffered;
    if (waiting === 0 || waiting + size <= this.context.options.maxBuffered) return true;
    this.slowConsumer(`${waiting} bytes are buffered, and ${size} more would exceed "maxBuffered"`);
    return false;
  }

  private slowConsumer(message: string): void {
    this.finish({ error: new SlowConsumer(message) }, CLOSE.tryAgainLater, "");
  }

  // --- backpressure

  private noteOutbound(): void {
    if (this.blocked || this.phase !== OPEN || this.gone || this.transport.buffered <= OUTBOUND_MARK) return;
    this.blocked = true;
    this.isStalled();
    this.updateReading();
    this.reschedule();
  }

  /** Pauses or resumes reading as the marks say. `true`: it resumed, and more may have arrived. */
  private updateReading(): boolean {
    const { mailbox } = this;
    const share = this.paused ? 0.5 : 1;
    const full =
      this.blocked ||
      mailbox.messages >= INBOUND_MARK.events * share ||
      // One message never stops the reading, however large: pings behind it are still seen, and answered.
      (mailbox.messages > 1 && mailbox.bytes >= INBOUND_MARK.bytes * share);
    if (full === this.paused) return false;
    this.paused = full;
    const now = this.clock.heard();
    if (full) {
      this.peer.pause(now);
      this.transport.pause();
    } else {
      this.peer.resume(now);
      this.reschedule();
      this.transport.resume();
    }
    return !full;
  }

  private limitMailbox(): void {
    const { mailbox } = this;
    const bytes = this.context.options.maxMessageSize + UNPAUSABLE_LIMIT.extraBytes;
    if (mailbox.messages <= UNPAUSABLE_LIMIT.events && mailbox.bytes <= bytes) return;
    this.failed(
      new ProtocolError(CLOSE.policyViolation, "the client sends messages faster than the handler handles them"),
    );
  }

  // --- the end

  /** The end is decided: the wire is closed now. `terminate` is for the caller, who knows whose stack this is. */
  private finish(reason: CloseReason, code: number | undefined, text: string, abort = false): void {
    // It is decided once: whoever was told of an error, for one, may have come first.
    if (this.phase !== OPEN) return;
    this.phase = ENDING;
    this.reason = reason;
    this.mailbox.clear();
    this.answerDrainWaiters(false);
    if (!this.gone) this.closeTransport(code, text, abort);
    this.limitCallback();
    this.reschedule();
    // Last: the listeners are the application's code.
    if (SessionSelf.hasSignal(this.self)) this.abortSignal();
  }

  /** Never by `enter`: a callback of this connection may be on the stack, below one of another that has stopped it. */
  private abortSignal(): void {
    const { asyncContext, self, reason } = this;
    if (asyncContext === undefined) SessionSelf.abort(self, reason);
    else asyncContext.run(SessionSelf.abort, SessionSelf, self, reason);
  }

  private closeTransport(code: number | undefined, text: string, abort: boolean): void {
    if (abort) {
      this.transport.abort();
      return;
    }
    this.cutAt = this.clock.now() + this.context.options.closeTimeout;
    this.transport.close(code, text);
    if (!this.paused) return;
    this.paused = false;
    this.transport.resume();
  }

  /** Calls `terminate` if the end is decided and no callback is pending. */
  private terminateWhenFree(): void {
    if (this.phase === ENDING && this.running === undefined) this.terminate();
  }

  /** A pending callback has `closeTimeout` from now on, or from when it was called if that was later. */
  private limitCallback(): void {
    if (this.running === undefined || this.giveUpAt !== undefined) return;
    this.giveUpAt = this.clock.now() + this.context.options.closeTimeout;
    this.reschedule();
  }

  private giveUp(): void {
    this.giveUpAt = undefined;
    if (this.phase === ENDED) {
      this.terminating = false;
      this.checkDone();
      return;
    }
    const { running } = this;
    this.report(new Error(`"${running}" did not settle within "closeTimeout" and was abandoned`), running);
    this.running = undefined;
    this.giveUpAt = undefined;
    if (this.phase === OPEN) this.finishAsPeerDid();
    this.terminateWhenFree();
  }

  private terminate(): void {
    if (this.acting) return;
    if (this.outside) {
      this.enter(this.terminate, this);
      return;
    }
    const { callbacks, state } = this;
    this.phase = ENDED;
    this.state = undefined;
    if (this.hasState && callbacks.terminate !== undefined) {
      // The wire may go from within: that is not the end yet.
      this.terminating = true;
      try {
        const result = callbacks.terminate.call(this.target, this.reason, state, this.self);
        this.terminating = isPromiseLike(result);
        if (this.terminating) this.awaitTerminate(result as PromiseLike<unknown>);
      } catch (error) {
        this.terminating = false;
        this.report(error, "terminate");
      }
    }
    this.checkDone();
  }

  private awaitTerminate(result: PromiseLike<unknown>): void {
    const done = (): void => {
      this.terminating = false;
      this.checkDone();
    };
    this.giveUpAt = this.clock.now() + this.context.options.closeTimeout;
    this.reschedule();
    Promise.resolve(result).then(done, (error) => {
      this.report(error, "terminate");
      done();
    });
  }

  private checkDone(): void {
    if (this.phase !== ENDED || !this.gone || this.terminating || this.done) return;
    this.done = true;
    this.clock.cancel(this);
    this.context.onEnd?.(this);
  }

  // --- time

  tick(now: number): void {
    if (now >= (this.giveUpAt ?? NEVER)) this.giveUp();
    if (now >= (this.cutAt ?? NEVER)) {
      this.cutAt = undefined;
      this.transport.abort();
    }
    if (this.phase === OPEN && !this.gone) this.watch();
    this.terminateWhenFree();
    this.reschedule();
  }

  private watch(): void {
    const { options } = this.context;
    if (this.isStalled()) {
      this.slowConsumer(`the client read nothing for ${options.timeout} ms`);
      return;
    }
    if (!this.watchesIdle) return;
    const now = this.clock.heard();
    if (this.peer.isIdle(now, options)) this.idle();
    else if (this.canPing && this.peer.isSilent(now, options)) this.ping(now);
  }

  /** What is known of the peer, with when it was heard last. */
  private get peer(): Liveness {
    this.liveness.received(this.heardAt);
    return this.liveness;
  }

  private isStalled(): boolean {
    const { buffered, taken } = this.transport;
    const { options } = this.context;
    return this.liveness.isStalled(this.clock.heard(), options, buffered, taken);
  }

  private ping(now: number): void {
    const send = this.transport.buffered === 0;
    this.liveness.ping(now, send);
    if (send) this.transport.send("ping", HEARTBEAT, HEARTBEAT.length);
  }

  /** Of a peer that has closed, nothing more is to be expected; and some hosts watch by themselves. */
  private get watchesIdle(): boolean {
    return !this.remoteClosed && this.transport.capabilities.idleClock;
  }

  private get canPing(): boolean {
    return this.transport.capabilities.control;
  }

  /** Has the clock look at the deadlines when the first of them comes. */
  private reschedule(): void {
    if (this.done) return;
    const { options } = this.context;
    let next = Math.min(this.giveUpAt ?? NEVER, this.cutAt ?? NEVER);
    if (this.phase === OPEN && !this.gone) {
      const unheard = this.clock.now() - this.clock.heard();
      next = Math.min(next, this.peer.next(options, this.watchesIdle, this.canPing) + unheard);
    }
    this.clock.schedule(this, next);
  }

  private report(error: unknown, callback: CallbackName | undefined): void {
    const { callbacks, facts, self } = this;
    this.context.onError(error, {
      callback,
      id: self.id,
      connection: facts,
      handler: callbacks.name,
      path: facts.path,
    });
  }
}

const returnIt: Callback = (result) => result;

const throwIt: Callback = (error) => {
  throw error;
};

export const isPromiseLike = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
