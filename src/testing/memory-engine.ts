/** `MemoryEngine`: an engine in memory, to which the nodes of a test connect. */

import { later } from "../adapters/shared/timers.ts";
import { codedError } from "../error-codes.ts";
import type { Backplane, BackplaneConnection, BackplaneLink } from "../pubsub/backplane.ts";

/** Options of {@link MemoryEngine}. */
export interface MemoryEngineOptions {
  /**
   * Schedules each step of the engine: that it connects, receives a command, answers. Default: a later event-loop tick.
   * Tests with a queue of their own are deterministic: `defer: (run) => queue.push(run)`.
   */
  readonly defer?: (run: () => void) => void;
  /** The maximum size of a message in bytes; larger ones are refused. Default: 1 MiB. */
  readonly maxBytes?: number;
}

/** A message on its way from the engine to one node. */
export interface MemoryMessage {
  /** The channel to which it was published. */
  readonly channel: string;
  /** The envelope, as it was published. */
  readonly bytes: Uint8Array;
  /** The node that has published it. */
  readonly from: string;
  /** The node that is about to receive it. It is `from` itself, if that has subscribed to the channel. */
  readonly to: string;
}

/** What an engine can hold back: what nodes ask for, and the two kinds of its answers. */
export type MemorySteps = "commands" | "confirmations" | "settlements";

/** Options of {@link MemoryEngine.away}. */
export interface MemoryAwayOptions {
  /** Disconnects only this node. Default: all nodes, and those that connect later, until {@link MemoryEngine.up}. */
  readonly node?: string | undefined;
  /** The nodes do not connect again, also after {@link MemoryEngine.up}. Default: `false`. */
  readonly forever?: boolean;
}

/** Options of {@link MemoryEngine.up}. */
export interface MemoryUpOptions {
  /** Connects only this node. It has no effect while the engine is away for all nodes. Default: all nodes. */
  readonly node?: string | undefined;
}

/** How often nodes have asked the engine for something. */
export interface MemoryEngineStats {
  /** Messages that were published. */
  readonly publishes: number;
  /** Channels in all subscribe commands, those after a reconnection included. */
  readonly subscribes: number;
  /** Channels in all unsubscribe commands. */
  readonly unsubscribes: number;
  /** Calls of `reconnect()`. */
  readonly reconnects: number;
}

/**
 * An engine in memory that connects the nodes of one process, for tests. As with Redis, all nodes that have subscribed
 * to a channel receive what is published there, the publisher included.
 *
 * ```ts
 * const engine = new MemoryEngine();
 * const [one, other] = [engine, engine].map((shared) => new PubSub({ backplane: shared.backplane() }));
 * engine.away(); // both nodes are cut off
 * engine.up();
 * engine.onMessage = () => []; // every message is lost from here on
 * ```
 */
export class MemoryEngine {
  /**
   * Called for each message and each node that receives it: returns what the node receives instead. `[]` drops the
   * message, `[bytes, bytes]` duplicates it. `undefined`: everything is received as it was published.
   */
  onMessage: ((message: MemoryMessage) => readonly Uint8Array[]) | undefined;
  /** The maximum size of a message in bytes. May be changed at any time. */
  maxBytes: number;

  private readonly counts = { publishes: 0, subscribes: 0, unsubscribes: 0, reconnects: 0 };
  private readonly connections = new Set<MemoryConnection>();
  private readonly queues: Readonly<Record<MemorySteps, Queue>>;
  private readonly defer: (run: () => void) => void;
  private isUp = true;

  constructor({ defer = later, maxBytes = 1024 * 1024 }: MemoryEngineOptions = {}) {
    this.defer = defer;
    this.maxBytes = maxBytes;
    this.queues = { commands: new Queue(defer), confirmations: new Queue(defer), settlements: new Queue(defer) };
  }

  /** A backplane to this engine. It can be passed to several `PubSub`s; each is a node. */
  backplane(): Backplane {
    return {
      connect: (link) => {
        const connection = new MemoryConnection(this.access, link);
        this.connections.add(connection);
        this.defer(() => connection.open());
        return connection;
      },
    };
  }

  /** Disconnects nodes. What they have published and the engine has not received is lost. */
  away({ node, forever = false }: MemoryAwayOptions = {}): void {
    if (node === undefined) this.isUp = false;
    const cause = codedError("WEBSOCK_ENGINE_AWAY", "the memory engine is away");
    for (const connection of this.chosen(node)) connection.lose(cause, forever);
  }

  /** Connects nodes again, except those that are away forever. */
  up({ node }: MemoryUpOptions = {}): void {
    if (node === undefined) this.isUp = true;
    for (const connection of this.chosen(node)) connection.open();
  }

  /**
   * Holds steps back until {@link release}. Holding all of them looks like a frozen engine: nothing happens, and no
   * error is reported.
   *
   * @param steps default: all
   */
  hold(...steps: readonly MemorySteps[]): void {
    for (const queue of this.queuesOf(steps)) queue.hold();
  }

  /**
   * Continues with the steps that were held back, in their order.
   *
   * @param steps what to continue with. Default: everything
   */
  release(...steps: readonly MemorySteps[]): void {
    for (const queue of this.queuesOf(steps)) queue.release();
  }

  /**
   * The nodes that have subscribed to a channel at present.
   *
   * @param channel the name of the channel
   */
  subscribers(channel: string): readonly string[] {
    return [...this.connections].filter((each) => each.channels.has(channel)).map((each) => each.node);
  }

  /** The counters. */
  get stats(): MemoryEngineStats {
    return { ...this.counts };
  }

  private queuesOf(steps: readonly MemorySteps[]): readonly Queue[] {
    return steps.length === 0 ? Object.values(this.queues) : steps.map((step) => this.queues[step]);
  }

  private chosen(node: string | undefined): readonly MemoryConnection[] {
    return [...this.connections].filter((each) => node === undefined || each.node === node);
  }

  private readonly access: EngineAccess = {
    isUp: () => this.isUp,
    maxBytes: () => this.maxBytes,
    defer: (run) => this.defer(run),
    step: (kind, run) => this.queues[kind].add(run),
    count: (name, by) => {
      this.counts[name] += by;
    },
    deliver: (from, channel, bytes) => {
      for (const to of this.connections) {
        if (!to.channels.has(channel)) continue;
        const copies = this.onMessage?.({ channel, bytes: bytes.slice(), from, to: to.node }) ?? [bytes];
        for (const copy of copies) to.receive(channel, copy.slice());
      }
    },
    forget: (connection) => void this.connections.delete(connection),
  };
}

/** What a connection needs of its engine. */
interface EngineAccess {
  isUp(): boolean;
  maxBytes(): number;
  defer(run: () => void): void;
  step(kind: MemorySteps, run: () => void): void;
  count(name: keyof MemoryEngineStats, by: number): void;
  deliver(from: string, channel: string, bytes: Uint8Array): void;
  forget(connection: MemoryConnection): void;
}

/** Steps that run in their order, one for each call of `defer`, unless they are held back. */
class Queue {
  private steps: (() => void)[] = [];
  /** The index of the next step. Taking the first element of a long array would move all others. */
  private next = 0;
  private readonly defer: (run: () => void) => void;
  private isHeld = false;

  constructor(defer: (run: () => void) => void) {
    this.defer = defer;
  }

  add(step: () => void): void {
    this.steps.push(step);
    this.schedule();
  }

  hold(): void {
    this.isHeld = true;
  }

  release(): void {
    if (!this.isHeld) return;
    this.isHeld = false;
    for (let i = this.next; i < this.steps.length; i++) this.schedule();
  }

  /** More calls than steps can be scheduled after `hold` and `release`: those without a step do nothing. */
  private schedule(): void {
    this.defer(() => {
      if (this.isHeld || this.next === this.steps.length) return;
      const step = this.steps[this.next++]!;
      if (this.next === this.steps.length) [this.steps, this.next] = [[], 0];
      step();
    });
  }
}

class MemoryConnection implements BackplaneConnection {
  readonly node: string;
  /** The channels that the engine delivers to this node. */
  readonly channels = new Set<string>();
  private readonly wanted = new Set<string>();
  private readonly engine: EngineAccess;
  private readonly link: BackplaneLink;
  private readonly unsettled = new Set<(ok: boolean) => void>();
  /** Of the calls of `subscribe` that are not confirmed. */
  private readonly unconfirmed = new Set<() => void>();
  /** The connections to the engine so far, lost ones included: what belongs to an earlier one has no effect. */
  private epoch = 0;
  private state: "away" | "opening" | "up" | "ended" = "away";

  constructor(engine: EngineAccess, link: BackplaneLink) {
    this.engine = engine;
    this.link = link;
    this.node = link.node;
  }

  get maxBytes(): number {
    return this.engine.maxBytes();
  }

  open(): void {
    if (this.state !== "away" || !this.engine.isUp()) return;
    this.state = "opening";
    this.subscribeMissing();
  }

  /** Subscribes to what is wanted, and then to what has become wanted meanwhile, before it is up. */
  private subscribeMissing(): void {
    this.send(
      [...this.wanted].filter((channel) => !this.channels.has(channel)),
      () => {
        if ([...this.wanted].some((channel) => !this.channels.has(channel))) {
          this.subscribeMissing();
          return;
        }
        this.state = "up";
        const confirmed = [...this.unconfirmed];
        this.unconfirmed.clear();
        for (const resolve of confirmed) resolve();
        this.link.up();
      },
    );
  }

  lose(cause: unknown, forever: boolean): void {
    if (this.state === "ended") return;
    const isNews = this.state !== "away" || forever;
    this.disconnect(forever ? "ended" : "away");
    if (isNews) this.link.away(cause, forever);
    this.settleAll();
  }

  receive(channel: string, bytes: Uint8Array): void {
    if (this.wanted.has(channel)) this.link.receive(channel, bytes);
  }

  publish(channel: string, bytes: Uint8Array, settled: (ok: boolean) => void): void {
    const { engine, epoch } = this;
    const settle = (ok: boolean): void => {
      if (this.unsettled.delete(settle)) settled(ok);
    };
    this.unsettled.add(settle);
    engine.count("publishes", 1);
    if (this.state === "ended" || this.state === "away" || bytes.length > engine.maxBytes()) {
      engine.defer(() => settle(false));
      return;
    }
    const copy = bytes.slice();
    engine.step("commands", () => {
      if (epoch !== this.epoch) return;
      engine.step("settlements", () => settle(true));
      engine.deliver(this.node, channel, copy);
    });
  }

  subscribe(channels: readonly string[]): Promise<void> {
    for (const channel of channels) this.wanted.add(channel);
    return new Promise((resolve) => {
      this.unconfirmed.add(resolve);
      if (this.state !== "up") return;
      this.send(channels, () => {
        if (this.unconfirmed.delete(resolve)) resolve();
      });
    });
  }

  unsubscribe(channels: readonly string[]): void {
    const { engine, epoch } = this;
    for (const channel of channels) this.wanted.delete(channel);
    if (this.state !== "up" && this.state !== "opening") return;
    engine.count("unsubscribes", channels.length);
    engine.step("commands", () => {
      if (epoch === this.epoch) for (const channel of channels) this.channels.delete(channel);
    });
  }

  reconnect(): void {
    this.engine.count("reconnects", 1);
    this.engine.defer(() => {
      this.lose(codedError("WEBSOCK_ENGINE_AWAY", "the memory engine connects again"), false);
      this.open();
    });
  }

  async close(): Promise<void> {
    this.disconnect("ended");
    this.engine.forget(this);
    this.settleAll();
  }

  private disconnect(state: "away" | "ended"): void {
    this.state = state;
    this.epoch++;
    this.channels.clear();
  }

  private settleAll(): void {
    for (const settle of [...this.unsettled]) settle(false);
  }

  private send(channels: readonly string[], confirmed: () => void): void {
    const { engine, epoch } = this;
    engine.count("subscribes", channels.length);
    engine.step("commands", () => {
      if (epoch !== this.epoch) return;
      for (const channel of channels) this.channels.add(channel);
      engine.step("confirmations", () => {
        if (epoch === this.epoch) confirmed();
      });
    });
  }
}
