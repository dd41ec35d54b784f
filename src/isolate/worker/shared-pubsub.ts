/** `sharedPubSub()`: the main thread's `PubSub`, as handlers in a worker see it. */

import { nodeByteOps } from "../../adapters/shared/node-byte-ops.ts";
import { codedError, codedTypeError } from "../../error-codes.ts";
import { show } from "../../known-keys.ts";
import type { Messages } from "../../message.ts";
import type { Address } from "../../pubsub/address.ts";
import { checkStop } from "../../pubsub/check-stop.ts";
import { checkAddress } from "../../pubsub/hub.ts";
import type { Gap, SendOptions, SubscribeOptions, Subscription } from "../../pubsub/options.ts";
import { sessionOf } from "../../pubsub/session-of.ts";
import { checkSubscribeOptions } from "../../pubsub/subscribe-options.ts";
import { checkTopicName, type Topic } from "../../pubsub/topic.ts";
import type { StopDetail } from "../../result.ts";
import { checkMessages, messageList } from "../../session/outgoing.ts";
import type { TopicSession } from "../../session/self.ts";
import type { AnySelf } from "../../websock.ts";
import type { Outbox } from "../outbox.ts";
import { CALL } from "../records.ts";
import type { ClonedSendOptions, SharedCalls } from "../shared-topics.ts";
import { ownMessage } from "./connection.ts";

/**
 * A topic of the shared `PubSub`. Its methods are those of a `Topic`. They pass the call on to the main thread, where
 * everything happens in the order of the calls; what `publish` and `broadcast` return is always `true`. `broadcast`
 * throws a DataCloneError for an info that structured clone cannot copy.
 */
export interface SharedTopic<Info = never>
  extends Pick<Topic<Info>, "name" | "subscribe" | "unsubscribe" | "broadcast" | "publish" | "stop"> {
  /** Resolves with the number of members in this process whose `init` has returned. */
  readonly count: () => Promise<number>;
}

/** The `PubSub` of the main thread, as the handlers in a worker see it: see {@link sharedPubSub}. */
export interface SharedPubSub {
  /** The `node` of the `PubSub`. */
  readonly node: string;
  /**
   * The topic of this name.
   *
   * @typeParam Info the type of the infos that its members receive. Default: none
   * @param name the name of the topic
   * @throws TypeError for a name that is not a string, RangeError unless it has 1 to 512 UTF-16 units
   */
  topic<Info = never>(name: string): SharedTopic<Info>;
  /**
   * The address of a connection of this worker. It is valid until the connection ends.
   *
   * @param self the connection
   * @throws TypeError for a value that is not the `self` of a connection of this worker
   */
  address<Info>(self: AnySelf<Info>): Address<Info>;
  /**
   * Sends an info to the `handleInfo` of the connection with this address.
   *
   * @param to the address
   * @param info a value that structured clone can copy
   * @returns `false` if it is no address; `true` is no promise that the info arrives
   * @throws TypeError for an address that is not a string
   * @throws DataCloneError for an info that structured clone cannot copy
   */
  send<Info>(to: Address<Info>, info: NoInfer<Info>): boolean;
  /**
   * Ends the connection with this address, as `self.stop` does.
   *
   * @param to the address
   * @param reason why the connection is closed
   * @param detail the close code, the close reason text, and messages to send first. Default: none
   * @returns `false` if it is no address; `true` is no promise that the connection exists
   * @throws TypeError or RangeError as `self.stop` does, and TypeError for an address or a reason that is not a string
   */
  stop(to: Address<never>, reason: string, detail?: StopDetail): boolean;
  /**
   * The names of the topics to which a connection of this worker is subscribed, also while its `init` is pending.
   *
   * @param self the connection
   * @throws TypeError for a value that is not the `self` of a connection of this worker
   */
  topicsOf(self: AnySelf<never>): string[];
  /**
   * Sends an info to the listeners of all nodes: those of `onNodesInfo` in their main threads.
   *
   * @param info a value that structured clone can copy
   * @throws DataCloneError for an info that structured clone cannot copy
   */
  broadcastToNodes(info: unknown): void;
}

let shared: SharedPubSub | undefined;

/** Called once in a worker. */
export const sharePubSub = (pubsub: SharedPubSub): void => {
  shared = pubsub;
};

/**
 * In a worker of `isolate`: the `PubSub` that was passed to it as the option `pubsub`. Connections of all workers, and
 * of the main thread, can be members of the same topics.
 *
 * ```ts
 * const lobby = sharedPubSub().topic("lobby");
 * export const init = (_: void, self: Self) => {
 *   lobby.subscribe(self);
 *   return ok(0);
 * };
 * export const handleIn = (message: DataMessage, count: number) => {
 *   lobby.publish(message);
 *   return ok(count + 1);
 * };
 * ```
 *
 * @throws Error in the main thread, or without the option `pubsub`
 */
export const sharedPubSub = (): SharedPubSub => {
  if (shared !== undefined) return shared;
  throw codedError(
    "WEBSOCK_NOT_SUPPORTED",
    'no PubSub is shared: call sharedPubSub() in a worker of isolate(), and pass the option "pubsub"',
  );
};

const ADDRESS = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

interface OwnSubscription {
  readonly topic: string;
  readonly onGap: ((gap: Gap) => unknown) | undefined;
  isCancelled: boolean;
}

type Call = <Name extends keyof SharedCalls>(
  connection: number,
  name: Name,
  ...args: Parameters<SharedCalls[Name]>
) => number;

export class PubSubProxy implements SharedPubSub {
  readonly node: string;
  private readonly outbox: Outbox;
  private readonly ids: WeakMap<TopicSession, number>;
  private lastCall = 0;
  /** Calls whose result somebody waits for. */
  private readonly waiting = new Map<number, (result: unknown) => void>();
  /** By connection and number. */
  private readonly subscriptions = new Map<number, Map<number, OwnSubscription>>();

  constructor(node: string, outbox: Outbox, ids: WeakMap<TopicSession, number>) {
    this.node = node;
    this.outbox = outbox;
    this.ids = ids;
  }

  topic<Info = never>(name: string): SharedTopic<Info> {
    checkTopicName(name);
    const { call } = this;
    return {
      name,
      count: () => this.result(call(0, "size", name)) as Promise<number>,
      subscribe: (self, options = {}) => this.subscribe(name, self, options as SubscribeOptions<unknown>),
      unsubscribe: (self) => {
        call(this.idOf(self), "unsubscribe", name);
        this.forgetTopic(this.idOf(self), name);
      },
      broadcast: (info, options) => {
        checkInfo(info);
        call(0, "broadcast", name, info, this.sendOptions(options));
        return true;
      },
      publish: (messages, options) => {
        call(0, "publish", name, ownMessages(messages), this.sendOptions(options));
        return true;
      },
      stop: (reason, detail = {}, options) => {
        checkStop(reason, detail);
        call(0, "stopMembers", name, reason, ownDetail(detail), this.sendOptions(options));
      },
    };
  }

  address<Info>(self: AnySelf<Info>): Address<Info> {
    this.call(this.idOf(self), "address");
    return `${this.node}:${self.id}` as Address<Info>;
  }

  send<Info>(to: Address<Info>, info: NoInfer<Info>): boolean {
    checkAddress(to);
    checkInfo(info);
    if (ADDRESS.test(to)) this.call(0, "send", to, info);
    return ADDRESS.test(to);
  }

  stop(to: Address<never>, reason: string, detail: StopDetail = {}): boolean {
    checkAddress(to);
    checkStop(reason, detail);
    if (ADDRESS.test(to)) this.call(0, "stop", to, reason, ownDetail(detail));
    return ADDRESS.test(to);
  }

  broadcastToNodes(info: unknown): void {
    checkInfo(info);
    this.call(0, "broadcastToNodes", info);
  }

  topicsOf(self: AnySelf<never>): string[] {
    if (sessionOf(self).endedBy !== undefined) return [];
    const own = [...(this.subscriptions.get(this.idOf(self))?.values() ?? [])];
    return [...new Set(own.filter(({ isCancelled }) => !isCancelled).map(({ topic }) => topic))];
  }

  // --- from the main thread

  onCalled(call: number, result: unknown): void {
    this.waiting.get(call)?.(result);
    this.waiting.delete(call);
  }

  onGap(connection: number, subscription: number, gap: Gap, deliver: (info: unknown) => void): void {
    const own = this.subscriptions.get(connection)?.get(subscription);
    if (own?.onGap !== undefined && !own.isCancelled) deliver(own.onGap(gap));
  }

  forget(connection: number): void {
    this.subscriptions.delete(connection);
  }

  private subscribe(topic: string, self: AnySelf<never>, options: SubscribeOptions<unknown>): Subscription {
    checkSubscribeOptions(options);
    const connection = this.idOf(self);
    const { onGap, ...others } = options;
    if (sessionOf(self).endedBy !== undefined) return { topic, ready: Promise.resolve(false), cancel: () => undefined };
    const subscription = this.call(connection, "subscribe", topic, { ...others, hasOnGap: onGap !== undefined });
    let own = this.subscriptions.get(connection);
    if (own === undefined) this.subscriptions.set(connection, (own = new Map()));
    const added: OwnSubscription = { topic, onGap, isCancelled: false };
    own.set(subscription, added);
    return {
      topic,
      ready: this.result(subscription) as Promise<boolean>,
      cancel: () => {
        this.call(connection, "cancel", subscription);
        added.isCancelled = true;
        // The first subscription of a topic has the `onGap` of all.
        if (!this.topicsOf(self).includes(topic)) this.forgetTopic(connection, topic);
      },
    };
  }

  private forgetTopic(connection: number, topic: string): void {
    const own = this.subscriptions.get(connection);
    for (const [number, subscription] of own ?? []) if (subscription.topic === topic) own!.delete(number);
  }

  private readonly call: Call = (connection, name, ...args) => {
    this.outbox.add(CALL, connection, name, args, ++this.lastCall);
    return this.lastCall;
  };

  private result(call: number): Promise<unknown> {
    return new Promise((resolve) => this.waiting.set(call, resolve));
  }

  private idOf(self: AnySelf<never>): number {
    const id = this.ids.get(sessionOf(self));
    if (id === undefined)
      throw codedTypeError("WEBSOCK_INVALID_SELF", `not a connection of this worker: ${show(self)}`);
    return id;
  }

  private sendOptions({ except, local, volatile }: SendOptions = {}): ClonedSendOptions {
    const others = { ...(local !== undefined && { local }), ...(volatile !== undefined && { volatile }) };
    if (except === undefined) return others;
    const all = Array.isArray(except) ? (except as readonly (AnySelf<never> | Address<never>)[]) : [except];
    return {
      ...others,
      except: all.map((one) => (typeof one === "string" ? one : this.idOf(one as AnySelf<never>))),
    };
  }
}

/** @throws DataCloneError for a value that cannot be passed to another thread */
const checkInfo = (info: unknown): void => {
  if (typeof info === "object" || typeof info === "function" || typeof info === "symbol") structuredClone(info);
};

/** @throws TypeError or RangeError for messages that may not be sent */
const ownMessages = (messages: Messages): Messages => {
  checkMessages(messages, nodeByteOps);
  return messageList(messages).map(ownMessage);
};

const ownDetail = (detail: StopDetail): StopDetail =>
  detail.messages === undefined ? detail : { ...detail, messages: ownMessages(detail.messages) };
