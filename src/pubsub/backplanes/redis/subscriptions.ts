/** The wanted channels, and the connection that subscribes to them: a new one after each loss. */
import { later } from "../../../adapters/shared/timers.ts";
import type { RedisNode, RedisPort, Subscriber } from "./port.ts";
import { Retry, Timer } from "./retry.ts";

/** The number of channels in one SUBSCRIBE. */
const CHUNK = 512;

/** The number of commands that are sent before the first of them is confirmed: a bound on the engine's output buffer. */
const AHEAD = 16;

/** A new connection is given up when it makes no progress for so many milliseconds. */
const STALLED = 10_000;

export interface SubscriptionsEvents {
  message(channel: string, bytes: Uint8Array): void;
  /** `confirmed` has changed, or an attempt to connect has failed. */
  changed(cause?: unknown): void;
}

/** One connection. */
interface Session {
  readonly subscriber: Subscriber;
  /** The channels that the engine has been asked for. */
  readonly sent: Set<string>;
  /** The confirmations of the commands that were sent, in this order. None rejects. */
  readonly unconfirmed: Promise<void>[];
  /** The calls of `subscribe` that wait for a confirmation, in the order of the commands. */
  batches: (readonly (() => void)[])[];
  /** The connection is ready, and its first commands have been sent. */
  begun: boolean;
  /** Commands are being sent. */
  sending: boolean;
  /** The subscriptions to all channels that were wanted when it connected are confirmed. */
  confirmed: boolean;
}

const chunks = function* (channels: readonly string[]): Generator<string[]> {
  for (let i = 0; i < channels.length; i += CHUNK) yield channels.slice(i, i + CHUNK);
};

const nextTick = (): Promise<void> => new Promise(later);

export class Subscriptions {
  readonly #port: RedisPort;
  readonly #events: SubscriptionsEvents;
  readonly #wanted = new Set<string>();
  readonly #retry = new Retry();
  readonly #stalled = new Timer();
  #node: RedisNode | undefined;
  #session: Session | undefined;
  /** The channels that were added or removed since commands were last sent; none while there is no connection. */
  #changed = new Set<string>();
  /** The calls of `subscribe` since then. */
  #waiting: (() => void)[] = [];
  #scheduled = false;
  #closed = false;

  constructor(port: RedisPort, events: SubscriptionsEvents) {
    this.#port = port;
    this.#events = events;
  }

  get confirmed(): boolean {
    return this.#session?.confirmed === true;
  }

  subscribe(channels: readonly string[]): Promise<void> {
    if (this.#closed) return Promise.resolve();
    for (const channel of channels) {
      this.#wanted.add(channel);
      if (this.#session?.begun === true) this.#changed.add(channel);
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#schedule();
    });
  }

  unsubscribe(channels: readonly string[]): void {
    for (const channel of channels) {
      this.#wanted.delete(channel);
      if (this.#session?.begun === true) this.#changed.add(channel);
    }
    this.#schedule();
  }

  /** Connects, unless that is being done or the client is closed. */
  start(): void {
    if (this.#closed || this.#port.closed || this.#session !== undefined || this.#retry.waiting) return;
    this.#retry.now(() => this.#connect());
  }

  /** Ends the connection. `start` makes a new one, if possible to another node. */
  stop(): void {
    this.#retry.stop();
    this.#end();
  }

  close(): void {
    this.#closed = true;
    this.stop();
    this.#wanted.clear();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #connect(): void {
    if (this.#port.closed) return;
    this.#node = this.#port.node(this.#node);
    let session: Session | undefined;
    try {
      if (this.#node === undefined) throw new Error("the client knows no node that it could connect to");
      const subscriber = this.#node.open({
        message: (channel, bytes) => {
          if (session !== undefined && session === this.#session) this.#events.message(channel, bytes);
        },
        lost: (cause) => {
          if (session !== undefined) this.#lost(session, cause);
        },
      });
      const [sent, unconfirmed, batches] = [new Set<string>(), [], []];
      session = { subscriber, sent, unconfirmed, batches, begun: false, sending: false, confirmed: false };
    } catch (error) {
      this.#failed(error);
      return;
    }
    this.#session = session;
    this.#progress(session);
    void this.#begin(session);
  }

  async #begin(session: Session): Promise<void> {
    try {
      await session.subscriber.ready;
    } catch (error) {
      return this.#lost(session, error);
    }
    if (session !== this.#session) return;
    this.#progress(session);
    session.begun = true;
    this.#changed = new Set(this.#wanted);
    void this.#send(session);
  }

  #end(): void {
    const session = this.#session;
    if (session === undefined) return;
    this.#session = undefined;
    this.#stalled.stop();
    // The next connection subscribes to all channels.
    this.#changed.clear();
    this.#waiting = [...session.batches.flat(), ...this.#waiting];
    session.batches = [];
    session.subscriber.end();
  }

  #lost(session: Session, cause: unknown): void {
    if (session !== this.#session) return;
    this.#end();
    this.#failed(cause);
  }

  #failed(cause: unknown): void {
    if (!this.#port.closed) this.#retry.schedule(() => this.#connect());
    this.#events.changed(cause);
  }

  /** A connection that is being established has made progress. */
  #progress(session: Session): void {
    if (session.confirmed) return;
    const run = (): void => this.#lost(session, new Error(`the engine has not answered for ${STALLED} ms`));
    this.#stalled.start(run, STALLED);
  }

  /** What is changed in one event-loop tick is sent together. */
  #schedule(): void {
    if (this.#scheduled || this.#session?.begun !== true) return;
    this.#scheduled = true;
    later(() => {
      this.#scheduled = false;
      if (this.#session?.begun === true) void this.#send(this.#session);
    });
  }

  /** Tells the engine what has changed. It does not reject. */
  async #send(session: Session): Promise<void> {
    if (session.sending) return;
    session.sending = true;
    do {
      const [changed, batch] = [this.#changed, this.#waiting];
      this.#changed = new Set();
      this.#waiting = [];
      session.batches.push(batch);
      const added: string[] = [];
      const removed: string[] = [];
      for (const channel of changed) {
        const wanted = this.#wanted.has(channel);
        if (wanted === session.sent.has(channel)) continue;
        if (wanted) session.sent.add(channel);
        else session.sent.delete(channel);
        (wanted ? added : removed).push(channel);
      }
      for (const chunk of chunks(removed)) await this.#command(session, () => session.subscriber.unsubscribe(chunk));
      for (const chunk of chunks(added)) await this.#command(session, () => session.subscriber.subscribe(chunk));
      void Promise.all(session.unconfirmed).then(() => this.#confirmed(session));
    } while (session === this.#session && (this.#changed.size > 0 || this.#waiting.length > 0));
    session.sending = false;
  }

  /** Sends one command, and lets others use the event loop. */
  async #command(session: Session, run: () => Promise<unknown>): Promise<void> {
    if (session !== this.#session) return;
    if (session.unconfirmed.length >= AHEAD) await session.unconfirmed.shift();
    if (session !== this.#session) return;
    const confirmation = new Promise((resolve) => resolve(run())).then(
      () => this.#progress(session),
      (error) => this.#lost(session, error),
    );
    session.unconfirmed.push(confirmation);
    await nextTick();
  }

  /** The commands of the oldest batch are confirmed. */
  #confirmed(session: Session): void {
    if (session !== this.#session) return;
    for (const resolve of session.batches.shift() ?? []) resolve();
    if (session.confirmed) return;
    session.confirmed = true;
    this.#stalled.stop();
    this.#retry.reset();
    this.#events.changed();
  }
}
