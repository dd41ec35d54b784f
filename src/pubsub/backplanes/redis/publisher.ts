/** Publishes through the client that was handed in. */
import type { RedisNode, RedisPort, WatchEvents } from "./port.ts";
import { Retry } from "./retry.ts";

interface Unsettled {
  readonly settled: (ok: boolean) => void;
}

export class Publisher {
  readonly #port: RedisPort;
  readonly #events: WatchEvents;
  readonly #unsettled = new Set<Unsettled>();
  readonly #retry = new Retry();
  readonly #unwatchPort: () => void;
  #node: RedisNode | undefined;
  #unwatchNode: (() => void) | undefined;
  #ready = false;

  /** `events.changed` is called after each change of `ready`, and when the client has been closed. */
  constructor(port: RedisPort, events: WatchEvents) {
    this.#port = port;
    this.#events = events;
    this.#unwatchPort = port.watch({ changed: (cause) => this.#check(cause), weak: events.weak });
    this.#use(port.node());
    this.#ready = this.#node?.ready === true;
    if (!this.#ready) this.#search();
  }

  get ready(): boolean {
    return this.#ready;
  }

  publish(channel: string, bytes: Uint8Array, settled: (ok: boolean) => void): void {
    const node = this.#node;
    // The client would queue it, and would send it after the next connection: too late.
    if (node?.ready !== true) return void settled(false);
    const entry: Unsettled = { settled };
    this.#unsettled.add(entry);
    const settle = (ok: boolean): void => {
      if (this.#unsettled.delete(entry)) settled(ok);
    };
    try {
      node.publish(channel, bytes).then(
        () => settle(true),
        () => settle(false),
      );
    } catch {
      settle(false);
    }
  }

  /** Publishes through another node, if there are several. */
  move(): void {
    const other = this.#port.node(this.#node);
    if (other === undefined || other === this.#node) return;
    this.#use(other);
    this.#check();
    this.#fail();
  }

  close(): void {
    this.#retry.stop();
    this.#unwatchPort();
    this.#use(undefined);
    this.#ready = false;
    this.#fail();
  }

  #use(node: RedisNode | undefined): void {
    this.#unwatchNode?.();
    this.#node = node;
    this.#unwatchNode = node?.watch({ changed: (cause) => this.#check(cause), weak: this.#events.weak });
  }

  #check(cause?: unknown): void {
    const before = this.#ready;
    this.#ready = this.#node?.ready === true;
    if (this.#ready) this.#retry.reset();
    else this.#search();
    this.#events.changed(cause);
    if (before && !this.#ready) this.#fail();
  }

  /** Waits for this node, and looks for another one. */
  #search(): void {
    if (this.#retry.waiting) return;
    this.#retry.schedule(() => {
      const node = this.#port.node(this.#node);
      if (node !== undefined && node !== this.#node && this.#node?.ready !== true) this.#use(node);
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
