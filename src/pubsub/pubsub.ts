/** `PubSub`: topics and addresses of the connections of one process. */
import { show } from "../known-keys.ts";
import type { StopDetail } from "../result.ts";
import type { TopicHome } from "../session/self.ts";
import type { Self } from "../websock.ts";
import type { Address } from "./address.ts";
import { Hub } from "./hub.ts";
import { LocalTopic } from "./local-topic.ts";
import type { PubSubOptions, PubSubStats } from "./options.ts";
import { sessionOf } from "./session-of.ts";
import { checkTopicName, type Topic } from "./topic.ts";

/**
 * Topics and addresses of the connections of one process. Create one, and use it in all handlers.
 *
 * ```ts
 * const pubsub = new PubSub();
 * const lobby = pubsub.topic("lobby");
 * const Lobby = handler()({
 *   init: (_: void, self) => {
 *     lobby.subscribe(self);
 *     return ok(0);
 *   },
 *   handleIn: (message, count) => {
 *     lobby.publish(message);
 *     return ok(count + 1);
 *   },
 * });
 * ```
 */
export class PubSub {
  readonly #hub: Hub;

  /** @throws TypeError for an unknown option */
  constructor(options: PubSubOptions = {}) {
    this.#hub = new Hub(options);
  }

  /** @internal Stores the topics of connections in a Durable Object. */
  bindTo(home: TopicHome): void {
    this.#hub.bind(home);
  }

  /** Identifies this `PubSub`: a random UUID; in a Durable Object, the id of the object. */
  get node(): string {
    return this.#hub.node;
  }

  /** `"alone"`: without a connection to other processes. `"closed"` after {@link close}. */
  get status(): "alone" | "closed" {
    return this.#hub.closed ? "closed" : "alone";
  }

  /**
   * The topic of this name. Cheap: call it whenever you need it.
   *
   * @typeParam Info the type of the infos that its members receive. Default: none
   * @throws TypeError for a name that is not a string, RangeError unless it has 1 to 512 UTF-16 units
   */
  topic<Info = never>(name: string): Topic<Info> {
    checkTopicName(name);
    return new LocalTopic<Info>(name, this.#hub);
  }

  /**
   * The address of a connection. It is valid until the connection ends.
   *
   * @throws TypeError for a value that is not a `self`; Error on a host whose connections cannot send to each other
   */
  address<Info>(self: Self<Info>): Address<Info> {
    const session = this.#hub.memberSession(self);
    const address = `${this.node}:${self.id}`;
    if (!this.#hub.closed && session.endedBy === undefined) this.#hub.registry.register(session, address);
    return address as Address<Info>;
  }

  /**
   * Sends an info to the `handleInfo` of the connection with this address.
   *
   * @returns `false` if no open connection has it. `true` is no promise that the info is handled
   * @throws TypeError for an address that is not a string; the error of the codec, with the option `strict`
   */
  send<Info>(to: Address<Info>, info: NoInfer<Info>): boolean {
    checkAddress(to);
    const copy = this.#hub.localInfo(info);
    return this.#hub.findAddress(to)?.deliver(copy) ?? false;
  }

  /**
   * Ends the connection with this address, as `self.stop` does.
   *
   * @returns `false` if no open connection has it
   * @throws TypeError or RangeError as `self.stop` does, and TypeError for an address that is not a string
   */
  stop(to: Address<never>, reason: string, detail: StopDetail = {}): boolean {
    checkAddress(to);
    return this.#hub.findAddress(to)?.stopNow(reason, detail) ?? false;
  }

  /** The names of the topics to which a connection is subscribed, also while its `init` is pending. */
  topicsOf(self: Self<never>): string[] {
    return this.#hub.registry.topicsOf(sessionOf(self));
  }

  /** Counters. */
  get stats(): PubSubStats {
    const { registry, delivery, publishes, broadcasts } = this.#hub;
    return {
      topics: registry.topicCount,
      subscriptions: registry.subscriptions,
      addresses: registry.addressCount,
      published: publishes,
      broadcast: broadcasts,
      delivered: delivery.delivered,
      dropped: delivery.dropped,
      closedSlow: delivery.closedSlow,
    };
  }

  /** Ends all memberships and addresses. The connections stay open. Afterwards nothing is delivered. */
  close(): Promise<void> {
    const hub = this.#hub;
    if (!hub.closed) {
      hub.closed = true;
      hub.registry.clear();
      hub.emit({ type: "closed" });
    }
    return Promise.resolve();
  }
}

const checkAddress = (address: unknown): void => {
  if (typeof address !== "string")
    throw new TypeError(`an address is a string that pubsub.address(self) returned, not ${show(address)}`);
};
