/** All connections of one server: counting them, and ending them well. */
import { checkKeys } from "../known-keys.ts";
import { CLOSE } from "../protocol/close.ts";
import type { Self } from "../websock.ts";
import type { Clock, Timed } from "./clock.ts";
import type { DrainOptions } from "./drain-options.ts";
import { SessionSelf } from "./self.ts";
import type { Session } from "./session.ts";

export class SessionGroup {
  /** New connections are refused: the server is on its way out. */
  closing = false;

  private readonly clock: Clock;
  private readonly sessions = new Set<Session>();
  /** The connections that were asked for their id: nobody can ask for the others by it. */
  private readonly identified = new Map<string, Session>();
  private waiters: (() => void)[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get size(): number {
    return this.sessions.size;
  }

  has(session: Session): boolean {
    return this.sessions.has(session);
  }

  add(session: Session): void {
    this.sessions.add(session);
  }

  /** The connections whose end is not decided. */
  *selves(): Generator<Self<unknown>> {
    for (const session of this.sessions) if (!session.ended) yield session.self;
  }

  /** The connection with this id, unless its end is decided. */
  get(id: string): Self<unknown> | undefined {
    const session = this.identified.get(id);
    return session === undefined || session.ended ? undefined : session.self;
  }

  // Properties, so that they can be handed over as the session's `onIdentified` and `onEnd`.

  readonly identify = (session: Session, id: string): void => {
    // A connection may be asked for its id when it has ended.
    if (this.sessions.has(session)) this.identified.set(id, session);
  };

  readonly delete = (session: Session): void => {
    this.sessions.delete(session);
    const id = SessionSelf.knownId(session.self);
    if (id !== undefined) this.identified.delete(id);
    if (this.sessions.size > 0) return;
    for (const resolve of this.waiters.splice(0)) resolve();
  };

  /** Closes every connection with 1001. Resolves when all are gone; the sessions see to it themselves. */
  close(): Promise<void> {
    this.closing = true;
    this.closeAll();
    return this.empty();
  }

  /** Closes every connection with 1001. New ones may come. */
  closeAll(): void {
    for (const session of this.sessions) session.shutdown(CLOSE.goingAway);
  }

  /** Closes the connections with 1012 batch by batch, so that not all of the clients come back in the same moment. */
  drain(options: DrainOptions = {}): Promise<void> {
    checkKeys(options, ["batch", "interval", "deadline"]);
    const { batch = 10_000, interval = 2_000, deadline = 30_000 } = options;
    for (const [name, value] of Object.entries({ batch, interval, deadline })) {
      if (!(value > 0)) throw new TypeError(`option "${name}" must be a number above zero`);
    }
    this.closing = true;
    const queue = [...this.sessions];
    const end = this.clock.now() + deadline;
    const ticks: Timed = {
      slot: 0,
      tick: (now) => {
        if (now >= end) {
          for (const session of this.sessions) {
            session.shutdown(CLOSE.serviceRestart);
            session.abort();
          }
          return;
        }
        for (const session of queue.splice(0, Math.ceil(batch))) session.shutdown(CLOSE.serviceRestart);
        this.clock.schedule(ticks, queue.length > 0 ? Math.min(now + interval, end) : end);
      },
    };
    ticks.tick(this.clock.now());
    return this.empty().finally(() => this.clock.cancel(ticks));
  }

  private empty(): Promise<void> {
    return this.sessions.size === 0 ? Promise.resolve() : new Promise((resolve) => this.waiters.push(resolve));
  }
}
