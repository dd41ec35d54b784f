/** The options of `PubSub`, of a subscription and of sending, and what is reported. */
import type { Self } from "../websock.ts";
import type { Address } from "./address.ts";
import type { Codec } from "./codec.ts";

/** A gap in what a member received from a topic. */
export interface Gap {
  /** The name of the topic. */
  readonly topic: string;
  /** Why messages are missing. In one process always `"slow"`: the member read or handled too slowly. */
  readonly cause: "slow" | "publisher" | "engine";
  /** How many messages and infos are missing; `undefined`: unknown. */
  readonly missed: number | undefined;
  /** `PubSub.node` of the `PubSub` that published the missing messages; `undefined`: unknown. */
  readonly node: string | undefined;
}

/** What `PubSub` reports to its option `onEvent`. */
export type PubSubEvent = { readonly type: "gap"; readonly gap: Gap } | { readonly type: "closed" };

/** Options of `new PubSub`. */
export interface PubSubOptions {
  /** Encodes infos. Default: JSON. */
  readonly codec?: Codec;
  /** Encodes and decodes local infos, too, so that tests see what another process would receive. Default: `false`. */
  readonly strict?: boolean;
  /** Is called for each event. An error that it throws is ignored. */
  readonly onEvent?: (event: PubSubEvent) => void;
}

/** Options of `topic.subscribe`. */
export interface SubscribeOptions<Info> {
  /**
   * What happens if the member is too slow: `"close"` closes its connection (1013 if too much is buffered, 1011 if too
   * many infos wait), `"drop"` leaves out messages and infos. Default: `"close"`.
   */
  readonly slow?: "close" | "drop";
  /**
   * With `slow: "drop"`: the number of buffered bytes at which messages are dropped. Default: 1 MiB. The connection's
   * own `maxBuffered` applies as well.
   */
  readonly maxBuffered?: number;
  /**
   * Makes the info that announces a gap to `handleInfo`. It is delivered directly before the first info after the gap,
   * or when the first message after the gap has been sent to the client, whichever comes first.
   */
  readonly onGap?: (gap: Gap) => Info;
}

/** Options of `topic.publish`, `topic.broadcast` and `topic.stop`. */
export interface SendOptions {
  /** Connections that are left out. */
  readonly except?: Self<never> | Address<never> | readonly (Self<never> | Address<never>)[];
  /** Only to members in this process. It has no effect yet: a `PubSub` belongs to one process. Default: `false`. */
  readonly local?: boolean;
  /** Leaves out members for whom something is already buffered or waiting. Not counted as a gap. Default: `false`. */
  readonly volatile?: boolean;
}

/** A connection's subscription to a topic. */
export interface Subscription {
  /** The name of the topic. */
  readonly topic: string;
  /**
   * Resolves when the subscription is effective; with `false` if the connection is ending or the `PubSub` is closed.
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
}
