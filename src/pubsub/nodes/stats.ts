/** The counters of the connection to other nodes. */

/** Statistics of the connection to other nodes. Unless a current number is named, each counts since the start. */
export interface BackplaneStats {
  /** Since when the status has been what it is. */
  readonly since: Date;
  /** The current number of nodes that are alive, with this one. */
  readonly nodes: number;
  /** The current number of channels that this node receives. */
  readonly channels: number;
  /** What was published to other nodes: one envelope for each topic and event-loop tick. */
  readonly sentEnvelopes: number;
  /** The messages, infos and other entries in these envelopes. */
  readonly sentMessages: number;
  readonly sentBytes: number;
  readonly receivedEnvelopes: number;
  readonly receivedMessages: number;
  readonly receivedBytes: number;
  /** The current number of published bytes that the engine has not acknowledged. */
  readonly unacknowledgedBytes: number;
  /** Envelopes that the engine has refused, or that were lost with a connection. */
  readonly rejected: number;
  /** Messages and infos that were not published, because the engine was away. */
  readonly droppedAway: number;
  /** Messages and infos that were not published, because they exceed the limit of the engine. */
  readonly droppedTooLarge: number;
  /** Messages and infos that were not published, because the engine had not acknowledged earlier ones. */
  readonly droppedBacklog: number;
  /** Messages and infos that were received again, and dropped. */
  readonly duplicates: number;
  /** How often messages or infos of another node were missing. */
  readonly gaps: number;
  /** How many messages and infos of other nodes were missing. */
  readonly missed: number;
  /** Envelopes of this node that came back, and were dropped. */
  readonly echoes: number;
  /** Envelopes that no node can have sent, and that were dropped. */
  readonly malformed: number;
  /** Envelopes of another version of the format, which were dropped. */
  readonly unknownVersion: number;
  /** How many subscriptions to channels the engine was asked for. */
  readonly subscribed: number;
  /** How many probes were sent. */
  readonly probes: number;
  /** How long the last probe took, in milliseconds; `undefined`: none has come back. */
  readonly probeRoundTrip: number | undefined;
}
