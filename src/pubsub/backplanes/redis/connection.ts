/**
 * The connection of one node to Redis: publishes through the client, and subscribes through a connection of its own.
 */

import { runInRoot } from "../../../adapters/shared/async-context.ts";
import { codedError } from "../../../error-codes.ts";
import type { BackplaneConnection, BackplaneLink } from "../../backplane.ts";
import type { RedisDriver } from "./driver.ts";
import { Publisher } from "./publisher.ts";
import { Subscriptions } from "./subscriptions.ts";

/**
 * Half of the hard limit at which Redis, by default, disconnects a slow subscriber (`client-output-buffer-limit pubsub
 * 32mb 8mb 60`): a single message of 32 MiB would exceed it.
 */
const MAX_BYTES = 16 * 1024 * 1024;

export class RedisConnection implements BackplaneConnection {
  readonly maxBytes = MAX_BYTES;
  readonly #link: BackplaneLink;
  readonly #prefix: string;
  readonly #driver: RedisDriver;
  readonly #publisher: Publisher;
  readonly #subscriptions: Subscriptions;
  /** What the link knows. */
  #told: "nothing" | "up" | "away" | "forever" = "nothing";
  #warned = false;
  #settingsChecked = false;
  #closed = false;

  /** @param prefix is put in front of every channel */
  constructor(link: BackplaneLink, driver: RedisDriver, prefix: string) {
    this.#link = link;
    this.#prefix = prefix;
    this.#driver = driver;
    this.#subscriptions = new Subscriptions(driver, prefix, {
      message: (channel, bytes) => link.receive(channel, bytes),
      changed: (cause) => this.#tell(cause),
    });
    this.#publisher = runInRoot(
      () =>
        new Publisher(driver, {
          changed: (cause) => {
            if (driver.closed) this.#subscriptions.stop();
            else this.#subscriptions.start();
            this.#tell(cause);
          },
          warn: (message) => this.#warn(message),
        }),
    );
    this.#subscriptions.start();
  }

  publish(channel: string, bytes: Uint8Array, settled: (ok: boolean) => void): void {
    this.#publisher.publish(this.#prefix + channel, bytes, settled);
  }

  subscribe(channels: readonly string[]): Promise<void> {
    return this.#subscriptions.subscribe(channels);
  }

  unsubscribe(channels: readonly string[]): void {
    this.#subscriptions.unsubscribe(channels);
  }

  reconnect(): void {
    if (this.#closed) return;
    // The link knows that it is away.
    if (this.#told === "up") this.#told = "away";
    this.#subscriptions.stop();
    this.#publisher.move();
    this.#subscriptions.start();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#subscriptions.close();
    this.#publisher.close();
  }

  /** Tells the link what has changed. */
  #tell(cause?: unknown): void {
    if (this.#closed) return;
    if (this.#publisher.ready && this.#subscriptions.confirmed) {
      if (this.#told === "up") return;
      this.#told = "up";
      this.#checkSettings();
      this.#link.up();
      return;
    }
    const { closed } = this.#driver;
    // Before the first connection, only failures are news.
    const isNews = this.#told === "up" || (this.#told === "nothing" && cause !== undefined);
    if (!isNews && !(this.#told === "away" && closed)) return;
    this.#told = closed ? "forever" : "away";
    this.#link.away(
      cause ?? codedError("WEBSOCK_ENGINE_AWAY", closed ? "the client was closed" : "the connection to Redis is lost"),
      closed,
    );
  }

  /** Once: the driver may have to make a client to find out. */
  #checkSettings(): void {
    if (this.#settingsChecked) return;
    this.#settingsChecked = true;
    this.#warn(this.#driver.settingsWarning);
  }

  /** One warning is enough. */
  #warn(message: string | undefined): void {
    if (this.#closed || this.#warned || message === undefined) return;
    this.#warned = true;
    this.#link.warn(message);
  }
}
