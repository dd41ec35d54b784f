/** `self`: the address and the facts of a connection, as the application holds them. */
import { AbortError } from "../errors.ts";
import type { Messages } from "../message.ts";
import type { StopDetail } from "../result.ts";
import type { CloseReason, ConnectionInfo, Self } from "../websock.ts";

/** The facts, as the session keeps them. */
export type ConnectionFacts = { -readonly [Name in keyof ConnectionInfo]: ConnectionInfo[Name] };

/** What `self` needs of its session. */
export interface SessionHandle {
  /** Why the connection ends; `undefined` until that is decided. */
  readonly endedBy: CloseReason | undefined;
  readonly buffered: number;
  deliver(info: unknown): boolean;
  pushNow(messages: Messages): boolean;
  stopNow(reason: unknown, detail?: StopDetail): boolean;
  whenDrained(): Promise<boolean>;
  /** The connection was asked for its id for the first time. */
  identified(id: string): void;
}

/** Made for every connection, and kept small: what few ask for is made when they ask. */
export class SessionSelf implements Self<unknown> {
  readonly connection: ConnectionInfo;
  readonly #session: SessionHandle;
  #id: string | undefined = undefined;
  #abort: AbortController | undefined = undefined;

  constructor(session: SessionHandle, connection: ConnectionInfo) {
    this.#session = session;
    this.connection = connection;
  }

  /** For adapters: the connection had an id before. */
  static identify(self: SessionSelf, id: string): void {
    self.#id = id;
    self.#session.identified(id);
  }

  // Methods of the prototype, not closures for each connection.

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
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      const { endedBy } = this.#session;
      if (endedBy !== undefined) this.#abort.abort(new AbortError(endedBy));
    }
    return this.#abort.signal;
  }

  /** For the library: the id, unless nobody has asked for it. */
  static knownId(self: SessionSelf): string | undefined {
    return self.#id;
  }

  /** For the session: whether anybody has asked for the signal. */
  static hasSignal(self: SessionSelf): boolean {
    return self.#abort !== undefined;
  }

  /** For the session: the end is decided. */
  static abort(self: SessionSelf, reason: CloseReason): void {
    self.#abort?.abort(new AbortError(reason));
  }
}
