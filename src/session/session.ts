/**
 * The session: everything between a handler's callbacks and a host's transport, the same on every host.
 *
 * It calls one callback at a time, interprets results, decides when and why a connection ends, applies backpressure, and
 * keeps deadlines. It does no I/O: the transport, the clock and `onError` are given to it.
 *
 * ## The end of a connection
 *
 * | phase    | meaning                                                                                               |
 * |----------|-------------------------------------------------------------------------------------------------------|
 * | `OPEN`   | messages and infos are handled, results are applied                                                   |
 * | `ENDING` | the end is decided and our close frame is sent (or the transport aborted); a callback is still running |
 * | `ENDED`  | `terminate` has been called, or was not due because `init` had failed                                 |
 *
 * Two facts about the peer are independent of the phase: `closeReceived` (its close frame has arrived) and
 * `isDisconnected` (the transport is closed). A session that has `ENDED`, is disconnected and whose `terminate` has settled
 * is released.
 *
 * | event                                   | `OPEN`                                             | `ENDING`                   | `ENDED`                |
 * |-----------------------------------------|----------------------------------------------------|----------------------------|------------------------|
 * | stop, error, protocol error, timeout,   | the end is decided: `ENDING`, then `ENDED` as soon | ignored                    | ignored                |
 * | slow consumer, shutdown                 | as no callback is running                          |                            |                        |
 * | message, info                           | handled, or queued in the mailbox                  | dropped                    | dropped                |
 * | a pending callback settles              | its result is applied                              | its messages are dropped;  | –                      |
 * |                                         |                                                    | `ENDED`                    |                        |
 * | the peer's close frame                  | once the mailbox is empty, the end is "remote"     | recorded                   | recorded               |
 * | the transport is closed                 | once the mailbox is empty, ConnectionLost          | recorded                   | released               |
 * | `closeTimeout` of a pending callback    | after a close frame or a loss: abandoned, and the  | abandoned; `ENDED`         | `terminate` abandoned; |
 * |                                         | end is decided as if the mailbox were empty        |                            | released               |
 * | `closeTimeout` of the closing handshake | –                                                  | the transport is aborted   | the same               |
 */
import type { Capabilities } from "../capabilities.ts";
import { ConnectionLost, MailboxOverflow, ProtocolError, SlowConsumer } from "../errors.ts";
import type { ControlMessage, Messages, OutMessage } from "../message.ts";
import type { ResolvedOptions } from "../options.ts";
import type { ByteOps } from "../protocol/byte-ops.ts";
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
import { Ending } from "./ending.ts";
import type { Callback, CallbackName, Callbacks } from "./handler.ts";
import { HEARTBEAT, Liveness } from "./liveness.ts";
import { type Arrived, EMPTY_MAILBOX, Mailbox } from "./mailbox.ts";
import { checkCloseDetail, checkMessage, checkMessages, isPlainText } from "./outgoing.ts";
import type { OnError } from "./report.ts";
import { isPush, isResult, refuseResult, stateOf } from "./result-shape.ts";
import { type ConnectionFacts, type SessionHandle, SessionSelf } from "./self.ts";

/** Reading is paused while more than this waits in the mailbox; it resumes at half of it. */
const INBOUND_HIGH_WATER_MARK = { events: 1024, bytes: 65_536 } as const;

/** Where the host cannot pause reading: the limit of the mailbox, in messages, and in bytes beyond one message. */
const UNPAUSABLE_LIMIT = { events: 65_536, extraBytes: 1024 * 1024 } as const;

/** While more bytes than this are buffered for the peer, none of its messages is read or handled. */
const OUTBOUND_HIGH_WATER_MARK = 65_536;

/** More infos than this in a mailbox end the connection. */
const MAX_INFOS = 65_536;

const NEVER = Number.POSITIVE_INFINITY;

const OPEN = 0;
const ENDING = 1;
const ENDED = 2;

// The bits of `Session.hold`.
/** More than the outbound high-water mark is buffered: nothing is read until the peer catches up. See `canHandle`. */
const BLOCKED = 1;
/** The current code does not run in the connection's AsyncLocalStorage context, which must be entered to call a callback. */
const OUTSIDE = 2;
/** The application's own code has called `self.push` or `self.stop`, which has not returned: no callback may be called. */
const ACTING = 4;
/** What a message has to wait for, or requires a detour. */
const HELD = BLOCKED | OUTSIDE;

/** What all sessions of a host with the same options share. */
export interface SessionContext {
  readonly capabilities: Pick<Capabilities, "answersClose" | "control" | "idleClock" | "pause">;
  readonly options: ResolvedOptions;
  readonly clock: Clock;
  readonly byteOps: ByteOps;
  readonly onError: OnError;
  /** The connection was asked for its id for the first time. */
  readonly onIdentified?: (session: Session, id: string) => void;
  /** The session is released: see the table above. */
  readonly onEnd?: (session: Session) => void;
}

export class Session implements TransportEvents, Timed, SessionHandle {
  // First the fields that every message needs, next to each other: they share a cache line.
  private readonly clock: Clock;
  /** When something arrived last. Set for each message, and passed on to {@link liveness} when that is asked. */
  private activeAt: number;
  private mailbox: Mailbox = EMPTY_MAILBOX;
  private phase: typeof OPEN | typeof ENDING | typeof ENDED = OPEN;
  /** The callback that is running, or whose promise is pending. */
  private running: CallbackName | undefined = undefined;
  /** {@link BLOCKED}, {@link OUTSIDE} and {@link ACTING}. One field, because it is read for every message. */
  private hold = 0;
  /** The handler: the object on which {@link callbacks} are called. */
  private readonly target: Callbacks["target"];
  private state: unknown = undefined;
  readonly self: SessionSelf;
  /** When the pending callback is abandoned; `undefined`: never. (A field that holds `Infinity` would need a heap number.) */
  private abandonAt: number | undefined = undefined;
  /** `init` has returned a state: from now on, the end calls `terminate`. */
  private hasState = false;
  private readonly transport: Transport;
  private closeReceived = false;
  private isDisconnected = false;

  slot = 0;
  private readonly context: SessionContext;
  private readonly callbacks: Callbacks;
  private readonly liveness: Liveness;
  /** The AsyncLocalStorage context of the `upgrade` call. */
  private readonly asyncContext: AsyncContext | undefined;
  /** Set when the end is decided. */
  private ending: Ending | undefined = undefined;
  /** The listeners of pending promises, created for the first of them. */
  private settlement: Settlement | undefined = undefined;
  /** The pending promises of `self.drained()`. */
  private drainWaiters: ((drained: boolean) => void)[] | undefined = undefined;
  private paused = false;
  private infosScheduled = false;
  private overflowed = false;
  private warnedOfInfo = false;

  constructor(
    callbacks: Callbacks,
    transport: Transport,
    facts: ConnectionFacts,
    context: SessionContext,
    asyncContext?: AsyncContext,
  ) {
    this.clock = context.clock;
    this.activeAt = this.clock.activeNow();
    this.target = callbacks.target;
    this.self = new SessionSelf(this, facts);
    this.transport = transport;
    this.context = context;
    this.callbacks = callbacks;
    this.liveness = new Liveness(this.activeAt);
    this.asyncContext = asyncContext;
    this.outside = asyncContext !== undefined;
  }

  runInContext<Target, Args extends unknown[]>(
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

  assumeContext<Target, Args extends unknown[]>(
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
    this.transport.open(this);
    this.runInContext(this.runInit, this, arg);
  }

  private runInit(arg: unknown): void {
    const { init } = this.callbacks;
    this.invoke("init", (argument, _state, self) => init.call(this.target, argument, self), arg);
    this.pump();
    this.reschedule();
  }

  /** Goes on with what {@link Transport.keep} has kept: `init` ran before, in another life of the process. */
  resume(state: unknown): void {
    this.transport.open(this);
    this.state = state;
    this.hasState = true;
    this.reschedule();
  }

  /** The server goes away (1001) or restarts (1012). */
  shutdown(code: typeof CLOSE.goingAway | typeof CLOSE.serviceRestart): void {
    this.end("shutdown", code, "");
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
    return this.ending?.reason;
  }

  get buffered(): number {
    return this.transport.buffered;
  }

  deliver(info: unknown): boolean {
    if (this.phase !== OPEN || this.closeReceived || this.isDisconnected || this.overflowed) return false;
    if (this.callbacks.handleInfo === undefined) {
      if (!this.warnedOfInfo)
        this.report(
          new TypeError('an info was dropped: the handler has no "handleInfo" to receive what self.send() sends'),
          "handleInfo",
        );
      this.warnedOfInfo = true;
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
    if (!this.infosScheduled) {
      this.infosScheduled = true;
      clock.defer(() => this.drainInfos());
    }
    return true;
  }

  private drainInfos(): void {
    this.infosScheduled = false;
    this.mailbox.releaseInfos();
    this.pump();
  }

  private overflow(): void {
    if (this.phase !== OPEN) return;
    const error = new MailboxOverflow(`more than ${MAX_INFOS} infos are waiting for "handleInfo"`);
    this.report(error, "handleInfo");
    this.end({ error }, CLOSE.internalError, "");
    this.terminateWhenFree();
  }

  /** `self.push`: sends now, whatever callback is running or pending. */
  pushNow(messages: Messages): boolean {
    checkMessages(messages, this.context.byteOps);
    if (this.phase !== OPEN || this.isDisconnected) return false;
    this.actNow(() => this.send(messages));
    return this.phase === OPEN && !this.isDisconnected;
  }

  /** `self.stop`: decides the end now, whatever callback is running or pending. */
  stopNow(reason: unknown, detail: StopDetail = {}): boolean {
    checkStopOptions(detail, "abort");
    const { messages = [], abort = false } = detail;
    const { code, text } = checkCloseDetail([detail.code ?? defaultCloseCode(reason), detail.text ?? null]);
    checkMessages(messages, this.context.byteOps);
    if (this.phase !== OPEN) return false;
    let decides!: boolean;
    this.actNow(() => {
      this.send(messages);
      decides = this.phase === OPEN; // unless its messages exceed `maxBuffered`
      this.end(isNormalStop(reason) ? "normal" : { error: reason }, code, text, abort);
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
    if ((this.phase === OPEN && !this.isDisconnected) || this.running !== undefined) return;
    this.clock.defer(() => {
      this.pump();
      this.terminateWhenFree();
    });
  }

  /** `self.drained`. */
  whenDrained(): Promise<boolean> {
    if (this.phase !== OPEN || this.isDisconnected) return Promise.resolve(false);
    if (this.transport.buffered <= OUTBOUND_HIGH_WATER_MARK) return Promise.resolve(true);
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

  onActivity(): void {
    this.activeAt = this.clock.coarseActiveNow();
    this.mailbox.markArrival();
  }

  /**
   * The way of nearly every event: one function, which engines make one piece with the handler, if it is called as a method
   * and there is no other. Then neither message nor result is ever made. Other results go through {@link interpret}.
   */
  onText(data: string, size: number): void {
    if (!this.isReady) {
      this.onTextSlow(data, size);
      return;
    }
    this.running = "handleIn";
    try {
      const result = this.target.handleIn({ opcode: "text", data }, this.state, this.self);
      if (!isPush(result)) this.interpret(result, "handleIn");
      else if (this.accept(result[2])) this.send(result[1]);
    } catch (error) {
      this.crash(error, "handleIn");
    }
    this.terminateWhenFree();
    this.afterArrival();
  }

  /** The slow path of {@link onText}. It is a function of its own, so that {@link onText} stays small enough to be inlined. */
  private onTextSlow(data: string, size: number): void {
    if (this.outside) this.runInContext(this.onText, this, data, size);
    else this.arrive({ opcode: "text", data }, size);
  }

  onBinary(data: Uint8Array<ArrayBuffer>): void {
    this.arrive({ opcode: "binary", data }, data.length);
  }

  onControl(message: ControlMessage): void {
    if (this.liveness.takesPong(message)) return;
    // A ping has been answered: a peer that sends pings and does not read holds itself back like any other.
    this.noteOutbound();
    if (this.callbacks.handleControl !== undefined) this.arrive(message, message.data.length);
  }

  onClose(code: number | undefined, text: string): void {
    const { facts } = this;
    facts.closeCode = code;
    facts.closeText = text;
    if (this.phase !== OPEN) return;
    this.closeReceived = true;
    this.startCloseTimeout();
    this.pump();
  }

  onProtocolError(error: ProtocolError): void {
    this.end({ error }, error.code, error.message);
    this.terminateWhenFree();
  }

  onDrain(): void {
    if (this.drainWaiters !== undefined && this.transport.buffered <= OUTBOUND_HIGH_WATER_MARK)
      this.answerDrainWaiters(true);
    if (!this.blocked) return;
    if (this.transport.buffered <= OUTBOUND_HIGH_WATER_MARK / 2) this.blocked = false;
    this.pump();
  }

  onIdle(): void {
    this.end("timeout", CLOSE.goingAway, "idle timeout");
    this.terminateWhenFree();
  }

  onHostStop(): void {
    this.shutdown(CLOSE.goingAway);
  }

  onDisconnect(): void {
    if (this.isDisconnected) return;
    this.isDisconnected = true;
    if (this.ending !== undefined) this.ending.abortAt = undefined;
    this.answerDrainWaiters(false);
    if (this.phase === OPEN) {
      this.blocked = false;
      this.startCloseTimeout();
      this.pump();
    }
    this.releaseIfDone();
  }

  // --- events to callbacks

  /** Whether an event of the peer may be handled at once: a synchronous handler never queues anything. */
  private get isReady(): boolean {
    return this.phase === OPEN && this.running === undefined && (this.hold & HELD) === 0 && this.mailbox.isCaughtUp;
  }

  private get facts(): ConnectionFacts {
    return this.self.connection as ConnectionFacts;
  }

  private get blocked(): boolean {
    return (this.hold & BLOCKED) !== 0;
  }

  private set blocked(blocked: boolean) {
    this.hold = blocked ? this.hold | BLOCKED : this.hold & ~BLOCKED;
  }

  private get acting(): boolean {
    return (this.hold & ACTING) !== 0;
  }

  private set acting(acting: boolean) {
    this.hold = acting ? this.hold | ACTING : this.hold & ~ACTING;
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
    if (context.capabilities.answersClose && !this.closeReceived) return false;
    return transport.buffered + size <= context.options.maxBuffered;
  }

  /** Whether a message may be handled at once although {@link BLOCKED} is set, because nothing else prevents it. */
  private isReadyWhileBlocked(size: number): boolean {
    if ((this.hold & HELD) !== BLOCKED || this.phase !== OPEN || this.running !== undefined || !this.mailbox.isCaughtUp)
      return false;
    return this.canHandle(size);
  }

  private arrive(event: Arrived, size: number): void {
    if (this.isReady || this.isReadyWhileBlocked(size)) {
      this.handle(event);
      this.afterArrival();
    } else if (this.outside) this.runInContext(this.arrive, this, event, size);
    else this.queue(event, size);
  }

  /** Only a transport that answers within `send` brings more in the meantime. */
  private afterArrival(): void {
    if (this.mailbox.messages > 0 || this.closeReceived || this.isDisconnected) this.pump();
  }

  private queue(event: Arrived, size: number): void {
    if (this.phase !== OPEN) return;
    this.ownMailbox.addMessage(event, size);
    if (this.context.capabilities.pause) this.updateReading();
    else this.limitMailbox();
  }

  private get ownMailbox(): Mailbox {
    if (this.mailbox === EMPTY_MAILBOX) this.mailbox = new Mailbox();
    return this.mailbox;
  }

  /** Handles what waits, in order, until there is nothing, or a callback is pending. */
  private pump(): void {
    if (this.outside) {
      this.runInContext(this.pump, this);
      return;
    }
    do {
      while (this.phase === OPEN && this.running === undefined && !this.acting) {
        const held = this.blocked && !this.canHandle(this.mailbox.nextSize);
        const event = held ? undefined : this.mailbox.takeMessage();
        if (event !== undefined) this.handle(event);
        else if (this.mailbox.hasInfo) this.invoke("handleInfo", this.callbacks.handleInfo!, this.mailbox.takeInfo());
        else break;
      }
    } while (this.phase === OPEN && this.updateReading());
    if (this.phase !== OPEN || this.running !== undefined || this.acting || this.mailbox.messages > 0) return;
    if (!this.closeReceived && !this.isDisconnected) return;
    this.endByPeer();
    this.terminateWhenFree();
  }

  /** All that the peer had sent is handled. */
  private endByPeer(): void {
    if (this.closeReceived) this.end("remote", this.facts.closeCode, "");
    else this.end({ error: new ConnectionLost() }, undefined, "");
  }

  private handle(event: Arrived): void {
    if (event.opcode === "text" || event.opcode === "binary") this.invoke("handleIn", this.target.handleIn, event);
    else this.invoke("handleControl", this.callbacks.handleControl!, event);
  }

  private invoke(name: CallbackName, callback: Callback, argument: unknown): void {
    if (this.outside) {
      this.runInContext(this.invoke, this, name, callback, argument);
      return;
    }
    this.running = name;
    try {
      this.interpret(callback.call(this.target, argument, this.state, this.self), name);
    } catch (error) {
      this.crash(error, name);
    }
    this.terminateWhenFree();
  }

  private interpret(result: unknown, name: CallbackName): void {
    if (!isResult(result)) this.awaitResult(result, name);
    else if (this.accept(stateOf(result))) this.apply(result);
  }

  /** A callback has returned. `false`: the end was decided meanwhile, and what it wants to send is dropped. */
  private accept(state: unknown): boolean {
    this.running = undefined;
    this.abandonAt = undefined;
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
    if (this.closeReceived || this.isDisconnected) this.startCloseTimeout();
    this.settlement ??= {
      fulfilled: (result) => this.runInContext(this.settle, this, returnIt, result),
      rejected: (error) => this.runInContext(this.settle, this, throwIt, error),
    };
    Promise.resolve(promise).then(this.settlement.fulfilled, this.settlement.rejected);
  }

  private settle(outcome: Callback, value: unknown): void {
    if (this.phase === ENDED) return;
    this.invoke(this.running!, outcome, value);
    this.pump();
  }

  private crash(error: unknown, callback: CallbackName): void {
    // Nothing else is handled until the end is decided: whoever is told of the error may cause more to arrive.
    this.report(error, callback);
    this.running = undefined;
    // From then on it is the deadline of `terminate`.
    if (this.phase !== ENDED) this.abandonAt = undefined;
    // The error's text is for us to see, not for the client.
    this.end({ error }, CLOSE.internalError, "");
  }

  // --- results to the wire

  private apply(result: HandleResult<unknown>): void {
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
    this.end(isNormalStop(reason) ? "normal" : { error: reason }, code, text);
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
    const size = checkMessage(message, this.context.byteOps);
    if (this.phase !== OPEN || this.isDisconnected || !this.hasRoom(size)) return;
    this.transport.send(message.opcode, message.data ?? "", size);
  }

  /** Any string may be sent. */
  private sendText(text: string): void {
    // A host that takes it at once need not know its size.
    if (this.phase !== OPEN || this.isDisconnected || this.transport.sendText?.(text)) return;
    const size = ioLength(text, this.context.byteOps);
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
    this.end({ error: new SlowConsumer(message) }, CLOSE.tryAgainLater, "");
  }

  // --- backpressure

  private noteOutbound(): void {
    if (
      this.blocked ||
      this.phase !== OPEN ||
      this.isDisconnected ||
      this.transport.buffered <= OUTBOUND_HIGH_WATER_MARK
    )
      return;
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
      mailbox.messages >= INBOUND_HIGH_WATER_MARK.events * share ||
      // One message never stops the reading, however large: pings behind it are still seen, and answered.
      (mailbox.messages > 1 && mailbox.bytes >= INBOUND_HIGH_WATER_MARK.bytes * share);
    if (full === this.paused) return false;
    this.paused = full;
    const now = this.clock.activeNow();
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
    this.onProtocolError(
      new ProtocolError(CLOSE.policyViolation, "the client sends messages faster than the handler handles them"),
    );
  }

  // --- the end

  /** The end is decided: the wire is closed now. `terminate` is for the caller, who knows whose stack this is. */
  private end(reason: CloseReason, code: number | undefined, text: string, abort = false): void {
    // It is decided once: whoever was told of an error, for one, may have come first.
    if (this.phase !== OPEN) return;
    this.phase = ENDING;
    this.ending = new Ending(reason);
    this.mailbox.clear();
    this.answerDrainWaiters(false);
    if (!this.isDisconnected) this.closeTransport(code, text, abort);
    this.startCloseTimeout();
    this.reschedule();
    // Last: the listeners are the application's code.
    if (SessionSelf.hasSignal(this.self)) this.abortSignal();
  }

  /** Never by `enter`: a callback of this connection may be on the stack, below one of another that has stopped it. */
  private abortSignal(): void {
    const { asyncContext, self } = this;
    const { reason } = this.ending!;
    if (asyncContext === undefined) SessionSelf.abort(self, reason);
    else asyncContext.run(SessionSelf.abort, SessionSelf, self, reason);
  }

  private closeTransport(code: number | undefined, text: string, abort: boolean): void {
    if (abort) {
      this.transport.abort();
      return;
    }
    this.ending!.abortAt = this.clock.now() + this.context.options.closeTimeout;
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
  private startCloseTimeout(): void {
    if (this.running === undefined || this.abandonAt !== undefined) return;
    this.abandonAt = this.clock.now() + this.context.options.closeTimeout;
    this.reschedule();
  }

  private abandonCallback(): void {
    this.abandonAt = undefined;
    if (this.phase === ENDED) {
      this.ending!.isTerminating = false;
      this.releaseIfDone();
      return;
    }
    const { running } = this;
    this.report(new Error(`"${running}" did not settle within "closeTimeout" and was abandoned`), running);
    this.running = undefined;
    this.abandonAt = undefined;
    if (this.phase === OPEN) this.endByPeer();
    this.terminateWhenFree();
  }

  private terminate(): void {
    if (this.acting) return;
    if (this.outside) {
      this.runInContext(this.terminate, this);
      return;
    }
    const { callbacks, state } = this;
    const ending = this.ending!;
    this.phase = ENDED;
    this.state = undefined;
    if (this.hasState && callbacks.terminate !== undefined) {
      // The transport may be closed by a call within `terminate`: the session is not released then.
      ending.isTerminating = true;
      try {
        const result = callbacks.terminate.call(this.target, ending.reason, state, this.self);
        ending.isTerminating = isPromiseLike(result);
        if (ending.isTerminating) this.awaitTerminate(result as PromiseLike<unknown>);
      } catch (error) {
        ending.isTerminating = false;
        this.report(error, "terminate");
      }
    }
    this.releaseIfDone();
  }

  private awaitTerminate(result: PromiseLike<unknown>): void {
    const done = (): void => {
      this.ending!.isTerminating = false;
      this.releaseIfDone();
    };
    this.abandonAt = this.clock.now() + this.context.options.closeTimeout;
    this.reschedule();
    Promise.resolve(result).then(done, (error) => {
      this.report(error, "terminate");
      done();
    });
  }

  private releaseIfDone(): void {
    const { ending } = this;
    if (this.phase !== ENDED || !this.isDisconnected || ending!.isTerminating || ending!.isReleased) return;
    ending!.isReleased = true;
    this.clock.cancel(this);
    this.context.onEnd?.(this);
  }

  // --- time

  tick(now: number): void {
    if (now >= (this.abandonAt ?? NEVER)) this.abandonCallback();
    const { ending } = this;
    if (now >= (ending?.abortAt ?? NEVER)) {
      ending!.abortAt = undefined;
      this.transport.abort();
    }
    if (this.phase === OPEN && !this.isDisconnected) this.watch();
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
    const now = this.clock.activeNow();
    if (this.peer.isIdle(now, options)) this.onIdle();
    else if (this.canPing && this.peer.isSilent(now, options)) this.ping(now);
  }

  /** What is known of the peer, with when it was heard last. */
  private get peer(): Liveness {
    this.liveness.received(this.activeAt);
    return this.liveness;
  }

  private isStalled(): boolean {
    const { buffered, bytesFlushed: taken } = this.transport;
    const { options } = this.context;
    return this.liveness.isStalled(this.clock.activeNow(), options, buffered, taken);
  }

  private ping(now: number): void {
    const send = this.transport.buffered === 0;
    this.liveness.ping(now, send);
    if (send) this.transport.send("ping", HEARTBEAT, HEARTBEAT.length);
  }

  /** Of a peer that has closed, nothing more is to be expected; and some hosts watch by themselves. */
  private get watchesIdle(): boolean {
    return !this.closeReceived && this.context.capabilities.idleClock;
  }

  private get canPing(): boolean {
    return this.context.capabilities.control;
  }

  /** Has the clock look at the deadlines when the first of them comes. */
  private reschedule(): void {
    if (this.ending?.isReleased) return;
    const { options } = this.context;
    let next = Math.min(this.abandonAt ?? NEVER, this.ending?.abortAt ?? NEVER);
    if (this.phase === OPEN && !this.isDisconnected) {
      const unheard = this.clock.now() - this.clock.activeNow();
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

interface Settlement {
  readonly fulfilled: (result: unknown) => void;
  readonly rejected: (error: unknown) => void;
}

const returnIt: Callback = (result) => result;

const throwIt: Callback = (error) => {
  throw error;
};

export const isPromiseLike = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
