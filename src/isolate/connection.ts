/** A connection in the main thread whose handler runs in a worker. */
import { ConnectionLost } from "../errors.ts";
import type { ControlMessage, DataMessage, Messages } from "../message.ts";
import { type HandleResult, ok, type StopDetail } from "../result.ts";
import type { SessionListener } from "../session/extensions.ts";
import type { CallbackName } from "../session/handler.ts";
import type { TopicSession } from "../session/self.ts";
import type { CloseReason } from "../websock.ts";
import { MemberGap } from "./member-gap.ts";
import type { Outbox } from "./outbox.ts";
import { packReason } from "./packed-error.ts";
import {
  BINARY,
  type ConnectionSettings,
  END,
  FLUSHED,
  GAP,
  HIGH_WATER_MARK,
  INFO,
  OPEN,
  PEER_CLOSED,
  PEER_LOST,
  PING,
  PONG,
  sizeOf,
  TEXT,
} from "./records.ts";

/** What a connection needs of its thread. */
export interface ConnectionThread {
  readonly outbox: Outbox;
  readonly maxPending: number;
  /** Calls {@link RelayedConnection.addFlushed} when the next records cross; if `soon`, in this event-loop tick. */
  acknowledge(connection: RelayedConnection, soon: boolean): void;
  released(connection: RelayedConnection): void;
}

type Result = HandleResult<RelayedConnection>;

/** What the callback of the main thread whose promise is pending waits for. */
type Awaited = "opened" | "room" | "ended";

const KINDS = { text: TEXT, binary: BINARY, ping: PING, pong: PONG } as const;

export class RelayedConnection implements SessionListener {
  readonly id: number;
  readonly session: TopicSession;
  private readonly thread: ConnectionThread;
  /** The result of every callback. */
  private readonly result: Result = ok(this);
  /** Messages and infos that the worker has not handled, as far as it has said so, and the size of the messages. */
  private waiting = 0;
  private waitingBytes = 0;
  /** The size of messages that the host has taken over, which the worker does not know. */
  private unacknowledged = 0;
  /** How many bytes the worker believes to be buffered here. */
  private reported = 0;
  /** The session in the worker has decided the end. */
  private endedByWorker = false;
  private isReleased = false;
  private awaited: Awaited | undefined = undefined;
  private settle: ((result: Result) => void) | undefined = undefined;
  private onReleased: (() => void) | undefined = undefined;

  constructor(id: number, session: TopicSession, thread: ConnectionThread) {
    this.id = id;
    this.session = session;
    this.thread = thread;
  }

  // --- callbacks of the session in the main thread

  open(arg: unknown): Promise<Result> {
    const { self, maxBuffered, closeTimeout } = this.session;
    const settings: ConnectionSettings = { uuid: self.id, maxBuffered, closeTimeout };
    this.thread.outbox.add(OPEN, this.id, arg, self.connection, settings);
    this.session.listen(this);
    return this.until("opened");
  }

  receive({ opcode, data }: DataMessage | ControlMessage): Result | Promise<Result> {
    this.thread.outbox.addMessage(KINDS[opcode], this.id, data);
    this.waitingBytes += sizeOf(data);
    return this.relayed();
  }

  receiveInfo(info: unknown): Result | Promise<Result> {
    if (info instanceof MemberGap) this.thread.outbox.add(GAP, this.id, info.subscription, info.gap);
    else this.thread.outbox.add(INFO, this.id, info);
    return this.relayed();
  }

  /** The client has closed, or is lost. What was received before is handled first. */
  finish(): Promise<Result> {
    const { closeCode, closeText } = this.session.self.connection;
    if (closeText === undefined) this.thread.outbox.add(PEER_LOST, this.id);
    else this.thread.outbox.add(PEER_CLOSED, this.id, closeCode, closeText);
    return this.until("ended");
  }

  /** Resolves when `terminate` has finished in the worker. */
  whenReleased(): Promise<void> | undefined {
    return this.isReleased ? undefined : new Promise((resolve) => (this.onReleased = resolve));
  }

  /** A message or an info was passed on: more may follow, unless too many wait in the worker. */
  private relayed(): Result | Promise<Result> {
    this.waiting++;
    const isFull = this.waiting > this.thread.maxPending || (this.waiting > 1 && this.waitingBytes > HIGH_WATER_MARK);
    return isFull ? this.until("room") : this.result;
  }

  private until(awaited: Awaited): Promise<Result> {
    this.awaited = awaited;
    return new Promise((resolve) => (this.settle = resolve));
  }

  /** Returns whether a promise was waiting for this. */
  private happened(what: Awaited | undefined): boolean {
    if (this.awaited !== what || this.settle === undefined) return false;
    const { settle } = this;
    this.awaited = this.settle = undefined;
    settle(this.result);
    return true;
  }

  // --- records of the worker

  /** Returns whether the session learns of it in a microtask. */
  onOpened(): boolean {
    return this.happened("opened");
  }

  onHandled(count: number, bytes: number): void {
    this.waiting -= count;
    this.waitingBytes -= bytes;
    if (this.waiting <= this.thread.maxPending / 2 && this.waitingBytes <= HIGH_WATER_MARK / 2) this.happened("room");
  }

  push(messages: Messages, size: number): void {
    this.session.pushNow(messages);
    this.unacknowledged += size;
    this.thread.acknowledge(this, this.unacknowledged >= HIGH_WATER_MARK / 4);
  }

  /** Returns whether the session learns of it in a microtask. */
  onClose(reason: CloseReason, detail: StopDetail): boolean {
    this.endedByWorker = true;
    // The session answers the client's close frame, with the same code.
    if (reason === "remote") return this.happened("ended");
    this.session.stopNow(typeof reason === "string" ? reason : reason.error, detail);
    return false;
  }

  /** The end of a connection that is lost is decided. Returns whether the session learns of it in a microtask. */
  onEnded(): boolean {
    this.endedByWorker = true;
    return this.happened("ended");
  }

  onRefused(error: unknown): void {
    this.report(error, undefined);
    this.session.stopNow(error);
  }

  report(error: unknown, callback: CallbackName | undefined): void {
    this.session.reportError(error, callback);
  }

  release(): void {
    this.isReleased = true;
    this.onReleased?.();
    this.thread.released(this);
  }

  /** The worker has ended. */
  fail(error: Error): void {
    this.endedByWorker = true;
    if (this.session.endedBy === undefined) this.onRefused(error);
    this.release();
  }

  // --- events of the session

  onOpen(): void {}

  flush(): void {}

  onEnd(): void {
    const { endedBy } = this.session;
    // While messages are at the worker, the session only decides this because it has waited for `closeTimeout`.
    const abandon = endedBy === "remote" || isConnectionLost(endedBy);
    if (!this.endedByWorker) this.thread.outbox.add(END, this.id, packReason(endedBy!), abandon);
    this.happened(this.awaited);
  }

  onDrain(): void {
    if (this.reported > 0) this.thread.acknowledge(this, true);
  }

  addFlushed(): void {
    this.reported = this.session.unflushed;
    this.thread.outbox.add(FLUSHED, this.id, this.unacknowledged, this.reported);
    this.unacknowledged = 0;
  }
}

const isConnectionLost = (reason: CloseReason | undefined): boolean =>
  typeof reason === "object" && reason.error instanceof ConnectionLost;
