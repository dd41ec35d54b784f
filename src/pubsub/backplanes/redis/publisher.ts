/** Publishes through the client that was handed in. */
import type { RedisDriver, RedisServer, WatchEvents } from "./driver.ts";
import { Retry } from "./retry.ts";

interface Unsettled {
  readonly settled: (ok: boolean) => void;
}

export class Publisher {
  readonly #driver: RedisDriver;
  readonly #events: WatchEvents;
  readonly #unsettled = new Set<Unsettled>();
  readonly #retry = new Retry();
  readonly #unwatchDriver: () => void;
  #server: RedisServer | undefined;
  #unwatchServer: (() => void) | undefined;
  #ready = false;

  /** `events.changed` is called after each event of the client and each attempt to find a server. */
  constructor(driver: RedisDriver, events: WatchEvents) {
    this.#driver = driver;
    this.#events = events;
    this.#unwatchDriver = driver.watch({ changed: (cause) => this.#check(cause), warn: events.warn });
    this.#use(driver.server());
    this.#ready = this.#server?.ready === true;
    if (!this.#ready) this.#search();
  }

  get ready(): boolean {
    return this.#ready;
  }

  publish(channel: string, bytes: Uint8Array, settled: (ok: boolean) => void): void {
    const server = this.#server;
    // The client would queue it, and would send it after the next connection: too late.
    if (server?.ready !== true) return void settled(false);
    const entry: Unsettled = { settled };
    this.#unsettled.add(entry);
    const settle = (ok: boolean): void => {
      if (this.#unsettled.delete(entry)) settled(ok);
    };
    try {
      server.publish(channel, bytes).then(
        () => settle(true),
        () => settle(false),
      );
    } catch {
      settle(false);
    }
  }

  /**
   * Gives up what is unsettled: the connection to the server may be half-open, and later replies are ignored. Publishes
   * through another server, if there are several.
   */
  move(): void {
    const other = this.#driver.server(this.#server);
    if (other !== undefined && other !== this.#server) {
      this.#use(other);
      this.#check();
    }
    this.#fail();
  }

  close(): void {
    this.#retry.stop();
    this.#unwatchDriver();
    this.#use(undefined);
    this.#ready = false;
    this.#fail();
  }

  #use(server: RedisServer | undefined): void {
    this.#unwatchServer?.();
    this.#server = server;
    this.#unwatchServer = server?.watch({ changed: (cause) => this.#check(cause), warn: this.#events.warn });
  }

  #check(cause?: unknown): void {
    const before = this.#ready;
    this.#ready = this.#server?.ready === true;
    if (this.#ready) this.#retry.reset();
    else this.#search();
    this.#events.changed(cause);
    if (before && !this.#ready) this.#fail();
  }

  /** Waits for this server, and looks for another one. A client that is closed emits an event when it is opened. */
  #search(): void {
    const { closed, opensSilently } = this.#driver;
    if (this.#retry.waiting || (closed && !opensSilently)) return;
    this.#retry.schedule(() => {
      const server = this.#driver.server(this.#server);
      if (server !== undefined && server !== this.#server && this.#server?.ready !== true) this.#use(server);
      this.#check();
    });
  }

  /** What was sent to the connection that is gone has probably not arrived. */
  #fail(): void {
    const failed = [...this.#unsettled];
    this.#unsettled.clear();
    for (const { settled } of failed) settled(false);
  }
}
