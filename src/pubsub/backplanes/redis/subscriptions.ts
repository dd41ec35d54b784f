/** The wanted channels, and the connection that subscribes to them: a new one after each loss. */
import { later } from "../../../adapters/shared/timers.ts";
import type { RedisNode, RedisPort, Subscriber } from "./port.ts";
import { Retry, Timer } from "./retry.ts";

/** The number of channels in one SUBSCRIBE. */
const CHUNK = 512;

/**
 * The number of commands that are sent before the first of them is confirmed. All replies that have arrived are parsed in
 * one event-loop tick, so this bounds how long that takes.
 */
const AHEAD = 4;

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

const nextTick = (): Promise<void> => new Promise(later);

export class Subscriptions {
  readonly #port: RedisPort;
  readonly #prefix: string;
  readonly #events: SubscriptionsEvents;
  /** Without the prefix. */
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

  /** @param prefix is put in front of every channel */
  constructor(port: RedisPort, prefix: string, events: SubscriptionsEvents) {
    this.#port = port;
    this.#prefix = prefix;
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
          if (session === undefined || session !== this.#session) return;
          this.#events.message(channel.slice(this.#prefix.length), bytes);
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
    void this.#send(session, this.#wanted);
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
  async #send(session: Session, first?: ReadonlySet<string>): Promise<void> {
    if (session.sending) return;
    session.sending = true;
    let changed = first ?? this.#take();
    do {
      session.batches.push(this.#waiting);
      this.#waiting = [];
      let [added, removed]: [string[], string[]] = [[], []];
      // While others use the event loop, channels may be added to the wanted ones and removed from them: they are also
      // in the next set of changes.
      for (const channel of changed) {
        const wanted = this.#wanted.has(channel);
        if (wanted === session.sent.has(channel)) continue;
        if (wanted) session.sent.add(channel);
        else session.sent.delete(channel);
        (wanted ? added : removed).push(this.#prefix + channel);
        if (added.length === CHUNK) added = await this.#command(session, "subscribe", added);
        if (removed.length === CHUNK) removed = await this.#command(session, "unsubscribe", removed);
        if (session !== this.#session) return;
      }
      await this.#command(session, "unsubscribe", removed);
      await this.#command(session, "subscribe", added);
      void Promise.all(session.unconfirmed).then(() => this.#confirmed(session));
      changed = this.#take();
    } while (session === this.#session && (changed.size > 0 || this.#waiting.length > 0));
    session.sending = false;
  }

  /** What has changed since the last call. */
  #take(): ReadonlySet<string> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  /** Sends one command, and lets others use the event loop. Returns an empty list for the next command. */
  async #command(session: Session, name: "subscribe" | "unsubscribe", channels: string[]): Promise<string[]> {
    if (channels.length === 0) return [];
    if (session.unconfirmed.length >= AHEAD) await session.unconfirmed.shift();
    if (session !== this.#session) return [];
    const confirmation = new Promise((resolve) => resolve(session.subscriber[name](channels))).then(
      () => this.#progress(session),
      (error) => this.#lost(session, error),
    );
    session.unconfirmed.push(confirmation);
    await nextTick();
    return [];
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
