/** `self`: the application's handle of a connection. */
import { AbortError } from "../errors.ts";
import type { Messages, OutMessage } from "../message.ts";
import type { ByteOps } from "../protocol/byte-ops.ts";
import type { SharedSlice } from "../protocol/shared-messages.ts";
import type { StopDetail } from "../result.ts";
import type { StoredTopics } from "../transport.ts";
import type { CloseReason, ConnectionInfo, Self } from "../websock.ts";
import type { SessionListener } from "./extensions.ts";
import type { CallbackName } from "./handler.ts";

/** {@link ConnectionInfo} as the session sees it: writable. */
export type ConnectionFacts = { -readonly [Name in keyof ConnectionInfo]: ConnectionInfo[Name] };

/** The part of a session that `self` uses. */
export interface SessionHandle {
  /** Why the connection ends; `undefined` until that is decided. */
  readonly endedBy: CloseReason | undefined;
  readonly buffered: number;
  deliver(info: unknown): boolean;
  pushNow(messages: Messages): boolean;
  stopNow(reason: unknown, detail?: StopDetail): boolean;
  whenDrained(): Promise<boolean>;
  /** Called when the id is read for the first time, or restored. */
  identified(id: string): void;
}

/** An object whose connections can outlive the process: a Durable Object, which hibernates. */
export interface TopicHome {
  /** Identifies the object. */
  readonly id: string;
  /** All open connections, including those from before hibernation, with their stored topics. */
  storedTopics(): Iterable<readonly [TopicSession, StoredTopics]>;
  /** The open connection with this id. Those from before hibernation are found after a call of {@link storedTopics}. */
  find(id: string): TopicSession | undefined;
}

/** The part of a session that topics use. */
export interface TopicSession extends SessionHandle {
  readonly self: Self<unknown>;
  /** `init` has returned a state. */
  readonly isInitialized: boolean;
  /** The name of the host if code of another connection can't send to this one; otherwise `undefined`. */
  readonly isolatedBy: string | undefined;
  readonly maxBuffered: number;
  /** How long a pending callback is awaited at the end, in milliseconds. */
  readonly closeTimeout: number;
  /** The number of infos that wait for `handleInfo`. */
  readonly waitingInfos: number;
  /** How many infos may wait. One more ends the connection. */
  readonly maxInfos: number;
  /** Adds a listener. It is removed when the end is decided. */
  listen(listener: SessionListener): void;
  /** The bytes that are not flushed, without what topics have not sent yet. */
  readonly unflushed: number;
  readonly byteOps: ByteOps;
  /** Sends a message of `size` bytes that has been checked, and fits into {@link maxBuffered}. */
  sendChecked(message: OutMessage, size: number): void;
  /** Whether the host can send frames that are shared with other connections: {@link sendShared}. */
  readonly sharesFrames: boolean;
  /**
   * Sends messages that have been checked, and fit into {@link maxBuffered}.
   *
   * @param flush write them out immediately. Otherwise, they may be written at the end of the event-loop tick, together
   * with what follows
   */
  sendShared(slices: readonly SharedSlice[], flush: boolean): void;
  /** Calls `run` in a later event-loop tick. */
  defer(run: () => void): void;
  /** Ends the connection as a slow consumer: a message of `size` bytes does not fit. */
  endSlowConsumer(waiting: number, size: number): void;
  /** The Durable Object that the connection belongs to; `undefined` on hosts where connections end with the process. */
  readonly home: TopicHome | undefined;
  /**
   * Stores the topics of the connection, if it has a {@link home}.
   *
   * @throws TypeError if they do not fit
   */
  storeTopics(topics: StoredTopics): void;
  /** Reports an error of code that belongs to the connection. `callback`: the callback that failed. */
  reportError(error: unknown, callback?: CallbackName): void;
}

/** The property in which the `self` of a typed handler has the `self` of the connection. */
export const STANDS_FOR: unique symbol = Symbol("stands for");

interface StandIn {
  readonly [STANDS_FOR]?: unknown;
}

/** Every connection has one, so it is small: the id and the signal are created when they are first read. */
export class SessionSelf implements Self<unknown> {
  readonly connection: ConnectionInfo;
  readonly #session: TopicSession;
  #id: string | undefined = undefined;
  #abortController: AbortController | undefined = undefined;

  constructor(session: TopicSession, connection: ConnectionInfo) {
    this.#session = session;
    this.connection = connection;
  }

  /** For adapters: restores the id of a connection that had one before the process hibernated. */
  static identify(self: SessionSelf, id: string): void {
    self.#id = id;
    self.#session.identified(id);
  }

  /** For topics: the session of a `self`, or of what stands for it; `undefined` for any other value. */
  static sessionOf(value: unknown): TopicSession | undefined {
    if (typeof value !== "object" || value === null) return undefined;
    return #session in value ? value.#session : SessionSelf.sessionOf((value as StandIn)[STANDS_FOR]);
  }

  // Prototype methods instead of closures, to save memory per connection.

  send(info: unknown): boolean {
    return this.#session.deliver(info);
  }

  push(messages: Messages): boolean {
    return this.#session.pushNow(messages);
  }

  stop(reason: unknown, detail?: StopDetail): boolean {
    return this.#session.stopNow(reason, detail);
  }

  drained(): Promise<boolean> {
    return this.#session.whenDrained();
  }

  get id(): string {
    if (this.#id === undefined) {
      this.#id = crypto.randomUUID();
      this.#session.identified(this.#id);
    }
    return this.#id;
  }

  get buffered(): number {
    return this.#session.buffered;
  }

  get signal(): AbortSignal {
    if (this.#abortController === undefined) {
      this.#abortController = new AbortController();
      const { endedBy } = this.#session;
      if (endedBy !== undefined) this.#abortController.abort(new AbortError(endedBy));
    }
    return this.#abortController.signal;
  }

  /** For the library: the id, if it has been read or restored. */
  static knownId(self: SessionSelf): string | undefined {
    return self.#id;
  }

  /** For the session: whether the signal has been read. */
  static hasSignal(self: SessionSelf): boolean {
    return self.#abortController !== undefined;
  }

  /** For the session: aborts the signal, because the end is decided. */
  static abort(self: SessionSelf, reason: CloseReason): void {
    self.#abortController?.abort(new AbortError(reason));
  }
}
