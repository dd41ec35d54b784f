/** A topic of one `PubSub`. */
import { codedTypeError } from "../error-codes.ts";
import type { Messages } from "../message.ts";
import { portableByteOps } from "../protocol/byte-ops.ts";
import type { StopDetail } from "../result.ts";
import { checkMessages } from "../session/outgoing.ts";
import type { AnySelf, Self } from "../websock.ts";
import { checkStop } from "./check-stop.ts";
import type { Hub } from "./hub.ts";
import type { Nodes } from "./nodes/nodes.ts";
import type { SendOptions, SubscribeOptions, Subscription } from "./options.ts";
import { sessionOf } from "./session-of.ts";
import { checkSubscribeOptions } from "./subscribe-options.ts";
import type { Topic } from "./topic.ts";

export class HubTopic<Info> implements Topic<Info> {
  readonly name: string;
  readonly #hub: Hub;

  constructor(name: string, hub: Hub) {
    this.name = name;
    this.#hub = hub;
  }

  get size(): number {
    return this.#hub.registry.find(this.name)?.size ?? 0;
  }

  subscribe(self: AnySelf<Info>, options: SubscribeOptions<Info> = {}): Subscription {
    const session = this.#hub.memberSession(self);
    checkSubscribeOptions(options);
    if (options.onGap !== undefined && session.home !== undefined)
      throw codedTypeError(
        "WEBSOCK_NOT_SUPPORTED",
        'option "onGap" is not possible in a Durable Object: a function is lost when it hibernates',
      );
    const { name } = this;
    const { registry, closed, nodes } = this.#hub;
    if (closed || session.endedBy !== undefined)
      return { topic: name, ready: Promise.resolve(false), cancel: () => undefined };
    const entry = registry.add(name, session, options);
    let cancelled = false;
    const cancel = (): void => {
      if (!cancelled) registry.release(entry);
      cancelled = true;
    };
    return { topic: name, ready: nodes?.ready(name) ?? Promise.resolve(true), cancel };
  }

  unsubscribe(self: AnySelf<never>): void {
    this.#hub.registry.removeSession(this.name, sessionOf(self));
  }

  broadcast(info: Info, options?: SendOptions): boolean {
    const hub = this.#hub;
    const selection = hub.select(options);
    const nodes = this.#nodesFor(options);
    const { here, encoded } = hub.prepareInfo(info, nodes !== undefined);
    if (hub.closed) return false;
    hub.broadcasts++;
    const topic = hub.registry.find(this.name);
    // Before the members get it, because `onGap` of a member may broadcast.
    const reached = nodes?.broadcast(this.name, encoded!, hub.entryOptionsFor(options)) ?? true;
    if (topic !== undefined) hub.delivery.broadcast(topic, here, selection);
    return reached;
  }

  publish(messages: Messages, options?: SendOptions): boolean {
    const hub = this.#hub;
    const selection = hub.select(options);
    checkMessages(messages, portableByteOps);
    if (hub.closed) return false;
    hub.publishes++;
    const topic = hub.registry.find(this.name);
    const reached = this.#nodesFor(options)?.publish(this.name, messages, hub.entryOptionsFor(options)) ?? true;
    if (topic !== undefined) hub.delivery.publish(topic, messages, selection);
    return reached;
  }

  stop(reason: string, detail: StopDetail = {}, options?: SendOptions): void {
    const hub = this.#hub;
    const selection = hub.select(options);
    checkStop(reason, detail);
    if (hub.closed) return;
    this.#nodesFor(options)?.stop(this.name, reason, detail, hub.entryOptionsFor(options));
    hub.stopMembers(this.name, selection, reason, detail);
  }

  members(): Iterable<Self<Info>> {
    const selves: Self<Info>[] = [];
    this.#hub.registry.find(this.name)?.forEach(({ member }) => {
      if (member.isOpen) selves.push(member.session.self);
    });
    return selves;
  }

  /** The other nodes; `undefined` with the option `local`, and without a backplane. */
  #nodesFor(options: SendOptions | undefined): Nodes | undefined {
    return options?.local ? undefined : this.#hub.nodes;
  }
}
