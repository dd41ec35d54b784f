/** A topic of one `PubSub`. */
import type { Messages } from "../message.ts";
import { portableByteOps } from "../protocol/byte-ops.ts";
import { checkStopOptions, defaultCloseCode, type StopDetail } from "../result.ts";
import { checkCloseDetail, checkMessages } from "../session/outgoing.ts";
import type { Self } from "../websock.ts";
import { isExcepted } from "./except.ts";
import type { Hub } from "./hub.ts";
import type { Member } from "./member.ts";
import type { SendOptions, SubscribeOptions, Subscription } from "./options.ts";
import { sessionOf } from "./session-of.ts";
import { checkSubscribeOptions } from "./subscribe-options.ts";
import type { Topic } from "./topic.ts";

export class LocalTopic<Info> implements Topic<Info> {
  readonly name: string;
  readonly #hub: Hub;

  constructor(name: string, hub: Hub) {
    this.name = name;
    this.#hub = hub;
  }

  get size(): number {
    return this.#hub.registry.find(this.name)?.size ?? 0;
  }

  subscribe(self: Self<Info>, options: SubscribeOptions<Info> = {}): Subscription {
    const session = this.#hub.memberSession(self);
    checkSubscribeOptions(options);
    if (options.onGap !== undefined && session.home !== undefined)
      throw new TypeError('option "onGap" is not possible in a Durable Object: a function is lost when it hibernates');
    const { name } = this;
    const { registry, closed } = this.#hub;
    if (closed || session.endedBy !== undefined)
      return { topic: name, ready: Promise.resolve(false), cancel: () => undefined };
    const entry = registry.add(name, session, options);
    let cancelled = false;
    const cancel = (): void => {
      if (!cancelled) registry.release(entry);
      cancelled = true;
    };
    return { topic: name, ready: Promise.resolve(true), cancel };
  }

  unsubscribe(self: Self<never>): void {
    this.#hub.registry.removeSession(this.name, sessionOf(self));
  }

  broadcast(info: Info, options?: SendOptions): boolean {
    const hub = this.#hub;
    const selection = hub.select(options);
    const copy = hub.localInfo(info);
    if (hub.closed) return false;
    hub.broadcasts++;
    const topic = hub.registry.find(this.name);
    if (topic !== undefined) hub.delivery.broadcast(topic, copy, selection);
    return true;
  }

  publish(messages: Messages, options?: SendOptions): boolean {
    const hub = this.#hub;
    const selection = hub.select(options);
    checkMessages(messages, portableByteOps);
    if (hub.closed) return false;
    hub.publishes++;
    const topic = hub.registry.find(this.name);
    if (topic !== undefined) hub.delivery.publish(topic, messages, selection);
    return true;
  }

  stop(reason: string, detail: StopDetail = {}, options?: SendOptions): void {
    const hub = this.#hub;
    const { except, volatile } = hub.select(options);
    checkStopOptions(detail, "abort");
    checkCloseDetail([detail.code ?? defaultCloseCode(reason), detail.text ?? null]);
    checkMessages(detail.messages ?? [], portableByteOps);
    const topic = hub.registry.find(this.name);
    // Collected first, because ending a connection removes it, and runs listeners of its signal.
    const members: Member[] = [];
    topic?.forEach(({ member }) => {
      members.push(member);
    });
    for (const { session, waiting } of members)
      if (!isExcepted(except, session) && !(volatile && waiting > 0)) session.stopNow(reason, detail);
  }

  members(): Iterable<Self<Info>> {
    const selves: Self<Info>[] = [];
    this.#hub.registry.find(this.name)?.forEach(({ member }) => {
      if (member.isOpen) selves.push(member.session.self);
    });
    return selves;
  }
}
