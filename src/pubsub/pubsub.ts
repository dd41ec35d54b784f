/** `PubSub`: topics and addresses of connections. */
import type { StopDetail } from "../result.ts";
import type { TopicHome } from "../session/self.ts";
import type { AnySelf } from "../websock.ts";
import type { Address } from "./address.ts";
import { checkStop } from "./check-stop.ts";
import { checkAddress, Hub } from "./hub.ts";
import { HubTopic } from "./hub-topic.ts";
import type { PubSubOptions, PubSubStats } from "./options.ts";
import { sessionOf } from "./session-of.ts";
import { checkTopicName, type Topic } from "./topic.ts";

/**
 * Topics and addresses of connections. Create one `PubSub` in each process, and use it in all handlers. With the option
 * `backplane`, it reaches the connections of all processes that have the same engine.
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

  /**
   * @throws TypeError for an unknown or invalid option
   * @throws RangeError for a number that is not above zero, and unless `down` is above `beat`
   * @throws Error if the port of its `threadsBackplane` already serves another `PubSub`
   */
  constructor(options: PubSubOptions = {}) {
    this.#hub = new Hub(options);
  }

  /** @internal For `Presence`. */
  static hubOf(pubsub: PubSub): Hub {
    return pubsub.#hub;
  }

  /** @internal Stores the topics of connections in a Durable Object. */
  bindTo(home: TopicHome): void {
    this.#hub.bind(home);
  }

  /** Identifies this `PubSub` among the nodes: a random UUID; in a Durable Object, the id of the object. */
  get node(): string {
    return this.#hub.node;
  }

  /**
   * `"alone"`: without the option `backplane`. `"up"`: other nodes can be reached. `"away"`: not at present.
   * `"closed"`: {@link close} was called; or the client of the engine was closed by the application, or has given up,
   * and only connections in this process can be reached. In the last two cases, the status becomes `"up"` again if the
   * application connects the client again.
   */
  get status(): "alone" | "up" | "away" | "closed" {
    const { closed, nodes } = this.#hub;
    return closed ? "closed" : (nodes?.status ?? "alone");
  }

  /**
   * The topic of this name. Cheap: call it whenever you need it.
   *
   * @param name a string of 1 to 512 UTF-16 units
   * @typeParam Info the type of the infos that its members receive. Default: none
   * @throws TypeError for a name that is not a string, RangeError unless it has 1 to 512 UTF-16 units
   */
  topic<Info = never>(name: string): Topic<Info> {
    checkTopicName(name);
    return new HubTopic<Info>(name, this.#hub);
  }

  /**
   * The address of a connection. It is valid until the connection ends.
   *
   * @param self the connection
   * @throws TypeError for a value that is not a `self`
   * @throws Error on a host whose connections cannot send to each other, and for a connection of a Durable Object
   * unless this `PubSub` was passed to its `attach`
   */
  address<Info>(self: AnySelf<Info>): Address<Info> {
    const session = this.#hub.memberSession(self);
    const address = `${this.node}:${self.id}`;
    if (!this.#hub.closed && session.endedBy === undefined) this.#hub.registry.register(session, address);
    return address as Address<Info>;
  }

  /**
   * Sends an info to the `handleInfo` of the connection with this address, on whichever node it is.
   *
   * @param to what {@link address} has returned, on any node
   * @param info any value; for a connection of another node, one that the codec can encode
   * @returns `false` if it is certain that the info does not arrive: {@link close} was called; or the address is not
   * one of another node, and no connection in this process has it; or it is one of another node, and the engine is
   * away, too many bytes wait to be acknowledged, or the info is too large for the engine. `true` is no promise that
   * the info is handled
   * @throws TypeError for an address that is not a string. For a connection of another node, or with the option
   * `strict`, also for an info that JSON cannot represent; another codec may throw other errors
   */
  send<Info>(to: Address<Info>, info: NoInfer<Info>): boolean {
    checkAddress(to);
    const hub = this.#hub;
    const node = hub.otherNodeOf(to);
    const { here, encoded } = hub.prepareInfo(info, node !== undefined);
    if (node !== undefined) return hub.nodes!.sendTo(node, to, encoded!);
    return hub.findAddress(to)?.deliver(here) ?? false;
  }

  /**
   * Ends the connection with this address, on whichever node it is, as `self.stop` does.
   *
   * @param to what {@link address} has returned, on any node
   * @param reason why the connection ends
   * @param detail the close code, the close reason text, messages to send first, and whether to abort the connection
   * @returns `false` if it is certain that no connection is ended; the reasons are those of {@link send}
   * @throws TypeError or RangeError as `self.stop` does, and TypeError for an address that is not a string
   */
  stop(to: Address<never>, reason: string, detail: StopDetail = {}): boolean {
    checkAddress(to);
    checkStop(reason, detail);
    const hub = this.#hub;
    const node = hub.otherNodeOf(to);
    if (node !== undefined) return hub.nodes!.stopAt(node, to, reason, detail);
    return hub.findAddress(to)?.stopNow(reason, detail) ?? false;
  }

  /**
   * Sends an info to the listeners of all nodes, this one included: for what concerns every process, such as a changed
   * configuration.
   *
   * ```ts
   * pubsub.onNodesInfo((info) => reload(info));
   * pubsub.broadcastToNodes({ type: "config-changed" });
   * ```
   *
   * @param info any value; with a backplane, one that the codec can encode
   * @returns `false` if other nodes cannot be reached, or after {@link close}
   * @throws TypeError with a backplane or with the option `strict`, for an info that JSON cannot represent;
   * another codec may throw other errors
   */
  broadcastToNodes(info: unknown): boolean {
    const hub = this.#hub;
    const { here, encoded } = hub.prepareInfo(info, hub.nodes !== undefined);
    if (hub.closed) return false;
    const reached = hub.nodes?.broadcastToNodes(encoded!) ?? true;
    hub.notifyInfoListeners(here, this.node);
    return reached;
  }

  /**
   * Calls `listener` for each info that a node passes to {@link broadcastToNodes}. An error that it throws is reported
   * to the option `onEvent`.
   *
   * @param listener is called with the info, and with the `node` of the `PubSub` that has sent it
   * @returns a function that removes the listener
   */
  onNodesInfo(listener: (info: unknown, node: string) => void): () => void {
    const { infoListeners } = this.#hub;
    const own = (info: unknown, node: string): void => listener(info, node);
    infoListeners.add(own);
    return () => void infoListeners.delete(own);
  }

  /**
   * The names of the topics to which a connection is subscribed, also while its `init` is pending.
   *
   * @param self the connection
   * @throws TypeError for a value that is not a `self`
   */
  topicsOf(self: AnySelf<never>): string[] {
    return this.#hub.registry.topicsOf(sessionOf(self));
  }

  /** How many topics, subscriptions and addresses there are now, and how many messages there have been. */
  get stats(): PubSubStats {
    const { registry, delivery, publishes, broadcasts, nodes } = this.#hub;
    return {
      topics: registry.topicCount,
      subscriptions: registry.subscriptions,
      addresses: registry.addressCount,
      published: publishes,
      broadcast: broadcasts,
      delivered: delivery.delivered,
      dropped: delivery.dropped,
      closedSlow: delivery.closedSlow,
      backplane: nodes?.stats,
    };
  }

  /**
   * Ends all memberships and addresses. The connections stay open. Afterwards nothing is delivered. With a backplane,
   * the node says goodbye to the others, and closes what the backplane has opened, but no client that was passed to it.
   */
  close(): Promise<void> {
    return this.#hub.close();
  }
}
