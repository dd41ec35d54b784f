/**
 * Statistics of the connection to other nodes. The numbers are totals since the `PubSub` was created, unless the
 * description says "current". An entry is a message, an info, or anything else that a node publishes to others, such as
 * a stop, a beat or a change of a presence.
 */
export interface BackplaneStats {
  /** Since when the status has been what it is. */
  readonly since: Date;
  /** The current number of nodes that are alive, with this one. */
  readonly nodes: number;
  /** The current number of channels that this node receives. */
  readonly channels: number;
  /** The envelopes that were published: usually one for each channel and event-loop tick. */
  readonly sentEnvelopes: number;
  /** The messages, infos and other entries in these envelopes. */
  readonly sentMessages: number;
  /** The bytes of these envelopes. */
  readonly sentBytes: number;
  /** The envelopes that were received, probes of this node included. */
  readonly receivedEnvelopes: number;
  /** The messages, infos and other entries in these envelopes. */
  readonly receivedMessages: number;
  /** The bytes of these envelopes. */
  readonly receivedBytes: number;
  /** The current number of published bytes that wait to be acknowledged by the engine. */
  readonly unacknowledgedBytes: number;
  /** Envelopes and probes whose publish has failed: the engine has refused them, or the connection was lost. */
  readonly rejected: number;
  /** Messages, infos and other entries that were not published, because the engine was away. */
  readonly droppedAway: number;
  /** Messages, infos and other entries that were not published, because they exceed the limit of the engine. */
  readonly droppedTooLarge: number;
  /** Messages, infos and other entries that were not published, because too many bytes were not acknowledged yet. */
  readonly droppedBacklog: number;
  /** Messages, infos and other entries that were received again, and dropped. */
  readonly duplicates: number;
  /** How often messages, infos or other entries of another node were missing. */
  readonly gaps: number;
  /** How many messages, infos and other entries of other nodes were missing. */
  readonly missed: number;
  /** Envelopes of this node that came back, and were dropped. */
  readonly echoes: number;
  /** Envelopes that no node can have sent, and that were dropped. */
  readonly malformed: number;
  /** Envelopes of another version of the format, and entries of a later one in a topic, which were dropped. */
  readonly unknownVersion: number;
  /** How many subscriptions to channels the engine was asked for. */
  readonly subscribed: number;
  /** How many probes were sent. */
  readonly probes: number;
  /** How long the last probe that came back took, in milliseconds; `undefined`: none has. */
  readonly probeRoundTrip: number | undefined;
}
