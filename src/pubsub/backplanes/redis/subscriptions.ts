/** The wanted channels, and the connection that subscribes to them: a new one after each loss. */
import { later } from "../../../adapters/shared/timers.ts";
import { Timer } from "../timer.ts";
import type { RedisDriver, RedisServer, Subscriber } from "./driver.ts";
import { Retry } from "./retry.ts";

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
interface SubscriberConnection {
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
  readonly #driver: RedisDriver;
  readonly #prefix: string;
  readonly #events: SubscriptionsEvents;
  /** Without the prefix. */
  readonly #wanted = new Set<string>();
  readonly #retry = new Retry();
  readonly #stalled = new Timer();
  #server: RedisServer | undefined;
  #connection: SubscriberConnection | undefined;
  /** The channels that were added or removed since commands were last sent; none while there is no connection. */
  #changed = new Set<string>();
  /** The calls of `subscribe` since then. */
  #waiting: (() => void)[] = [];
  #scheduled = false;
  #closed = false;

  /** @param prefix is put in front of every channel */
  constructor(driver: RedisDriver, prefix: string, events: SubscriptionsEvents) {
    this.#driver = driver;
    this.#prefix = prefix;
    this.#events = events;
  }

  get confirmed(): boolean {
    return this.#connection?.confirmed === true;
  }

  subscribe(channels: readonly string[]): Promise<void> {
    if (this.#closed) return Promise.resolve();
    for (const channel of channels) {
      this.#wanted.add(channel);
      if (this.#connection?.begun === true) this.#changed.add(channel);
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#schedule();
    });
  }

  unsubscribe(channels: readonly string[]): void {
    for (const channel of channels) {
      this.#wanted.delete(channel);
      if (this.#connection?.begun === true) this.#changed.add(channel);
    }
    this.#schedule();
  }

  /** Connects, unless that is being done or the client is closed. */
  start(): void {
    if (this.#closed || this.#driver.closed || this.#connection !== undefined || this.#retry.waiting) return;
    this.#retry.now(() => this.#connect());
  }

  /** Ends the connection. `start` makes a new one, if possible to another server. */
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
    if (this.#driver.closed) return;
    this.#server = this.#driver.server(this.#server);
    let connection: SubscriberConnection | undefined;
    try {
      if (this.#server === undefined) throw new Error("the client knows no server that it could connect to");
      const subscriber = this.#server.open({
        message: (channel, bytes) => {
          if (connection === undefined || connection !== this.#connection) return;
          this.#events.message(channel.slice(this.#prefix.length), bytes);
        },
        lost: (cause) => {
          if (connection !== undefined) this.#lost(connection, cause);
        },
      });
      const [sent, unconfirmed, batches] = [new Set<string>(), [], []];
      connection = { subscriber, sent, unconfirmed, batches, begun: false, sending: false, confirmed: false };
    } catch (error) {
      this.#failed(error);
      return;
    }
    this.#connection = connection;
    this.#progress(connection);
    void this.#begin(connection);
  }

  async #begin(connection: SubscriberConnection): Promise<void> {
    try {
      await connection.subscriber.ready;
    } catch (error) {
      return this.#lost(connection, error);
    }
    if (connection !== this.#connection) return;
    this.#progress(connection);
    connection.begun = true;
    void this.#send(connection, this.#wanted);
  }

  #end(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    this.#stalled.stop();
    // The next connection subscribes to all channels.
    this.#changed.clear();
    this.#waiting = [...connection.batches.flat(), ...this.#waiting];
    connection.batches = [];
    connection.subscriber.end();
  }

  #lost(connection: SubscriberConnection, cause: unknown): void {
    if (connection !== this.#connection) return;
    this.#end();
    this.#failed(cause);
  }

  #failed(cause: unknown): void {
    if (!this.#driver.closed) this.#retry.schedule(() => this.#connect());
    this.#events.changed(cause);
  }

  /** A connection that is being established has made progress. */
  #progress(connection: SubscriberConnection): void {
    if (connection.confirmed) return;
    const run = (): void => this.#lost(connection, new Error(`the engine has not answered for ${STALLED} ms`));
    this.#stalled.start(run, STALLED);
  }

  /** What is changed in one event-loop tick is sent together. */
  #schedule(): void {
    if (this.#scheduled || this.#connection?.begun !== true) return;
    this.#scheduled = true;
    later(() => {
      this.#scheduled = false;
      if (this.#connection?.begun === true) void this.#send(this.#connection);
    });
  }

  /** Tells the engine what has changed. It does not reject. */
  async #send(connection: SubscriberConnection, first?: ReadonlySet<string>): Promise<void> {
    if (connection.sending) return;
    connection.sending = true;
    let changed = first ?? this.#take();
    do {
      connection.batches.push(this.#waiting);
      this.#waiting = [];
      let [added, removed]: [string[], string[]] = [[], []];
      // While others use the event loop, channels may be added to the wanted ones and removed from them: they are also
      // in the next set of changes.
      for (const channel of changed) {
        const wanted = this.#wanted.has(channel);
        if (wanted === connection.sent.has(channel)) continue;
        if (wanted) connection.sent.add(channel);
        else connection.sent.delete(channel);
        (wanted ? added : removed).push(this.#prefix + channel);
        if (added.length === CHUNK) added = await this.#command(connection, "subscribe", added);
        if (removed.length === CHUNK) removed = await this.#command(connection, "unsubscribe", removed);
        if (connection !== this.#connection) return;
      }
      await this.#command(connection, "unsubscribe", removed);
      await this.#command(connection, "subscribe", added);
      void Promise.all(connection.unconfirmed).then(() => this.#confirmed(connection));
      changed = this.#take();
    } while (connection === this.#connection && (changed.size > 0 || this.#waiting.length > 0));
    connection.sending = false;
  }

  /** What has changed since the last call. */
  #take(): ReadonlySet<string> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  /** Sends one command, and lets others use the event loop. Returns an empty list for the next command. */
  async #command(
    connection: SubscriberConnection,
    name: "subscribe" | "unsubscribe",
    channels: string[],
  ): Promise<string[]> {
    if (channels.length === 0) return [];
    if (connection.unconfirmed.length >= AHEAD) await connection.unconfirmed.shift();
    if (connection !== this.#connection) return [];
    const confirmation = new Promise((resolve) => resolve(connection.subscriber[name](channels))).then(
      () => this.#progress(connection),
      (error) => this.#lost(connection, error),
    );
    connection.unconfirmed.push(confirmation);
    await nextTick();
    return [];
  }

  /** The commands of the oldest batch are confirmed. */
  #confirmed(connection: SubscriberConnection): void {
    if (connection !== this.#connection) return;
    for (const resolve of connection.batches.shift() ?? []) resolve();
    if (connection.confirmed) return;
    connection.confirmed = true;
    this.#stalled.stop();
    this.#retry.reset();
    this.#events.changed();
  }
}
