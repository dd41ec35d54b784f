/** `testPubSub`: a `PubSub` for tests. */
import type { PubSubOptions } from "../pubsub/options.ts";
import { PubSub } from "../pubsub/pubsub.ts";

/**
 * Creates a `PubSub` that is strict by default: infos are encoded and decoded, so that a test fails if one would not
 * reach another process unchanged.
 *
 * ```ts
 * const pubsub = testPubSub();
 * ```
 *
 * @param options options of `PubSub`
 * @throws TypeError, RangeError or Error as the constructor of `PubSub` does
 */
export const testPubSub = (options: PubSubOptions = {}): PubSub => new PubSub({ strict: true, ...options });
