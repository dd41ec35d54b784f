/** `websock-js/pubsub/nats`: a backplane over NATS. */

import { microtask } from "../../adapters/shared/timers.ts";
import { codedError, codedTypeError } from "../../error-codes.ts";
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
import { Timer } from "./timer.ts";
import { CHUNK, nextTick, WantedChannels } from "./wanted-channels.ts";

export type { NatsConnection, NatsOptions, NatsStatus, NatsSubscription } from "./nats/client.ts";

/** Options of {@link natsBackplane}. */
export interface NatsBackplaneOptions {
  /**
   * A connection of `@nats-io/transport-node`, `@nats-io/transport-deno` or `wsconnect`, version 3 or later. It is
   * never closed. Recommended settings: `{ maxReconnectAttempts: -1, reconnectTimeWait: 250, pingInterval: 10_000 }`.
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
 * @param options the connection, and the prefix of all subjects
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
    throw codedTypeError(
      "WEBSOCK_INVALID_OPTION",
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
  throw codedTypeError(
    "WEBSOCK_INVALID_OPTION",
    `option "prefix" must be a string of at least one character, without lone surrogates, not ${show(prefix)}`,
  );
};

/** NATS's default, until the server has told its own. */
const DEFAULT_MAX_PAYLOAD = 1024 * 1024;

/** How long the server may take to confirm all subscriptions, in milliseconds. Then another connection is tried. */
const CONFIRM_TIMEOUT = 15_000;

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
  private readonly channels = new WantedChannels(() => this.confirmed());
  /** The client renews them whenever it connects again. */
  private readonly subscriptions = new Map<string, NatsSubscription>();
  /** The channels of the subscriptions, for `channels`. */
  private readonly subscribed = new Set<string>();
  /** Runs until the server has confirmed all subscriptions. */
  private readonly confirming = new Timer();
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
      if (this.state !== "up") throw codedError("WEBSOCK_ENGINE_AWAY", "the server cannot be reached");
      this.connection.publish(this.subjectOf(channel), bytes);
    } catch {
      microtask(() => settled(false));
      return;
    }
    if (channel !== this.ownChannel) this.window.add(settled);
    else
      this.window.add((accepted) => {
        if (accepted && this.channels.has(channel)) this.link.receive(channel, bytes);
        settled(accepted);
      });
  }

  subscribe(channels: readonly string[]): Promise<void> {
    return this.channels.subscribe(channels);
  }

  unsubscribe(channels: readonly string[]): void {
    this.channels.unsubscribe(channels);
  }

  reconnect(): void {
    if (this.state !== "closed") this.connection.reconnect().catch(() => undefined); // closed: `watch` knows
  }

  async close(): Promise<void> {
    if (this.state === "closed") return;
    this.state = "closed";
    this.disconnected();
    this.channels.close();
    // Without `stop`, which the client does not declare, the listener remains until the next status.
    this.statuses.stop?.();
    for (const [index, subscription] of [...this.subscriptions.values()].entries()) {
      if (index > 0 && index % CHUNK === 0) await nextTick();
      subscription.unsubscribe();
    }
  }

  private subjectOf(channel: string): string {
    return this.prefix + tokenOf(channel);
  }

  /** Remains pending if the connection is lost: `watch` is about to know. */
  private async send(added: readonly string[], removed: readonly string[]): Promise<void> {
    for (const channel of removed) {
      this.subscriptions.get(channel)?.unsubscribe();
      this.subscriptions.delete(channel);
    }
    for (const channel of added) this.open(channel);
    return new Promise((resolve) => this.window.add((accepted) => accepted && resolve()));
  }

  private open(channel: string): void {
    try {
      const subscription = this.connection.subscribe(this.subjectOf(channel), {
        callback: (error, { data }) => {
          // After `unsubscribe`, messages may still arrive, also while there is a newer subscription to the channel.
          if (error !== null || this.subscriptions.get(channel) !== subscription || !this.channels.has(channel)) return;
          this.link.receive(channel, data);
        },
      });
      this.subscriptions.set(channel, subscription);
    } catch {
      // The application has closed the connection, or is about to.
    }
  }

  private async start(): Promise<void> {
    await undefined; // the link must not be called before `connect` has returned
    if (this.state === "closed") return;
    const warning = settingsWarning(this.connection.options ?? {});
    if (warning !== undefined) this.link.warn(warning);
    if (this.connection.isClosed()) await this.end();
    else this.confirm();
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
        this.lost(codedError("WEBSOCK_ENGINE_AWAY", `the connection to the NATS server was lost (${type})`));
        break;
      case "reconnect":
        // A connection that was handed in while the client connected has not reported what came before.
        this.lost(codedError("WEBSOCK_ENGINE_AWAY", "the client has connected again"));
        this.confirm();
        break;
      case "error":
        if (error !== undefined) this.reportRefusal(error);
        break;
    }
  }

  /** The client has sent all subscriptions again: waits until the server has confirmed them. */
  private confirm(): void {
    const startTimer = (): void =>
      this.confirming.start(() => {
        this.reconnect();
        startTimer();
      }, CONFIRM_TIMEOUT);
    startTimer();
    this.channels.connected((added, removed) => this.send(added, removed), this.subscribed);
  }

  private confirmed(): void {
    this.confirming.stop();
    if (this.connection.isClosed()) void this.end();
    if (this.state === "closed" || this.state === "up" || this.ending) return;
    this.state = "up";
    this.link.up();
  }

  private disconnected(): void {
    this.confirming.stop();
    this.channels.disconnected();
    this.window.lose();
  }

  private lost(cause: unknown, forever = false): void {
    if (this.state === "closed") return;
    const isKnown = this.state === "away" && !forever;
    this.state = "away";
    this.disconnected();
    if (!isKnown) this.link.away(cause, forever);
  }

  /** The connection is closed for good, or is being closed. */
  private async end(): Promise<void> {
    if (this.state === "closed" || this.ending) return;
    this.ending = true;
    this.state = "away";
    this.disconnected();
    const cause = await this.connection.closed();
    this.lost(
      cause ?? codedError("WEBSOCK_ENGINE_AWAY", "the application has closed the connection to the NATS server"),
      true,
    );
  }

  private reportRefusal(error: Error): void {
    if (this.refused || !error.message.includes(`"${this.prefix}`)) return;
    this.refused = true;
    this.link.warn(
      `the NATS server refuses a subject (${error.message}): permit ${this.prefix}* to publish and subscribe`,
    );
  }
}
