/** `websock-js/pubsub/nats`: a backplane over NATS. */
import { later, microtask, systemTimers } from "../../adapters/shared/timers.ts";
import { checkKeys, show } from "../../known-keys.ts";
import type { Backplane, BackplaneConnection, BackplaneLink } from "../backplane.ts";
import { nodeChannel } from "../nodes/channels.ts";
import {
  isNatsConnection,
  type NatsConnection,
  type NatsStatus,
  type NatsSubscription,
  settingsWarning,
} from "./nats/client.ts";
import { FlushWindow } from "./nats/flush-window.ts";
import { tokenOf } from "./nats/subject.ts";

export type { NatsConnection, NatsOptions, NatsStatus, NatsSubscription } from "./nats/client.ts";

/** Options of {@link natsBackplane}. */
export interface NatsBackplaneOptions {
  /**
   * A connection of `@nats-io/transport-node`, `@nats-io/transport-deno` or `wsconnect`, version 3 or later. It is never
   * closed. Recommended settings: `{ maxReconnectAttempts: -1, reconnectTimeWait: 250, pingInterval: 10_000 }`.
   */
  readonly connection: NatsConnection;
  /**
   * Separates applications, because all clients of a NATS account share its subjects. At least one character. The
   * subjects are `<prefix>.<channel>`, where each character except `[A-Za-z0-9_-]` is encoded as `=XX`.
   */
  readonly prefix: string;
}

/**
 * Connects the nodes of an application over NATS.
 *
 * The connection must be established before it is passed: `connect` of the client rejects if no server can be reached,
 * unless its option `waitOnFirstConnect` is `true`.
 *
 * @throws TypeError for an invalid or unknown option
 *
 * @example
 * ```ts
 * import { connect } from "@nats-io/transport-node";
 * import { PubSub } from "websock-js/pubsub";
 * import { natsBackplane } from "websock-js/pubsub/nats";
 *
 * const connection = await connect({
 *   servers: "nats://127.0.0.1:4222",
 *   maxReconnectAttempts: -1,
 *   reconnectTimeWait: 250,
 *   pingInterval: 10_000,
 * });
 * const pubsub = new PubSub({ backplane: natsBackplane({ connection, prefix: "chat" }) });
 * ```
 */
export const natsBackplane = (options: NatsBackplaneOptions): Backplane => {
  checkKeys(options, ["connection", "prefix"]);
  const { connection, prefix } = options;
  if (!isNatsConnection(connection))
    throw new TypeError(
      `option "connection" must be a connection of a NATS client 3 or later, not ${show(connection)}`,
    );
  const prefixToken = prefixTokenOf(prefix);
  return { connect: (link) => new NatsBackplaneConnection(link, connection, prefixToken) };
};

const prefixTokenOf = (prefix: unknown): string => {
  if (typeof prefix === "string" && prefix !== "")
    try {
      return tokenOf(prefix);
    } catch {} // a lone surrogate
  throw new TypeError(
    `option "prefix" must be a string of at least one character, without lone surrogates, not ${show(prefix)}`,
  );
};

/** The number of subscriptions that are made or ended in one event-loop tick. */
const CHUNK = 512;

/** NATS's default, until the server has told its own. */
const DEFAULT_MAX_PAYLOAD = 1024 * 1024;

/** How long the server may take to confirm all subscriptions, in milliseconds. Then another connection is tried. */
const CONFIRM_TIMEOUT = 15_000;

const tick = (): Promise<void> => new Promise(later);

/** Visits the items in chunks, between which the event loop runs. The first chunk is visited synchronously. */
const inChunks = async <T>(items: readonly T[], visit: (item: T) => void): Promise<void> => {
  for (const [index, item] of items.entries()) {
    if (index > 0 && index % CHUNK === 0) await tick();
    visit(item);
  }
};

/**
 * `reconnect` of the client waits until the socket has taken what was written. If the server is frozen, or the network
 * drops packets, that never happens with more than about 3 MiB: buffers of the operating system hold less.
 */
const MAX_UNACKNOWLEDGED = 2 * 1024 * 1024;

class NatsBackplaneConnection implements BackplaneConnection {
  readonly maxUnacknowledged = MAX_UNACKNOWLEDGED;
  private readonly link: BackplaneLink;
  private readonly connection: NatsConnection;
  private readonly prefix: string;
  /** What the node publishes to this channel must come back, also if the server does not echo. */
  private readonly ownChannel: string | undefined;
  private readonly window: FlushWindow;
  private readonly statuses: AsyncIterable<NatsStatus> & { stop?(): void };
  private state: "connecting" | "up" | "away" | "closed" = "connecting";
  /** The wanted channels. `undefined`: not yet subscribed to. */
  private readonly wanted = new Map<string, NatsSubscription | undefined>();
  /** Resolves when all wanted channels are subscribed to. */
  private opening: Promise<void> = Promise.resolve();
  /** Resolves when the client has been told to end all subscriptions to channels that are not wanted any more. */
  private removing: Promise<void> = Promise.resolve();
  private onUp: (() => void)[] = [];
  private lastMaxBytes = DEFAULT_MAX_PAYLOAD;
  private ending = false;
  private refused = false;

  constructor(link: BackplaneLink, connection: NatsConnection, prefix: string) {
    this.link = link;
    this.connection = connection;
    this.prefix = `${prefix}.`;
    this.ownChannel = connection.options?.noEcho === true ? nodeChannel(link.node) : undefined;
    this.window = new FlushWindow(async () => connection.flush());
    this.statuses = connection.status();
    void this.watch();
    void this.start();
  }

  get maxBytes(): number {
    return (this.lastMaxBytes = this.connection.info?.max_payload ?? this.lastMaxBytes);
  }

  publish(channel: string, bytes: Uint8Array, settled: (ok: boolean) => void): void {
    try {
      if (this.state !== "up") throw new Error("the server cannot be reached");
      this.connection.publish(this.subjectOf(channel), bytes);
    } catch {
      microtask(() => settled(false));
      return;
    }
    if (channel !== this.ownChannel) this.window.add(settled);
    else
      this.window.add((accepted) => {
        if (accepted && this.wanted.has(channel)) this.link.receive(channel, bytes);
        settled(accepted);
      });
  }

  async subscribe(channels: readonly string[]): Promise<void> {
    const added = channels.filter((channel) => !this.wanted.has(channel));
    for (const channel of added) this.wanted.set(channel, undefined);
    this.opening = this.opening.then(() => inChunks(added, (channel) => this.open(channel)));
    await this.opening;
    for (;;) {
      await this.whenUp();
      if (await this.accepted()) return;
      await tick(); // `watch` is about to know that the connection was lost
    }
  }

  unsubscribe(channels: readonly string[]): void {
    const subscriptions = channels.map((channel) => this.wanted.get(channel));
    for (const channel of channels) this.wanted.delete(channel);
    this.removing = Promise.all([this.removing, inChunks(subscriptions, (one) => one?.unsubscribe())]).then(
      () => undefined,
    );
  }

  reconnect(): void {
    if (this.state !== "closed") this.connection.reconnect().catch(() => undefined); // closed: `watch` knows
  }

  async close(): Promise<void> {
    if (this.state === "closed") return;
    this.state = "closed";
    this.window.lose();
    // Without `stop`, which the client does not declare, the listener remains until the next status.
    this.statuses.stop?.();
    this.unsubscribe([...this.wanted.keys()]);
    await this.removing;
  }

  private subjectOf(channel: string): string {
    return this.prefix + tokenOf(channel);
  }

  private open(channel: string): void {
    if (this.state === "closed" || !this.wanted.has(channel) || this.wanted.get(channel) !== undefined) return;
    try {
      const subscription = this.connection.subscribe(this.subjectOf(channel), {
        callback: (error, { data }) => {
          // After `unsubscribe`, messages may still arrive, also while there is a newer subscription to the channel.
          if (error === null && this.wanted.get(channel) === subscription) this.link.receive(channel, data);
        },
      });
      this.wanted.set(channel, subscription);
    } catch {
      // The application has closed the connection, or is about to.
    }
  }

  /** Whether the server has accepted what has been sent until now. `false`: the connection was lost. */
  private accepted(): Promise<boolean> {
    return new Promise((resolve) => this.window.add(resolve));
  }

  private whenUp(): Promise<void> | undefined {
    return this.state === "up" ? undefined : new Promise((resolve) => this.onUp.push(resolve));
  }

  private async start(): Promise<void> {
    await undefined; // the link must not be called before `connect` has returned
    const warning = settingsWarning(this.connection.options ?? {});
    if (warning !== undefined) this.link.warn(warning);
    await (this.connection.isClosed() ? this.end() : this.confirm());
  }

  private async watch(): Promise<void> {
    try {
      for await (const status of this.statuses) {
        if (this.state === "closed") return;
        this.handle(status);
      }
    } catch (error) {
      this.lost(error);
    }
    await this.end();
  }

  private handle({ type, error }: NatsStatus): void {
    switch (type) {
      case "disconnect":
      case "forceReconnect":
      case "reconnecting":
      case "staleConnection":
        this.lost(new Error(`the connection to the NATS server was lost (${type})`));
        break;
      case "reconnect":
        // A connection that was handed in while the client connected has not reported what came before.
        this.lost(new Error("the client has connected again"));
        void this.confirm();
        break;
      case "error":
        if (error !== undefined) this.reportRefusal(error);
        break;
    }
  }

  /** The client has sent all subscriptions again: waits until the server has confirmed them. */
  private async confirm(): Promise<void> {
    const timer = systemTimers.startInterval(() => this.reconnect(), CONFIRM_TIMEOUT);
    await this.opening;
    const confirmed = await this.accepted();
    systemTimers.stopInterval(timer);
    if (this.connection.isClosed()) return this.end();
    if (!confirmed || this.state === "closed" || this.state === "up") return;
    this.state = "up";
    this.link.up();
    const waiting = this.onUp;
    this.onUp = [];
    for (const resolve of waiting) resolve();
  }

  private lost(cause: unknown, forever = false): void {
    if (this.state === "closed") return;
    const isKnown = this.state === "away" && !forever;
    this.state = "away";
    this.window.lose();
    if (!isKnown) this.link.away(cause, forever);
  }

  /** The connection is closed for good, or is being closed. */
  private async end(): Promise<void> {
    if (this.state === "closed" || this.ending) return;
    this.ending = true;
    this.state = "away";
    this.window.lose();
    const cause = await this.connection.closed();
    this.lost(cause ?? new Error("the application has closed the connection to the NATS server"), true);
  }

  private reportRefusal(error: Error): void {
    if (this.refused || !error.message.includes(`"${this.prefix}`)) return;
    this.refused = true;
    this.link.warn(
      `the NATS server refuses a subject (${error.message}): permit ${this.prefix}* to publish and subscribe`,
    );
  }
}
