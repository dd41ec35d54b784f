/** Topics: named sets of connections. */
import { codedRangeError, codedTypeError } from "../error-codes.ts";
import type { Messages } from "../message.ts";
import type { StopDetail } from "../result.ts";
import type { AnySelf, Self } from "../websock.ts";
import type { SendOptions, SubscribeOptions, Subscription } from "./options.ts";

/**
 * A named set of connections. It needs no memory while it has no members.
 *
 * @typeParam Info the type of the infos that its members receive. Default: none
 */
export interface Topic<Info = never> {
  /** The name: 1 to 512 UTF-16 units. */
  readonly name: string;
  /** The number of members in this process whose `init` has returned. */
  readonly size: number;
  /**
   * Makes a connection a member until it ends. If its `init` has not returned, messages that are published meanwhile
   * are sent after the messages of `init`, and {@link size} and {@link members} do not count the connection yet. A
   * connection that subscribes again still receives everything once, with the options of its first subscription, and
   * stays a member until each subscription is cancelled.
   *
   * @param self the connection
   * @param options what happens to messages that are too much for it
   * @throws TypeError for a value that is not a `self`, or an unknown or invalid option; in a Durable Object, also for
   * the option `onGap`, and if the topics of the connection do not fit into what the host stores during hibernation
   * @throws RangeError for a `maxBuffered` of 0 or less
   * @throws Error on a host whose connections cannot send to each other, and for a connection of a Durable Object
   * unless this `PubSub` was passed to its `attach`
   */
  readonly subscribe: (self: AnySelf<Info>, options?: SubscribeOptions<Info>) => Subscription;
  /**
   * Ends all subscriptions of a connection to this topic. Infos that are already queued still arrive.
   *
   * @param self the connection
   * @throws TypeError for a value that is not a `self`
   */
  readonly unsubscribe: (self: AnySelf<never>) => void;
  /**
   * Sends an info to the `handleInfo` of each member.
   *
   * @param info any value; with a backplane, one that the codec can encode
   * @param options who is left out
   * @returns `false` if the `PubSub` is closed, or if it is known that other nodes are not reached
   * @throws TypeError for an unknown or invalid option. With a backplane or with the option `strict` of the `PubSub`,
   * also for an info that JSON cannot represent; another codec may throw other errors
   */
  readonly broadcast: (info: Info, options?: SendOptions) => boolean;
  /**
   * Sends messages to the client of each member. No callback runs.
   *
   * @param messages one message or an array of messages
   * @param options who is left out
   * @returns `false` if the `PubSub` is closed, or if it is known that other nodes are not reached
   * @throws RangeError for a message that may not be sent, TypeError for a value that is not a message, and for an
   * unknown or invalid option
   */
  readonly publish: (messages: Messages, options?: SendOptions) => boolean;
  /**
   * Ends the connection of each member, as `self.stop` does. Subscribe the connections of a user to `user:<id>`, and
   * this kicks the user.
   *
   * @param reason why the connections end: as for `self.stop`
   * @param detail the close code, the close reason text, messages to send first, and whether to abort the connections
   * @param options who is left out
   * @throws TypeError or RangeError as `self.stop` does; TypeError also for a reason that is not a string, and for an
   * unknown or invalid option
   */
  readonly stop: (reason: string, detail?: StopDetail, options?: SendOptions) => void;
  /** A snapshot of the members in this process whose `init` has returned. */
  readonly members: () => Iterable<Self<Info>>;
}

const MAX_NAME_LENGTH = 512;

/** @throws TypeError or RangeError for a value that cannot be the name of a topic */
export const checkTopicName = (name: unknown): void => {
  if (typeof name !== "string")
    throw codedTypeError("WEBSOCK_INVALID_ARGUMENT", `the name of a topic must be a string, not a ${typeof name}`);
  if (name.length === 0 || name.length > MAX_NAME_LENGTH)
    throw codedRangeError(
      "WEBSOCK_INVALID_ARGUMENT",
      `the name of a topic must have 1 to ${MAX_NAME_LENGTH} UTF-16 units, not ${name.length}`,
    );
};
