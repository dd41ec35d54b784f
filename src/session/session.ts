/**
 * The session: the object between a handler and a transport. There is one for each connection, and it is the same on
 * every host.
 *
 * It calls one callback at a time, applies the results, decides when and why a connection ends, applies backpressure,
 * and enforces timeouts. It does no I/O: its constructor receives the transport, the clock and `onError`.
 *
 * ## The end of a connection
 *
 * | phase    | meaning                                                                                               |
 * |----------|-------------------------------------------------------------------------------------------------------|
 * | `OPEN`   | messages and infos are handled, results are applied                                                   |
 * | `ENDING` | the end is decided: the close frame is sent, or the transport aborted; `terminate` is not called yet  |
 * | `ENDED`  | `terminate` has been called. (If `init` failed, it is not called, and the phase begins without it.)   |
 *
 * Besides the phase, the session records two facts: `closeReceived` (the close frame of the peer arrived while the
 * phase was `OPEN`; one that arrives later only sets the code and text in `self.connection`), and `isDisconnected` (the
 * transport is closed). A session is released when its phase is `ENDED`, its transport is closed, and `terminate` is
 * not pending: it has settled or was abandoned, or was never called because `init` failed.
 *
 * | event                            | `OPEN`                                 | `ENDING`         | `ENDED`        |
 * |----------------------------------|----------------------------------------|------------------|----------------|
 * | stop, error, protocol error,     | the end is decided: `ENDING`, then     | ignored          | ignored        |
 * | timeout, slow consumer, shutdown | `ENDED` as soon as no callback is      |                  |                |
 * |                                  | running or pending                     |                  |                |
 * | message                          | handled, or queued in the mailbox      | dropped          | dropped        |
 * | info                             | the same; dropped after the peer's     | dropped          | dropped        |
 * |                                  | close frame, or if disconnected        |                  |                |
 * | a pending callback settles       | its result is applied                  | its messages are | ignored        |
 * |                                  |                                        | dropped; `ENDED` | (abandoned)    |
 * | the peer's close frame           | as soon as no message is queued and no | recorded         | recorded       |
 * |                                  | callback is pending, the end is        |                  |                |
 * |                                  | "remote"                               |                  |                |
 * | the transport is closed          | as soon as no message is queued and no | recorded         | released       |
 * |                                  | callback is pending, the end is        |                  |                |
 * |                                  | ConnectionLost                         |                  |                |
 * | `closeTimeout` of a pending      | after a close frame or a loss: the     | the callback is  | `terminate` is |
 * | callback                         | callback is abandoned, and the end is  | abandoned;       | abandoned;     |
 * |                                  | decided as if no message were queued   | `ENDED`          | released       |
 * | `closeTimeout` of the closing    | –                                      | the transport is | the same       |
 * | handshake                        |                                        | aborted          |                |
 */

import type { Capabilities } from "../capabilities.ts";
import { codedError, codedTypeError } from "../error-codes.ts";
import { connectionLost, MailboxOverflow, ProtocolError, SlowConsumer } from "../errors.ts";
import type { ControlMessage, Messages, Opcode, OutMessage } from "../message.ts";
import type { ResolvedOptions } from "../options.ts";
import { isPromiseLike } from "../promise-like.ts";
import type { ByteOps } from "../protocol/byte-ops.ts";
import { CLOSE } from "../protocol/close.ts";
import { ioLength } from "../protocol/io-data.ts";
import type { SharedSlice } from "../protocol/shared-messages.ts";
import {
  type CloseDetail,
  checkStopOptions,
  defaultCloseCode,
  type HandleResult,
  isNormalStop,
  type StopDetail,
} from "../result.ts";
import type { StoredTopics, Transport, TransportEvents } from "../transport.ts";
import type { CloseReason } from "../websock.ts";
import type { AsyncContext } from "./async-context.ts";
import { type Clock, NEVER, type Timed } from "./clock.ts";
import { Ending } from "./ending.ts";
import { Extensions, type SessionListener } from "./extensions.ts";
import type { Callback, CallbackName, Callbacks } from "./handler.ts";
import { HEARTBEAT, Liveness, QUIET } from "./liveness.ts";
import { EMPTY_MAILBOX, type InboundMessage, Mailbox } from "./mailbox.ts";
import type { Waiting } from "./observed/counts.ts";
import { checkCloseDetail, checkMessage, checkMessages, isPlainText } from "./outgoing.ts";
import type { OnError } from "./report.ts";
import { isPush, isResult, refuseResult, stateOf } from "./result-shape.ts";
import { type ConnectionFacts, SessionSelf, type TopicHome, type TopicSession } from "./self.ts";

/** Reading is paused when this much is queued in the mailbox, and resumed when less than half of it is left. */
const INBOUND_HIGH_WATER_MARK = { messages: 1024, bytes: 65_536 } as const;

/**
 * The limits of the mailbox on hosts that can't pause reading: this many messages, and `maxMessageSize` plus
 * `extraBytes` bytes.
 */
const UNPAUSABLE_LIMIT = { messages: 65_536, extraBytes: 1024 * 1024 } as const;

/**
 * When more bytes than this are buffered for the peer, its messages are neither read nor handled until at most half of
 * this number is left. `canHandle` describes the exceptions.
 */
const OUTBOUND_HIGH_WATER_MARK = 65_536;

/** Answers wait at most this long for those to the messages behind them, in milliseconds. See `awaitsAnswers`. */
const MAX_ANSWER_DELAY = 2;

/** A mailbox with more infos than this ends the connection. */
const MAX_INFOS = 65_536;

const OPEN = 0;
const ENDING = 1;
const ENDED = 2;

// The bits of `Session.flags`.
/** More than the outbound high-water mark is buffered: the peer's messages are held back. See `canHandle`. */
const BLOCKED = 1;
/**
 * The current code runs outside the connection's AsyncLocalStorage context, which must be entered to call a callback.
 */
const OUTSIDE_CONTEXT = 2;
/**
 * Set while `self.push`, `self.stop` or a topic sends to this connection or ends it: no callback may be called on the
 * stack of that call.
 */
const IN_SELF_CALL = 4;
/** `Callbacks.finish` has been called. */
const FINISHED = 8;
/** If one of these bits is set, a message can't be handled on the fast path. */
const NOT_READY = BLOCKED | OUTSIDE_CONTEXT;

/** What sessions on the same host can share if they have the same options. */
export interface SessionEnvironment {
  readonly capabilities: Pick<
    Capabilities,
    "answersClose" | "control" | "crossConnection" | "host" | "idleClock" | "pause"
  >;
  readonly options: ResolvedOptions;
  readonly clock: Clock;
  readonly byteOps: ByteOps;
  readonly onError: OnError;
  /** Called when `self.id` is read for the first time, or an adapter restores it. */
  readonly onIdentified?: (session: Session, id: string) => void;
  /** Called when `init` has returned, and its messages are sent, unless the end is decided. */
  readonly onInitialized?: () => void;
  /** Called when a message or an info was added to the mailbox, with what now waits there. An info has no `opcode`. */
  readonly onQueued?: (messages: number, bytes: number, infos: number, opcode?: Opcode) => void;
  /** Called when the end is decided, with the number of messages in the mailbox, which are dropped. */
  readonly onDropped?: (messages: number) => void;
  /** Called when the session is released: see "The end of a connection" at the head of this file. */
  readonly onEnd?: (session: Session) => void;
  /** The Durable Object that the connections belong to, on hosts where connections can outlive the process. */
  readonly home?: TopicHome;
}

export class Session implements TransportEvents, Timed, TopicSession {
  // The fields that every message needs come first, so that they share a cache line.
  private readonly clock: Clock;
  /** When something was last received. */
  private activeAt: number;
  private mailbox: Mailbox = EMPTY_MAILBOX;
  private phase: typeof OPEN | typeof ENDING | typeof ENDED = OPEN;
  /** The callback that is running, or whose promise is pending. */
  private running: CallbackName | undefined = undefined;
  /**
   * The bits {@link BLOCKED}, {@link OUTSIDE_CONTEXT} and {@link IN_SELF_CALL}: one field, because every message reads
   * it.
   */
  private flags = 0;
  /** The handler, on which the {@link callbacks} are called. */
  private readonly target: Callbacks["target"];
  private state: unknown = undefined;
  readonly self: SessionSelf;
  /** When the pending callback is abandoned; `undefined`: never. (V8 would allocate a heap number for `Infinity`.) */
  private abandonAt: number | undefined = undefined;
  /** `init` has returned a state: `terminate` will be called. */
  private hasState = false;
  private readonly transport: Transport;
  private closeReceived = false;
  private isDisconnected = false;

  slot = 0;
  private readonly environment: SessionEnvironment;
  private readonly callbacks: Callbacks;
  private liveness: Liveness = QUIET;
  /** The AsyncLocalStorage context of the `upgrade` call. */
  private readonly asyncContext: AsyncContext | undefined;
  /** Set when the end is decided. */
  private ending: Ending | undefined = undefined;
  /** The functions that are passed to `then` of pending promises. Created for the first promise. */
  private settlement: Settlement | undefined = undefined;
  /** Created when the connection first waits in `self.drained()` or subscribes to a topic. */
  private extensions: Extensions | undefined = undefined;
  private paused = false;
  private reportedMissingHandleInfo = false;

  constructor(
    callbacks: Callbacks,
    transport: Transport,
    facts: ConnectionFacts,
    environment: SessionEnvironment,
    asyncContext?: AsyncContext,
  ) {
    this.clock = environment.clock;
    this.activeAt = this.clock.activeNow();
    this.target = callbacks.target;
    this.self = new SessionSelf(this, facts);
    this.transport = transport;
    this.environment = environment;
    this.callbacks = callbacks;
    this.asyncContext = asyncContext;
    this.outsideContext = asyncContext !== undefined;
  }

  runInContext<Target, A, B, C>(
    task: (this: Target, a: A, b: B, c: C) => void,
    target: Target,
    a?: A,
    b?: B,
    c?: C,
  ): void {
    if (!this.outsideContext) {
      task.call(target, a as A, b as B, c as C);
      return;
    }
    this.outsideContext = false;
    try {
      this.asyncContext!.run(task, target, a, b, c);
    } finally {
      this.outsideContext = true;
    }
  }

  assumeContext<Target, A, B>(task: (this: Target, a: A, b: B) => void, target: Target, a?: A, b?: B): void {
    const { outsideContext } = this;
    this.outsideContext = false;
    try {
      task.call(target, a as A, b as B);
    } finally {
      this.outsideContext = outsideContext;
    }
  }

  /** Opens the transport and calls `init`. */
  start(arg: unknown): void {
    this.transport.open(this);
    this.runInContext(this.runInit, this, arg);
  }

  private runInit(arg: unknown): void {
    const { init } = this.callbacks;
    this.invoke("init", (argument, _state, self) => init.call(this.target, argument, self), arg);
    if (this.hasState) this.notifyOpen();
    this.pump();
    this.reschedule();
  }

  /**
   * Continues with a state that {@link Transport.keep} has stored: `init` ran earlier, before the process hibernated.
   */
  resume(state: unknown): void {
    this.transport.open(this);
    this.state = state;
    this.hasState = true;
    this.reschedule();
  }

  /** Closes the connection because the server is shutting down (1001) or restarting (1012). */
  shutdown(code: typeof CLOSE.goingAway | typeof CLOSE.serviceRestart): void {
    this.endAndTerminate("shutdown", code, "");
  }

  /** Closes the connection without a closing handshake. */
  abort(): void {
    this.transport.abort();
  }

  /**
   * Ends a session whose connection has been ended by another session, which runs in the main thread (`isolate/`).
   *
   * @param reason why it ended
   * @param abandon do not wait for the pending callback: that was done there
   */
  endAs(reason: CloseReason, abandon: boolean): void {
    this.isDisconnected = true;
    if (abandon && this.phase === OPEN) this.running = undefined;
    this.end(reason, undefined, "");
    this.terminateIfReady();
    this.releaseIfDone();
  }

  // --- calls of `self`

  get endDecided(): boolean {
    return this.phase !== OPEN;
  }

  get endedBy(): CloseReason | undefined {
    return this.ending?.reason;
  }

  get buffered(): number {
    this.extensions?.flush();
    return this.transport.buffered;
  }

  deliver(info: unknown): boolean {
    if (this.phase !== OPEN || this.closeReceived || this.isDisconnected || this.mailbox.overflowed) return false;
    if (this.callbacks.handleInfo === undefined) {
      if (!this.reportedMissingHandleInfo)
        this.report(
          codedTypeError(
            "WEBSOCK_INFO_DROPPED",
            'an info was dropped: the handler has no "handleInfo" to receive what self.send() sends',
          ),
          "handleInfo",
        );
      this.reportedMissingHandleInfo = true;
      return true;
    }
    const { clock } = this;
    if (this.mailbox.infos >= MAX_INFOS) {
      // Deferred: no callback runs on the sender's stack.
      this.mailbox.overflowed = true;
      clock.defer(() => this.overflow());
      return false;
    }
    const mailbox = this.ownMailbox;
    mailbox.addInfo(info);
    this.environment.onQueued?.(mailbox.messages, mailbox.bytes, mailbox.infos);
    if (!mailbox.releaseScheduled) {
      mailbox.releaseScheduled = true;
      clock.defer(() => this.drainInfos());
    }
    return true;
  }

  private drainInfos(): void {
    this.mailbox.releaseInfos();
    this.pump();
  }

  private overflow(): void {
    if (this.phase !== OPEN) return;
    const error = new MailboxOverflow(`more than ${MAX_INFOS} infos are waiting for "handleInfo"`);
    this.report(error, "handleInfo");
    this.end({ error }, CLOSE.internalError, "");
    this.terminateIfReady();
  }

  /** `self.push`: sends immediately, even while a callback is running or pending. */
  pushNow(messages: Messages): boolean {
    checkMessages(messages, this.environment.byteOps);
    if (this.phase !== OPEN || this.isDisconnected) return false;
    this.runSelfCall(() => this.send(messages));
    return this.phase === OPEN && !this.isDisconnected;
  }

  /** `self.stop`: decides the end immediately, even while a callback is running or pending. */
  stopNow(reason: unknown, detail: StopDetail = {}): boolean {
    checkStopOptions(detail, "abort");
    const { messages = [], abort = false } = detail;
    const { code, text } = checkCloseDetail([detail.code ?? defaultCloseCode(reason), detail.text ?? null]);
    checkMessages(messages, this.environment.byteOps);
    if (this.phase !== OPEN) return false;
    let decided!: boolean;
    this.runSelfCall(() => {
      this.send(messages);
      decided = this.phase === OPEN; // false if the messages exceeded `maxBuffered`, which has decided the end
      this.end(isNormalStop(reason) ? "normal" : { error: reason }, code, text, abort);
    });
    return decided;
  }

  /**
   * Performs an action that the application has requested by a call, such as `self.push`. No callback runs on the stack
   * of that call: callbacks that become due run in a later tick.
   */
  private runSelfCall(action: () => void): void {
    const { inSelfCall } = this;
    this.inSelfCall = true;
    try {
      action();
    } finally {
      this.inSelfCall = inSelfCall;
    }
    if ((this.phase === OPEN && !this.isDisconnected) || this.running !== undefined) return;
    this.clock.defer(() => {
      this.pump();
      this.terminateIfReady();
    });
  }

  /** What waits now, as telemetry reports it. */
  get waiting(): Waiting {
    const { messages, bytes, infos } = this.mailbox;
    return { messages, bytes, infos, buffered: this.isDisconnected ? 0 : this.transport.buffered };
  }

  /** `self.drained`. */
  whenDrained(): Promise<boolean> {
    const { buffered } = this;
    if (this.phase !== OPEN || this.isDisconnected) return Promise.resolve(false);
    if (buffered <= OUTBOUND_HIGH_WATER_MARK) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.extensions ??= new Extensions();
      this.extensions.drainWaiters.push(resolve);
    });
  }

  identified(id: string): void {
    this.environment.onIdentified?.(this, id);
  }

  // --- calls of topics

  get isInitialized(): boolean {
    return this.hasState;
  }

  get isolatedBy(): string | undefined {
    const { capabilities } = this.environment;
    return capabilities.crossConnection ? undefined : capabilities.host;
  }

  get maxBuffered(): number {
    return this.environment.options.maxBuffered;
  }

  get closeTimeout(): number {
    return this.environment.options.closeTimeout;
  }

  /** The number of messages that wait for the handler. */
  get waitingMessages(): number {
    return this.mailbox.messages;
  }

  /** Their size in bytes. */
  get waitingBytes(): number {
    return this.mailbox.bytes;
  }

  get waitingInfos(): number {
    return this.mailbox.infos;
  }

  get maxInfos(): number {
    return MAX_INFOS;
  }

  listen(listener: SessionListener): void {
    this.extensions ??= new Extensions();
    this.extensions.listeners.push(listener);
  }

  get unflushed(): number {
    return this.transport.buffered;
  }

  get byteOps(): ByteOps {
    return this.environment.byteOps;
  }

  get sharesFrames(): boolean {
    return this.transport.sendShared !== undefined;
  }

  sendChecked({ opcode, data }: OutMessage, size: number): void {
    if (this.phase !== OPEN || this.isDisconnected) return;
    this.runSelfCall(() => {
      this.transport.send(opcode, data ?? "", size);
      this.applyBackpressure();
    });
  }

  sendShared(slices: readonly SharedSlice[], flush: boolean): void {
    if (this.phase !== OPEN || this.isDisconnected) return;
    this.runSelfCall(() => {
      this.transport.sendShared!(slices, flush);
      this.applyBackpressure();
    });
  }

  endSlowConsumer(waiting: number, size: number): void {
    if (!this.isDisconnected) this.runSelfCall(() => this.endOverMaxBuffered(waiting, size));
  }

  defer(run: () => void): void {
    this.clock.defer(run);
  }

  get home(): TopicHome | undefined {
    return this.environment.home;
  }

  storeTopics(topics: StoredTopics): void {
    this.transport.keepTopics?.(topics);
  }

  reportError(error: unknown, callback?: CallbackName): void {
    this.report(error, callback);
  }

  private notifyOpen(): void {
    if (this.phase !== OPEN) return;
    this.environment.onInitialized?.();
    if (this.extensions !== undefined) for (const listener of this.extensions.listeners) listener.onOpen();
  }

  /** The listeners first: topics must not contain the connection when code that waited in `self.drained()` runs. */
  private closeExtensions(): void {
    const { extensions } = this;
    if (extensions === undefined) return;
    this.extensions = undefined;
    for (const listener of extensions.listeners) listener.onEnd();
    extensions.settleDrainWaiters(false);
  }

  // --- events of the transport

  onActivity(): void {
    this.activeAt = this.clock.coarseActiveNow();
    this.mailbox.markArrival();
  }

  /**
   * The fast path for text messages. Everything is in one function, and `handleIn` is called as a method, so that the
   * JIT can inline the handler (as long as the call site stays monomorphic); escape analysis then removes the
   * allocations of the message and the result. Results other than `push` go through {@link interpret}.
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
      else if (this.completeCallback(result[2])) this.send(result[1]);
    } catch (error) {
      this.endWithError(error, "handleIn");
    }
    this.terminateIfReady();
    this.pumpIfNeeded();
  }

  /** The slow path of {@link onText}. A separate function, so that {@link onText} stays small enough to be inlined. */
  private onTextSlow(data: string, size: number): void {
    if (this.outsideContext) this.runInContext(this.onText, this, data, size);
    else this.receive({ opcode: "text", data }, size);
  }

  /** Like {@link onText}. In one function for both, the JIT would not inline the handler. */
  onBinary(data: Uint8Array<ArrayBuffer>): void {
    if (!this.isReady) {
      this.receive({ opcode: "binary", data }, data.length);
      return;
    }
    this.running = "handleIn";
    try {
      const result = this.target.handleIn({ opcode: "binary", data }, this.state, this.self);
      if (!isPush(result)) this.interpret(result, "handleIn");
      else if (this.completeCallback(result[2])) this.send(result[1]);
    } catch (error) {
      this.endWithError(error, "handleIn");
    }
    this.terminateIfReady();
    this.pumpIfNeeded();
  }

  onControl(message: ControlMessage): void {
    if (this.liveness.consumePong(message)) {
      this.releaseLiveness();
      return;
    }
    // The answer to a ping counts as outbound: a peer that sends pings without reading is held back, too.
    this.applyBackpressure();
    if (this.callbacks.handleControl !== undefined) this.receive(message, message.data.length);
  }

  onClose(code: number | undefined, text: string): void {
    const { facts } = this;
    facts.closeCode = code;
    facts.closeText = text;
    if (this.phase !== OPEN) return;
    this.closeReceived = true;
    this.startAbandonTimeout();
    this.pump();
  }

  onProtocolError(error: ProtocolError): void {
    this.endAndTerminate({ error }, error.closeCode, error.closeText);
  }

  onDrain(): void {
    this.extensions?.onDrain(this.transport.buffered <= OUTBOUND_HIGH_WATER_MARK);
    if (!this.blocked) return;
    if (this.transport.buffered <= OUTBOUND_HIGH_WATER_MARK / 2) this.blocked = false;
    this.pump();
  }

  /**
   * While a promise is pending and messages are queued behind it, answers are sent together, as long as every
   * event-loop tick adds one: a write costs more than all other work for a short message. The first tick without a new
   * answer ends the wait.
   */
  awaitsAnswers(waiting: number): boolean {
    const { mailbox } = this;
    if (this.running === undefined || mailbox.messages === 0) {
      // Never of the shared `EMPTY_MAILBOX`.
      if (mailbox.delayedBytes > 0) mailbox.delayedBytes = 0;
      return false;
    }
    const { delayedBytes } = mailbox;
    mailbox.delayedBytes = 0;
    if (waiting <= delayedBytes) return false;
    const now = this.clock.now();
    if (delayedBytes === 0) mailbox.delayedSince = now;
    if (now - mailbox.delayedSince >= MAX_ANSWER_DELAY) return false;
    mailbox.delayedBytes = waiting;
    return true;
  }

  onIdle(): void {
    this.endAndTerminate("timeout", CLOSE.goingAway, "idle timeout");
  }

  onHostStop(): void {
    this.shutdown(CLOSE.goingAway);
  }

  onDisconnect(): void {
    if (this.isDisconnected) return;
    this.isDisconnected = true;
    if (this.ending !== undefined) this.ending.abortAt = undefined;
    this.extensions?.settleDrainWaiters(false);
    if (this.phase === OPEN) {
      this.blocked = false;
      this.startAbandonTimeout();
      this.pump();
    }
    this.releaseIfDone();
  }

  // --- events to callbacks

  /**
   * Whether a message can be handled immediately, instead of being queued. With a synchronous handler, it nearly always
   * can.
   */
  private get isReady(): boolean {
    return (
      this.phase === OPEN && this.running === undefined && (this.flags & NOT_READY) === 0 && this.mailbox.isCaughtUp
    );
  }

  private get facts(): ConnectionFacts {
    return this.self.connection as ConnectionFacts;
  }

  private get blocked(): boolean {
    return (this.flags & BLOCKED) !== 0;
  }

  private set blocked(blocked: boolean) {
    this.flags = blocked ? this.flags | BLOCKED : this.flags & ~BLOCKED;
  }

  private get inSelfCall(): boolean {
    return (this.flags & IN_SELF_CALL) !== 0;
  }

  private set inSelfCall(inSelfCall: boolean) {
    this.flags = inSelfCall ? this.flags | IN_SELF_CALL : this.flags & ~IN_SELF_CALL;
  }

  private get outsideContext(): boolean {
    return (this.flags & OUTSIDE_CONTEXT) !== 0;
  }

  private set outsideContext(outsideContext: boolean) {
    this.flags = outsideContext ? this.flags | OUTSIDE_CONTEXT : this.flags & ~OUTSIDE_CONTEXT;
  }

  /**
   * Whether a message of `size` bytes is handled although more than the outbound high-water mark is buffered. It is, if
   * a reply of the same size fits into `maxBuffered`, and either
   *
   * - the host, and not the library, answers the peer's close frame (`answersClose` is `false`). It would do so while
   *   messages are still held back, and the replies to those messages would be lost, or
   * - the peer has sent its close frame: it sends no more messages, so there is no reason to hold these back.
   */
  private canHandle(size: number): boolean {
    const { transport, environment } = this;
    if (environment.capabilities.answersClose && !this.closeReceived) return false;
    return transport.buffered + size <= environment.options.maxBuffered;
  }

  /** Like {@link isReady}, but with {@link BLOCKED} set: see {@link canHandle}. */
  private isReadyWhileBlocked(size: number): boolean {
    if (
      (this.flags & NOT_READY) !== BLOCKED ||
      this.phase !== OPEN ||
      this.running !== undefined ||
      !this.mailbox.isCaughtUp
    )
      return false;
    return this.canHandle(size);
  }

  private receive(event: InboundMessage, size: number): void {
    if (this.isReady || this.isReadyWhileBlocked(size)) {
      this.handle(event);
      this.pumpIfNeeded();
    } else if (this.outsideContext) this.runInContext(this.receive, this, event, size);
    else this.queue(event, size);
  }

  /** Handles what has arrived during a synchronous callback: a transport may report events from within `send`. */
  private pumpIfNeeded(): void {
    if (this.mailbox.messages > 0 || this.closeReceived || this.isDisconnected) this.pump();
  }

  private queue(event: InboundMessage, size: number): void {
    if (this.phase !== OPEN) return;
    const { environment, ownMailbox } = this;
    ownMailbox.addMessage(event, size);
    environment.onQueued?.(ownMailbox.messages, ownMailbox.bytes, ownMailbox.infos, event.opcode);
    if (environment.capabilities.pause) this.updateReading();
    else this.limitMailbox();
  }

  private get ownMailbox(): Mailbox {
    if (this.mailbox === EMPTY_MAILBOX) this.mailbox = new Mailbox();
    return this.mailbox;
  }

  /** Handles queued messages and infos in order, until none is due or a callback is pending. */
  private pump(): void {
    if (this.outsideContext) {
      this.runInContext(this.pump, this);
      return;
    }
    do {
      while (this.phase === OPEN && this.running === undefined && !this.inSelfCall) {
        const mustWait = this.blocked && !this.canHandle(this.mailbox.nextSize);
        const event = mustWait ? undefined : this.mailbox.takeMessage();
        if (event !== undefined) this.handle(event);
        else if (this.mailbox.hasInfo) this.invoke("handleInfo", this.callbacks.handleInfo!, this.mailbox.takeInfo());
        else break;
      }
    } while (this.phase === OPEN && this.updateReading());
    if (this.mailbox.isUnused) this.mailbox = EMPTY_MAILBOX;
    if (this.phase !== OPEN || this.running !== undefined || this.inSelfCall || this.mailbox.messages > 0) return;
    if (!this.closeReceived && !this.isDisconnected) return;
    if (this.callbacks.finish === undefined || (this.flags & FINISHED) !== 0) {
      this.endByPeer();
      this.terminateIfReady();
    } else {
      this.flags |= FINISHED;
      // Of its messages, some are not handled: if they never are, "handleIn" is what is reported as abandoned.
      this.invoke("handleIn", this.callbacks.finish, undefined);
      this.pump();
    }
  }

  /**
   * Decides the end after the peer has closed or disconnected. Messages that are still queued are dropped: there are
   * some only if a callback was abandoned.
   */
  private endByPeer(): void {
    if (this.closeReceived) this.end("remote", this.facts.closeCode, "");
    else this.end({ error: connectionLost() }, undefined, "");
  }

  private handle(event: InboundMessage): void {
    const { queuedHandleIn = this.target.handleIn } = this.callbacks;
    if (event.opcode === "text" || event.opcode === "binary") this.invoke("handleIn", queuedHandleIn, event);
    else this.invoke("handleControl", this.callbacks.handleControl!, event);
  }

  private invoke(name: CallbackName, callback: Callback, argument: unknown): void {
    if (this.outsideContext) {
      this.runInContext(this.invoke, this, name, callback, argument);
      return;
    }
    this.running = name;
    try {
      this.interpret(callback.call(this.target, argument, this.state, this.self), name);
    } catch (error) {
      this.endWithError(error, name);
    }
    this.terminateIfReady();
  }

  private interpret(result: unknown, name: CallbackName): void {
    if (!isResult(result)) this.awaitResult(result, name);
    else if (this.completeCallback(stateOf(result))) this.apply(result);
  }

  /**
   * Records that a callback has returned. `false`: the end was decided meanwhile, and the result's messages are
   * dropped.
   */
  private completeCallback(state: unknown): boolean {
    this.running = undefined;
    this.abandonAt = undefined;
    this.state = state;
    this.hasState = true;
    if (this.phase !== OPEN) return false;
    this.transport.keep?.(state);
    return true;
  }

  /**
   * Waits for a callback's promise. When it settles, its value or error is treated as if the callback had just returned
   * or thrown it, unless the callback was abandoned.
   *
   * @throws TypeError for a value that is neither a result nor a promise
   */
  private awaitResult(promise: unknown, name: CallbackName): void {
    if (!isPromiseLike(promise)) refuseResult(promise, name);
    if (this.closeReceived || this.isDisconnected) this.startAbandonTimeout();
    this.settlement ??= {
      fulfilled: (result) => this.runInContext(this.onFulfilled, this, result),
      rejected: (error) => this.runInContext(this.onRejected, this, error),
    };
    Promise.resolve(promise).then(this.settlement.fulfilled, this.settlement.rejected);
  }

  private onFulfilled(result: unknown): void {
    if (this.phase === ENDED) return;
    const name = this.running!;
    try {
      this.interpret(result, name);
    } catch (error) {
      this.endWithError(error, name);
    }
    this.onSettled(name);
  }

  private onRejected(error: unknown): void {
    if (this.phase === ENDED) return;
    const name = this.running!;
    this.endWithError(error, name);
    this.onSettled(name);
  }

  private onSettled(name: CallbackName): void {
    this.terminateIfReady();
    if (name === "init") this.notifyOpen();
    this.pump();
  }

  private endWithError(error: unknown, callback: CallbackName): void {
    // Before `running` is cleared: `onError` may cause events, which must not be handled until the end is decided.
    this.report(error, callback);
    this.running = undefined;
    // In phase ENDED, `abandonAt` is the deadline of `terminate`.
    if (this.phase !== ENDED) this.abandonAt = undefined;
    // No text: an error message must not be revealed to the client.
    this.end({ error }, CLOSE.internalError, "");
  }

  // --- results to the transport

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
    this.extensions?.flush();
    if (isPlainText(messages)) this.sendText(messages.data);
    else this.sendAll(messages);
    this.applyBackpressure();
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
    const size = checkMessage(message, this.environment.byteOps);
    if (this.phase !== OPEN || this.isDisconnected || !this.fitsOrEnds(size)) return;
    this.transport.send(message.opcode, message.data ?? "", size);
  }

  /** A string needs no check. */
  private sendText(text: string): void {
    // Measuring the text is unnecessary where the host can send it immediately.
    if (this.phase !== OPEN || this.isDisconnected || this.transport.sendText?.(text)) return;
    const size = ioLength(text, this.environment.byteOps);
    if (this.fitsOrEnds(size)) this.transport.send("text", text, size);
  }

  /**
   * Whether a message of `size` bytes fits into `maxBuffered`; if not, ends the connection. With nothing buffered,
   * every message fits: one larger than `maxBuffered` could never be sent otherwise.
   */
  private fitsOrEnds(size: number): boolean {
    const waiting = this.transport.buffered;
    if (waiting === 0 || waiting + size <= this.environment.options.maxBuffered) return true;
    this.endOverMaxBuffered(waiting, size);
    return false;
  }

  private endOverMaxBuffered(waiting: number, size: number): void {
    this.slowConsumer(`${waiting} bytes are buffered, and ${size} more would exceed "maxBuffered"`);
  }

  private slowConsumer(message: string): void {
    this.end({ error: new SlowConsumer(message) }, CLOSE.tryAgainLater, "");
  }

  // --- backpressure

  private applyBackpressure(): void {
    if (
      this.blocked ||
      this.phase !== OPEN ||
      this.isDisconnected ||
      this.transport.buffered <= OUTBOUND_HIGH_WATER_MARK
    )
      return;
    this.blocked = true;
    // Starts the timeout after which a peer that reads nothing is a slow consumer.
    this.isStalled();
    this.updateReading();
    this.reschedule();
  }

  /** Pauses or resumes reading according to the high-water marks. `true`: resumed, and more events may have arrived. */
  private updateReading(): boolean {
    const { mailbox } = this;
    const factor = this.paused ? 0.5 : 1;
    const shouldPause =
      this.blocked ||
      mailbox.messages >= INBOUND_HIGH_WATER_MARK.messages * factor ||
      // A single message never pauses reading, however large, so that pings behind it are seen and answered.
      (mailbox.messages > 1 && mailbox.bytes >= INBOUND_HIGH_WATER_MARK.bytes * factor);
    if (shouldPause === this.paused) return false;
    this.paused = shouldPause;
    const now = this.clock.activeNow();
    if (shouldPause) {
      this.ownLiveness.pause(now);
      this.transport.pause();
    } else {
      this.activeAt = this.liveness.resume(now, this.activeAt);
      this.releaseLiveness();
      this.reschedule();
      this.transport.resume();
    }
    return !shouldPause;
  }

  private limitMailbox(): void {
    const { mailbox } = this;
    const bytes = this.environment.options.maxMessageSize + UNPAUSABLE_LIMIT.extraBytes;
    if (mailbox.messages <= UNPAUSABLE_LIMIT.messages && mailbox.bytes <= bytes) return;
    this.onProtocolError(
      new ProtocolError(CLOSE.policyViolation, "the client sends messages faster than the handler handles them"),
    );
  }

  // --- the end

  /**
   * Decides the end, and closes the transport. Does not call `terminate`: the caller does, because it knows whether a
   * callback may run on the current stack.
   */
  private end(reason: CloseReason, code: number | undefined, text: string, abort = false): void {
    if (!this.isDisconnected) this.extensions?.flush();
    // The first decision wins: `onError`, for example, may have called `self.stop`.
    if (this.phase !== OPEN) return;
    this.phase = ENDING;
    this.ending = new Ending(reason);
    this.environment.onDropped?.(this.mailbox.messages);
    this.mailbox.clear();
    this.closeExtensions();
    if (!this.isDisconnected) this.closeTransport(code, text, abort);
    this.startAbandonTimeout();
    this.reschedule();
    // Last, because listeners are application code.
    if (SessionSelf.hasSignal(this.self)) this.abortSignal();
  }

  /**
   * Always enters the context, whatever the flag OUTSIDE_CONTEXT says. If a callback of this connection is further down
   * the stack, the flag is clear. But that callback may have run code of another connection that called `self.stop` of
   * this one: the current context is then that of the other connection.
   */
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
    this.ending!.abortAt = this.clock.now() + this.environment.options.closeTimeout;
    this.transport.close(code, text);
    if (!this.paused) return;
    this.paused = false;
    this.transport.resume();
  }

  /**
   * Does nothing if the end is already decided. A transport may report a protocol error, an idle timeout or the stop of
   * its host synchronously while it is being closed: `terminate` must not be called before {@link end} has returned.
   */
  private endAndTerminate(reason: CloseReason, code: number | undefined, text: string): void {
    if (this.phase !== OPEN) return;
    this.end(reason, code, text);
    this.terminateIfReady();
  }

  /** Calls `terminate` if the end is decided and no callback is running or pending. */
  private terminateIfReady(): void {
    if (this.phase === ENDING && this.running === undefined) this.terminate();
  }

  /** Abandons the pending callback, if any, after `closeTimeout`. */
  private startAbandonTimeout(): void {
    if (this.running === undefined || this.abandonAt !== undefined) return;
    this.abandonAt = this.clock.now() + this.environment.options.closeTimeout;
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
    this.report(
      codedError("WEBSOCK_CALLBACK_ABANDONED", `"${running}" did not settle within "closeTimeout" and was abandoned`),
      running,
    );
    this.running = undefined;
    this.abandonAt = undefined;
    if (this.phase === OPEN) this.endByPeer();
    this.terminateIfReady();
  }

  private terminate(): void {
    if (this.inSelfCall) return;
    if (this.outsideContext) {
      this.runInContext(this.terminate, this);
      return;
    }
    const { callbacks, state } = this;
    const ending = this.ending!;
    this.phase = ENDED;
    this.state = undefined;
    if (this.hasState && callbacks.terminate !== undefined) {
      // Set before the call: a call within `terminate` may close the transport, which must not release the session yet.
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
    this.abandonAt = this.clock.now() + this.environment.options.closeTimeout;
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
    this.environment.onEnd?.(this);
  }

  // --- time

  tick(now: number): void {
    if (now >= (this.abandonAt ?? NEVER)) this.abandonCallback();
    const { ending } = this;
    if (now >= (ending?.abortAt ?? NEVER)) {
      ending!.abortAt = undefined;
      this.transport.abort();
    }
    if (this.phase === OPEN && !this.isDisconnected) this.checkPeer();
    this.terminateIfReady();
    this.reschedule();
  }

  private checkPeer(): void {
    const { options } = this.environment;
    if (this.isStalled()) {
      this.slowConsumer(`the client read nothing for ${options.timeout} ms`);
      return;
    }
    if (!this.checksIdle) return;
    const now = this.clock.activeNow();
    if (this.liveness.isIdle(now, this.activeAt, options)) this.onIdle();
    else if (this.canPing && this.liveness.isHeartbeatDue(now, this.activeAt, options)) this.sendHeartbeat(now);
  }

  private get ownLiveness(): Liveness {
    if (this.liveness === QUIET) this.liveness = new Liveness();
    return this.liveness;
  }

  private releaseLiveness(): void {
    if (this.liveness.isQuiet(this.activeAt)) this.liveness = QUIET;
  }

  private isStalled(): boolean {
    const { buffered, bytesFlushed } = this.transport;
    if (buffered === 0 && this.liveness === QUIET) return false;
    const { options } = this.environment;
    const isStalled = this.ownLiveness.isStalled(this.clock.activeNow(), options, buffered, bytesFlushed);
    this.releaseLiveness();
    return isStalled;
  }

  private sendHeartbeat(now: number): void {
    const send = this.transport.buffered === 0;
    this.ownLiveness.noteHeartbeat(now, send);
    if (send) this.transport.send("ping", HEARTBEAT, HEARTBEAT.length);
  }

  /**
   * Whether the session closes the connection when nothing is received for `timeout`: not after the peer's close frame,
   * and not on hosts without the capability `idleClock`. In either case, the connection is closed if bytes are
   * buffered, and the client reads none of them for `timeout`.
   */
  private get checksIdle(): boolean {
    return !this.closeReceived && this.environment.capabilities.idleClock;
  }

  private get canPing(): boolean {
    return this.environment.capabilities.control;
  }

  /** Schedules {@link tick} at the earliest deadline. */
  private reschedule(): void {
    if (this.ending?.isReleased) return;
    const { options } = this.environment;
    let next = Math.min(this.abandonAt ?? NEVER, this.ending?.abortAt ?? NEVER);
    if (this.phase === OPEN && !this.isDisconnected) {
      const inactive = this.clock.now() - this.clock.activeNow();
      const deadline = this.liveness.nextDeadline(this.activeAt, options, this.checksIdle, this.canPing);
      next = Math.min(next, deadline + inactive);
    }
    this.clock.schedule(this, next);
  }

  private report(error: unknown, callback: CallbackName | undefined): void {
    const { callbacks, facts, self } = this;
    this.environment.onError(error, {
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
