/** All sessions of one server: looking them up, closing them, and draining them for a restart. */

import type { DrainEvent } from "../diagnostics.ts";
import { codedTypeError } from "../error-codes.ts";
import { checkKeys } from "../known-keys.ts";
import { CLOSE } from "../protocol/close.ts";
import type { Self } from "../websock.ts";
import type { Clock, Timed } from "./clock.ts";
import type { DrainOptions } from "./drain-options.ts";
import { SessionSelf } from "./self.ts";
import type { Session } from "./session.ts";

/** What a group reports; the host adds its name. */
type GroupDrain = Omit<DrainEvent, "host">;

export class SessionGroup {
  /** The server is shutting down: new connections are refused. */
  closing = false;

  private readonly clock: Clock;
  private readonly sessions = new Set<Session>();
  /** The connections whose `self.id` has been read. The ids of the others are unknown, so nothing can look them up. */
  private readonly byId = new Map<string, Session>();
  private waiters: (() => void)[] = [];

  private readonly onDrain: (event: GroupDrain) => void;

  /** @param onDrain called when all connections begin to be closed, and when they are closed */
  constructor(clock: Clock, onDrain: (event: GroupDrain) => void = () => undefined) {
    this.clock = clock;
    this.onDrain = onDrain;
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
    for (const session of this.sessions) if (!session.endDecided) yield session.self;
  }

  /** The connection with this id, unless its end is decided. */
  get(id: string): Self<unknown> | undefined {
    const session = this.byId.get(id);
    return session === undefined || session.endDecided ? undefined : session.self;
  }

  // Arrow functions, because they are passed as `SessionEnvironment.onIdentified` and `onEnd`.

  readonly identify = (session: Session, id: string): void => {
    // The id may be read after the session was deleted.
    if (this.sessions.has(session)) this.byId.set(id, session);
  };

  readonly delete = (session: Session): void => {
    this.sessions.delete(session);
    const id = SessionSelf.knownId(session.self);
    if (id !== undefined) this.byId.delete(id);
    if (this.sessions.size > 0) return;
    for (const resolve of this.waiters.splice(0)) resolve();
  };

  /**
   * Closes all connections with 1001 and refuses new ones. Resolves when all sessions are released, which takes up to
   * `closeTimeout` if a client does not answer.
   */
  close(): Promise<void> {
    const stopped = this.startDrain(CLOSE.goingAway);
    this.closeAll();
    return this.whenEmpty().finally(() => stopped());
  }

  /** Refuses new connections. Returns a function to be called when all are closed. */
  private startDrain(code: GroupDrain["code"]): (aborted?: number) => void {
    // Closing a server also calls `close` when everything is drained.
    const isNews = !this.closing || this.sessions.size > 0;
    this.closing = true;
    if (!isNews) return () => undefined;
    const startedAt = this.clock.now();
    const report = (phase: GroupDrain["phase"], duration?: number, aborted?: number): void =>
      this.onDrain({ phase, code, connections: this.sessions.size, duration, aborted });
    report("start");
    return (aborted) => report("stop", this.clock.now() - startedAt, aborted);
  }

  /** Closes all connections with 1001. New ones are still accepted. */
  closeAll(): void {
    for (const session of this.sessions) session.shutdown(CLOSE.goingAway);
  }

  /** Closes all connections with 1012 in batches, so that the clients don't all reconnect at the same time. */
  drain(options: DrainOptions = {}): Promise<void> {
    checkKeys(options, ["batch", "interval", "deadline"]);
    const { batch = 10_000, interval = 2_000, deadline = 30_000 } = options;
    for (const [name, value] of Object.entries({ batch, interval, deadline })) {
      if (!(value > 0)) throw codedTypeError("WEBSOCK_INVALID_OPTION", `option "${name}" must be a number above zero`);
    }
    const stopped = this.startDrain(CLOSE.serviceRestart);
    let aborted = 0;
    const queue = [...this.sessions];
    const endAt = this.clock.now() + deadline;
    const batches: Timed = {
      slot: 0,
      tick: (now) => {
        if (now >= endAt) {
          aborted += this.sessions.size;
          for (const session of this.sessions) {
            session.shutdown(CLOSE.serviceRestart);
            session.abort();
          }
          return;
        }
        for (const session of queue.splice(0, Math.ceil(batch))) session.shutdown(CLOSE.serviceRestart);
        this.clock.schedule(batches, queue.length > 0 ? Math.min(now + interval, endAt) : endAt);
      },
    };
    batches.tick(this.clock.now());
    return this.whenEmpty().finally(() => {
      this.clock.cancel(batches);
      stopped(aborted);
    });
  }

  private whenEmpty(): Promise<void> {
    return this.sessions.size === 0 ? Promise.resolve() : new Promise((resolve) => this.waiters.push(resolve));
  }
}
