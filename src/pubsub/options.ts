/** The options of `PubSub`, of a subscription and of sending, and what is reported. */
import type { Clock } from "../session/clock.ts";
import type { AnySelf } from "../websock.ts";
import type { Address } from "./address.ts";
import type { Backplane } from "./backplane.ts";
import type { Codec } from "./codec.ts";
import type { BackplaneStats } from "./nodes/stats.ts";

/** A gap in what a member received from a topic. */
export interface Gap {
  /** The name of the topic. */
  readonly topic: string;
  /**
   * Why messages are missing. `"slow"`: the member read or handled too slowly. `"publisher"`: messages of another node
   * have not arrived. `"engine"`: the connection to the other nodes was interrupted, so some may be missing.
   */
  readonly cause: "slow" | "publisher" | "engine";
  /** How many messages and infos are missing; `undefined`: unknown. */
  readonly missed: number | undefined;
  /**
   * For `"publisher"`: the node that published the missing messages. For `"slow"`: the node of the member itself,
   * whoever published them. `undefined` for `"engine"`: unknown.
   */
  readonly node: string | undefined;
}

/**
 * What `PubSub` reports to its option `onEvent`.
 *
 * - `up`: other nodes can be reached. Members may have missed something: each one with `onGap` is told so.
 * - `away`: other nodes cannot be reached. What is published meanwhile reaches the members in this process only.
 * - `closed`: `pubsub.close()` was called; or, with a `cause`, the engine's client was closed by the application or has
 *   given up. With a `cause`, `up` follows if the application connects the client again.
 * - `gap`: members have missed something; each one with `onGap` is told so. Not reported for the cause `"engine"`: such
 *   a gap concerns all topics, and the event `up` stands for it.
 * - `error`: an info of another node could not be decoded (reported once for each topic), or a listener of
 *   `pubsub.onNodesInfo` or of a `Presence` has thrown.
 * - `warning`: a setting of the engine's client library weakens what this package guarantees.
 */
export type PubSubEvent =
  | { readonly type: "up" }
  | { readonly type: "away"; readonly cause: unknown }
  | { readonly type: "closed"; readonly cause?: unknown }
  | { readonly type: "gap"; readonly gap: Gap }
  | { readonly type: "error"; readonly error: unknown; readonly topic?: string }
  | { readonly type: "warning"; readonly message: string };

/** Options of `new PubSub`. All times are in milliseconds; most applications set only `backplane` and `onEvent`. */
export interface PubSubOptions {
  /**
   * The connection to other processes and machines, through an engine: the server (Redis, NATS) or process that carries
   * bytes between them. Default: none; the `PubSub` then belongs to this process alone.
   */
  readonly backplane?: Backplane;
  /** Encodes infos for other nodes. Default: JSON. */
  readonly codec?: Codec;
  /** Encodes and decodes local infos, too, so that tests see what another process would receive. Default: `false`. */
  readonly strict?: boolean;
  /** Is called for each event. An error that it throws is ignored. Default: none. */
  readonly onEvent?: (event: PubSubEvent) => void;
  /**
   * With a backplane: how long the node still receives a topic after its last member in this process has left. Default:
   * 2 000.
   */
  readonly linger?: number;
  /**
   * With a backplane: if nothing is received for this long, the node sends a message to itself, a probe. If the probe
   * does not come back within the same time, or the engine acknowledges nothing for this long while published bytes
   * wait for that, the engine counts as away, and the node connects again. Default: 15 000.
   */
  readonly probe?: number;
  /**
   * With a backplane: the maximum number of published bytes that the engine has not acknowledged yet, where each
   * envelope counts 512 bytes more. If it is reached, what is published does not reach other nodes (`publish` returns
   * `false`) until the engine has acknowledged some of it. Default: 8 MiB.
   */
  readonly maxUnacknowledged?: number;
  /** With a backplane: the interval at which the node tells the others that it is alive. Default: 5 000. */
  readonly beat?: number;
  /**
   * With a backplane: another node counts as down when nothing has been received from it for this long. It must be
   * above `beat`. Default: 30 000.
   */
  readonly down?: number;
  /** A clock for tests. Default: the system clock. */
  readonly clock?: Clock;
}

/** Options of `topic.subscribe`. */
export interface SubscribeOptions<Info> {
  /**
   * What happens if the member is too slow: `"close"` closes its connection (1013 if too much is buffered, 1011 if too
   * many infos wait), `"drop"` leaves out messages and infos. Default: `"close"`.
   *
   * @see https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
   */
  readonly slow?: "close" | "drop";
  /**
   * With `slow: "drop"`: the maximum number of bytes that may be buffered for the client, or wait until `init` has
   * returned. A message that would exceed it is dropped. Exception: while nothing is buffered, a message of any size is
   * sent. Default: 1 MiB. The connection's own `maxBuffered` applies as well.
   */
  readonly maxBuffered?: number;
  /**
   * Makes the info that announces a gap to `handleInfo`. For the cause `"slow"`, it is delivered directly before the
   * first info after the gap, or when the first message after the gap has been sent to the client, whichever comes
   * first. For the cause `"publisher"`, it is delivered before the first info after the gap. For the cause `"engine"`,
   * it is delivered when the engine is up again, to 1 000 members in each event-loop tick. Default: none; gaps are then
   * only reported to the option `onEvent` of the `PubSub`.
   */
  readonly onGap?: (gap: Gap) => Info;
}

/** Options of `topic.publish`, `topic.broadcast` and `topic.stop`. */
export interface SendOptions {
  /** Connections that are left out. Default: none. */
  readonly except?: AnySelf<never> | Address<never> | readonly (AnySelf<never> | Address<never>)[];
  /** Only to members in this process. Default: `false`. */
  readonly local?: boolean;
  /**
   * Leaves out members for whom bytes are already buffered, or for whom messages are held because their `init` has not
   * returned yet. `broadcast` also leaves out members for whom infos wait in the mailbox. Not counted as a gap.
   * Default: `false`.
   */
  readonly volatile?: boolean;
}

/** A connection's subscription to a topic. */
export interface Subscription {
  /** The name of the topic. */
  readonly topic: string;
  /**
   * Resolves with `true` when the engine has confirmed the subscription, or immediately if there is no backplane. From
   * then on, what other nodes publish arrives here. If you load what the connection needs to know (the history of a
   * room) only after that, nothing is missed in between. Resolves with `false` if the connection is ending, the
   * `PubSub` is closed, or other nodes cannot be reached. In the last case, what is published in this process arrives,
   * and `onGap` is called when the other nodes can be reached again. Never rejects.
   */
  readonly ready: Promise<boolean>;
  /** Ends this subscription. The connection stays a member as long as it has another subscription to this topic. */
  cancel(): void;
}

/** Statistics of a `PubSub`: three current numbers, followed by totals since it was created. */
export interface PubSubStats {
  /** The current number of topics that have subscriptions. */
  readonly topics: number;
  /** The current number of pairs of a connection and a topic. */
  readonly subscriptions: number;
  /** The current number of connections whose address was requested. */
  readonly addresses: number;
  /** Calls of `publish`. */
  readonly published: number;
  /** Calls of `broadcast`. */
  readonly broadcast: number;
  /** Messages and infos that were passed on to connections. */
  readonly delivered: number;
  /** Messages and infos that were left out because of `slow: "drop"`. */
  readonly dropped: number;
  /** Connections that were closed because a published message did not fit. */
  readonly closedSlow: number;
  /** The connection to other nodes; `undefined` without the option `backplane`. */
  readonly backplane: BackplaneStats | undefined;
}
