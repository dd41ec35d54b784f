/** `websock-js/channels`: a handler for the clients of Phoenix channels. */

export type {
  Immutable,
  InputOf,
  InvalidResult,
  OutputOf,
  SchemaIssue,
  SchemaResult,
  StandardSchema,
} from "../standard-schema.ts";
export {
  type Channel,
  type ChannelFor,
  channel,
  type EndReason,
  type EventOf,
  type EventSchemas,
  type Events,
  type MessageRef,
  type PayloadOf,
  type ReplyOf,
  type Socket,
} from "./channel.ts";
export {
  type Channels,
  type ChannelsInfo,
  type ChannelsOptions,
  type ChannelsState,
  type Connected,
  type ConnectIfNeeded,
  type Connecting,
  channels,
} from "./channels.ts";
export type { ConnectRequest } from "./connect-request.ts";
export { ChannelOverflow, JoinTimeout } from "./errors.ts";
export type { PresenceSource } from "./presence-messages.ts";
export {
  accept,
  type ChannelResult,
  type ConnectResult,
  type JoinResult,
  noreply,
  push,
  refuse,
  reply,
  type Status,
  stop,
} from "./results.ts";
export type { Ref } from "./serializer.ts";
