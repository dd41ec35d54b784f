/** The connection that subscribes to the wanted channels: a new one after each loss. */
import { codedError } from "../../../error-codes.ts";
import { Timer } from "../timer.ts";
import { WantedChannels } from "../wanted-channels.ts";
import type { RedisDriver, RedisServer, Subscriber } from "./driver.ts";
import { Retry } from "./retry.ts";

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
  /** The subscriptions to all channels that were wanted when it connected are confirmed. */
  isConfirmed: boolean;
}

export class Subscriptions {
  readonly #driver: RedisDriver;
  readonly #prefix: string;
  readonly #events: SubscriptionsEvents;
  /** Without the prefix. */
  readonly #channels = new WantedChannels(() => this.#confirmed());
  readonly #retry = new Retry();
  readonly #stalled = new Timer();
  #server: RedisServer | undefined;
  #connection: SubscriberConnection | undefined;
  #closed = false;

  /** @param prefix is put in front of every channel */
  constructor(driver: RedisDriver, prefix: string, events: SubscriptionsEvents) {
    this.#driver = driver;
    this.#prefix = prefix;
    this.#events = events;
  }

  get confirmed(): boolean {
    return this.#connection?.isConfirmed === true;
  }

  subscribe(channels: readonly string[]): Promise<void> {
    return this.#channels.subscribe(channels);
  }

  unsubscribe(channels: readonly string[]): void {
    this.#channels.unsubscribe(channels);
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
    this.#channels.close();
  }

  #connect(): void {
    if (this.#driver.closed) return;
    this.#server = this.#driver.server(this.#server);
    let connection: SubscriberConnection | undefined;
    try {
      if (this.#server === undefined)
        throw codedError("WEBSOCK_ENGINE_AWAY", "the client knows no server that it could connect to");
      const subscriber = this.#server.open({
        message: (channel, bytes) => {
          if (connection === undefined || connection !== this.#connection) return;
          this.#events.message(channel.slice(this.#prefix.length), bytes);
        },
        lost: (cause) => {
          if (connection !== undefined) this.#lost(connection, cause);
        },
      });
      connection = { subscriber, isConfirmed: false };
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
    this.#channels.connected((added, removed) => this.#send(connection, added, removed));
  }

  #end(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    this.#stalled.stop();
    this.#channels.disconnected();
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
    if (connection.isConfirmed) return;
    const run = (): void =>
      this.#lost(connection, codedError("WEBSOCK_ENGINE_AWAY", `the engine has not answered for ${STALLED} ms`));
    this.#stalled.start(run, STALLED);
  }

  /** Removes channels and adds others. Remains pending if the connection is lost. */
  #send(connection: SubscriberConnection, added: readonly string[], removed: readonly string[]): Promise<void> {
    const command = async (name: "subscribe" | "unsubscribe", channels: readonly string[]): Promise<void> => {
      if (channels.length > 0) await connection.subscriber[name](channels.map((channel) => this.#prefix + channel));
    };
    return Promise.all([command("unsubscribe", removed), command("subscribe", added)]).then(
      () => this.#progress(connection),
      (error) => {
        this.#lost(connection, error);
        return new Promise(() => undefined);
      },
    );
  }

  #confirmed(): void {
    const connection = this.#connection;
    if (connection === undefined || connection.isConfirmed) return;
    connection.isConfirmed = true;
    this.#stalled.stop();
    this.#retry.reset();
    this.#events.changed();
  }
}
