/** `websock-js/pubsub`: messages between connections. */

export type { Address } from "./address.ts";
export type { Backplane, BackplaneConnection, BackplaneLink } from "./backplane.ts";
export type { Codec } from "./codec.ts";
export type { BackplaneStats } from "./nodes/stats.ts";
export type {
  Gap,
  PubSubEvent,
  PubSubOptions,
  PubSubStats,
  SendOptions,
  SubscribeOptions,
  Subscription,
} from "./options.ts";
export { Presence, type PresenceOptions } from "./presence/presence.ts";
export type { Diff, PresenceList, Tracked } from "./presence/view.ts";
export { PubSub } from "./pubsub.ts";
export type { Topic } from "./topic.ts";
