/** The topics of a `PubSub` that channels use. They begin alike, so that they are not those of the application. */

import type { PubSub } from "../pubsub/pubsub.ts";
import type { Topic } from "../pubsub/topic.ts";

/** A broadcast event for the clients of a topic whose channel handles it itself (`handleOut`). */
export interface OutInfo {
  readonly type: "out";
  readonly topic: string;
  readonly event: string;
  readonly payload: unknown;
}

const PREFIX = "websock-js/channels";

/** The longest topic that a client may join: the names of topics have at most 512 UTF-16 units. */
export const MAX_TOPIC_LENGTH = 450;

/** Messages that are sent to the clients of a topic as they are. */
export const clientsOf = (pubsub: PubSub, topic: string): Topic => pubsub.topic(`${PREFIX}:${topic}`);

/** Infos for the channels of a topic that have `handleOut`. */
export const interceptorsOf = (pubsub: PubSub, topic: string): Topic<OutInfo> =>
  pubsub.topic<OutInfo>(`${PREFIX}/out:${topic}`);

/** The connections that `connect` has given this id. */
export const connectionsOf = (pubsub: PubSub, id: string): Topic => pubsub.topic(`${PREFIX}/id:${id}`);
