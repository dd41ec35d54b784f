/** The topics of a `PubSub` that channels use. A prefix keeps them apart from the application's topics. */
import { codedRangeError, codedTypeError } from "../error-codes.ts";
import { show } from "../known-keys.ts";
import type { PubSub } from "../pubsub/pubsub.ts";
import type { Topic } from "../pubsub/topic.ts";
import { fromBase64, toBase64 } from "./base64.ts";
import { bytesOf } from "./serializer.ts";

/** A broadcast event for the clients of a topic whose channel handles it itself (`handleOut`). */
export interface OutInfo {
  readonly type: "out";
  readonly topic: string;
  readonly event: string;
  readonly payload: unknown;
  /** Whether {@link payload} is bytes in base64: the codec of the `PubSub` may be JSON. */
  readonly isBytes: boolean;
}

export const outInfo = (topic: string, event: string, payload: unknown): OutInfo => {
  const bytes = bytesOf(payload);
  const isBytes = bytes !== undefined;
  return { type: "out", topic, event, payload: isBytes ? toBase64(bytes) : payload, isBytes };
};

export const payloadOf = ({ payload, isBytes }: OutInfo): unknown => (isBytes ? fromBase64(String(payload)) : payload);

const PREFIX = "websock-js/channels";

/** The longest topic that a client may join: the names of topics have at most 512 UTF-16 units. */
export const MAX_TOPIC_LENGTH = 450;

/** Messages that are sent to the clients of a topic as they are. */
export const clientsOf = (pubsub: PubSub, topic: string): Topic => pubsub.topic(`${PREFIX}:${topic}`);

/** Infos for the channels of a topic that have `handleOut`. */
export const interceptorsOf = (pubsub: PubSub, topic: string): Topic<OutInfo> =>
  pubsub.topic<OutInfo>(`${PREFIX}/out:${topic}`);

/**
 * The connections that have this id.
 *
 * @throws TypeError or RangeError unless it is a string of 1 to {@link MAX_TOPIC_LENGTH} UTF-16 units
 */
export const connectionsOf = (pubsub: PubSub, id: string): Topic => {
  if (typeof id !== "string")
    throw codedTypeError("WEBSOCK_INVALID_ARGUMENT", `the id of a connection must be a string, not ${show(id)}`);
  if (id.length === 0 || id.length > MAX_TOPIC_LENGTH)
    throw codedRangeError(
      "WEBSOCK_INVALID_ARGUMENT",
      `the id of a connection must have 1 to ${MAX_TOPIC_LENGTH} UTF-16 units, not ${id.length}`,
    );
  return pubsub.topic(`${PREFIX}/id:${id}`);
};
