/** The main thread's end of the shared `PubSub`: executes what handlers in a worker call. */
import type { Messages } from "../message.ts";
import type { Address } from "../pubsub/address.ts";
import type { SendOptions, Subscription } from "../pubsub/options.ts";
import type { PubSub } from "../pubsub/pubsub.ts";
import type { StopDetail } from "../result.ts";
import type { Self } from "../websock.ts";
import { MemberGap } from "./member-gap.ts";

/** `SendOptions` that can be cloned: a connection is its number. */
export interface ClonedSendOptions {
  readonly except?: readonly (number | string)[];
  readonly local?: boolean;
  readonly volatile?: boolean;
}

/** `SubscribeOptions` that can be cloned. */
export interface ClonedSubscribeOptions {
  readonly slow?: "close" | "drop";
  readonly maxBuffered?: number;
  /** Whether there is an `onGap`, which is called in the worker. */
  readonly hasOnGap: boolean;
}

/** The methods that a worker calls, and their arguments. */
export interface SharedCalls {
  /** Its result is that of `ready`. The number of the call is that of the subscription. */
  subscribe(topic: string, options: ClonedSubscribeOptions): void;
  cancel(subscription: number): void;
  unsubscribe(topic: string): void;
  publish(topic: string, messages: Messages, options: ClonedSendOptions): void;
  broadcast(topic: string, info: unknown, options: ClonedSendOptions): void;
  stopMembers(topic: string, reason: string, detail: StopDetail, options: ClonedSendOptions): void;
  /** Its result is the number of members. */
  size(topic: string): void;
  address(): void;
  send(to: string, info: unknown): void;
  stop(to: string, reason: string, detail: StopDetail): void;
  broadcastToNodes(info: unknown): void;
}

/** What the shared `PubSub` needs of its thread. */
export interface SharedTopicsOwner {
  selfOf(connection: number): Self<unknown> | undefined;
  answer(call: number, result: unknown): void;
  reportError(connection: number, error: unknown): void;
}

export class SharedTopics {
  private readonly pubsub: PubSub;
  private readonly owner: SharedTopicsOwner;
  /** By connection and number. */
  private readonly subscriptions = new Map<number, Map<number, Subscription>>();

  constructor(pubsub: PubSub, owner: SharedTopicsOwner) {
    this.pubsub = pubsub;
    this.owner = owner;
  }

  /** @param connection the number of the connection that calls; 0: none */
  call<Name extends keyof SharedCalls>(
    connection: number,
    name: Name,
    args: Parameters<SharedCalls[Name]>,
    call: number,
  ): void {
    try {
      (this.callsOf(connection, call)[name] as (...args: unknown[]) => void)(...args);
    } catch (error) {
      this.owner.reportError(connection, error);
      // Somebody may wait for the result.
      if (name === "subscribe" || name === "size") this.owner.answer(call, name === "size" ? 0 : false);
    }
  }

  /** The connection has ended, and with it its subscriptions. */
  forget(connection: number): void {
    this.subscriptions.delete(connection);
  }

  private callsOf(connection: number, call: number): SharedCalls {
    const { pubsub, owner } = this;
    const topicOf = (name: string) => pubsub.topic<unknown>(name);
    return {
      subscribe: (topic, options) => this.subscribe(connection, call, topic, options),
      cancel: (subscription) => {
        this.subscriptions.get(connection)?.get(subscription)?.cancel();
        this.subscriptions.get(connection)?.delete(subscription);
      },
      unsubscribe: (topic) => {
        const self = owner.selfOf(connection);
        if (self !== undefined) topicOf(topic).unsubscribe(self);
        const own = this.subscriptions.get(connection);
        for (const [number, subscription] of own ?? []) if (subscription.topic === topic) own!.delete(number);
      },
      publish: (topic, messages, options) => topicOf(topic).publish(messages, this.sendOptions(options)),
      broadcast: (topic, info, options) => topicOf(topic).broadcast(info, this.sendOptions(options)),
      stopMembers: (topic, reason, detail, options) => topicOf(topic).stop(reason, detail, this.sendOptions(options)),
      size: (topic) => owner.answer(call, topicOf(topic).size),
      address: () => {
        const self = owner.selfOf(connection);
        if (self !== undefined) pubsub.address(self);
      },
      send: (to, info) => void pubsub.send(to as Address<unknown>, info),
      stop: (to, reason, detail) => void pubsub.stop(to as Address, reason, detail),
      broadcastToNodes: (info) => void pubsub.broadcastToNodes(info),
    };
  }

  private subscribe(connection: number, call: number, topic: string, options: ClonedSubscribeOptions): void {
    const self = this.owner.selfOf(connection);
    if (self === undefined) {
      this.owner.answer(call, false);
      return;
    }
    const { hasOnGap, ...others } = options;
    const subscription = this.pubsub
      .topic<unknown>(topic)
      .subscribe(self, hasOnGap ? { ...others, onGap: (gap) => new MemberGap(call, gap) } : others);
    let own = this.subscriptions.get(connection);
    if (own === undefined) this.subscriptions.set(connection, (own = new Map()));
    own.set(call, subscription);
    void subscription.ready.then((isReady) => this.owner.answer(call, isReady));
  }

  private sendOptions({ except, ...others }: ClonedSendOptions): SendOptions {
    if (except === undefined) return others;
    const known = except.map((one) => (typeof one === "string" ? (one as Address) : this.owner.selfOf(one)));
    return { ...others, except: known.filter((one) => one !== undefined) };
  }
}
