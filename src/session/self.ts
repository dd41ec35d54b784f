/** `self`: the address and the facts of a connection, as the application holds them. */
import type { ConnectionInfo, Self } from "../websock.ts";

/** The facts, as the session keeps them. */
export type ConnectionFacts = { -readonly [Name in keyof ConnectionInfo]: ConnectionInfo[Name] };

/** What `self` needs of its session. */
export interface Addressee {
  /** The end has been decided. */
  readonly ended: boolean;
  readonly buffered: number;
  deliver(info: unknown): boolean;
}

/** Made for every connection, and kept small: what few ask for is made when they ask. */
export class SessionSelf implements Self<unknown> {
  readonly connection: ConnectionInfo;
  readonly #session: Addressee;
  #id: string | undefined = undefined;
  #abort: AbortController | undefined = undefined;

  constructor(session: Addressee, connection: ConnectionInfo) {
    this.#session = session;
    this.connection = connection;
  }

  /** For adapters: the connection had an id before. */
  static identify(self: SessionSelf, id: string): void {
    self.#id = id;
  }

  /** A method of the prototype, not a closure for each connection. */
  send(info: unknown): boolean {
    return this.#session.deliver(info);
  }

  get id(): string {
    return (this.#id ??= crypto.randomUUID());
  }

  get buffered(): number {
    return this.#session.buffered;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#session.ended) this.#abort.abort();
    }
    return this.#abort.signal;
  }

  /** For the session: the end is decided. */
  static abort(self: SessionSelf): void {
    self.#abort?.abort();
  }
}
