/** `Presence`: who is where, on all nodes. */
import { checkKeys } from "../../known-keys.ts";
import type { SessionListener } from "../../session/extensions.ts";
import type { TopicSession } from "../../session/self.ts";
import type { Self } from "../../websock.ts";
import type { Hub } from "../hub.ts";
import type { NodeListener } from "../nodes/nodes.ts";
import type { Subscription } from "../options.ts";
import { PubSub } from "../pubsub.ts";
import { reachableSessionOf, sessionOf } from "../session-of.ts";
import { checkTopicName } from "../topic.ts";
import {
  checkPresenceMessage,
  type DiffMessage,
  type PresenceMessage,
  type StateMessage,
  type WireEntry,
} from "./messages.ts";
import { type Diff, getOrSet, type Placed, type Tracked, View } from "./view.ts";

/** A message has at most this many entries, so that it fits into the limits of engines. */
const ENTRIES_PER_MESSAGE = 200;

/** Options of `new Presence`. */
export interface PresenceOptions {
  /** Distinguishes several presences of one `PubSub`. It must be the same on all nodes. Default: `""`. */
  readonly name?: string;
}

/** An entry of a connection of this node. */
interface Own<Meta> extends Placed<Meta> {
  readonly number: number;
}

/** What this node knows of another one. */
interface Remote<Meta> {
  version: number;
  readonly entries: Map<number, Placed<Meta>>;
  /** The parts of a state that have arrived. */
  parts: (StateMessage | undefined)[];
}

/**
 * Who is where: connections are entered under a key, such as the id of their user, in a topic; and each node knows the
 * entries of all nodes. An entry ends with its connection.
 *
 * ```ts
 * const presence = new Presence<{ name: string }>(pubsub);
 * // in init:
 * presence.track(self, "room:1", user.id, { name: user.name });
 * presence.subscribe(self, "room:1", (diff) => ({ type: "presence", diff }));
 * return push(json([...presence.list("room:1").keys()]), state);
 * ```
 *
 * Only the node of a connection changes its entries, so nodes cannot disagree for long: each sends its changes to the
 * others, and its whole state to a node that has missed one. The entries of a node leave when it closes, or has been
 * silent for the time `down` of the `PubSub`. While the engine is away, the entries of the other nodes stay as they were.
 *
 * @typeParam Meta what is known of an entry. It reaches other nodes as the codec of the `PubSub` encodes it
 */
export class Presence<Meta> {
  readonly #hub: Hub;
  readonly #name: string;
  readonly #view = new View<Meta>();
  readonly #own = new Map<number, Own<Meta>>();
  /** By connection, topic and key. */
  readonly #connections = new Map<TopicSession, Map<string, Map<string, Own<Meta>>>>();
  readonly #remotes = new Map<string, Remote<Meta>>();
  readonly #listeners = new Set<(topic: string, diff: Diff<Meta>) => void>();
  readonly #subscribers = new Map<string, Set<(diff: Diff<Meta>) => void>>();
  #numbers = 0;
  #version = 0;
  #joins = new Map<number, WireEntry>();
  #leaves: number[] = [];
  #isScheduled = false;

  /** @throws TypeError for an unknown option, or if the `PubSub` has a presence of this name already */
  constructor(pubsub: PubSub, options: PresenceOptions = {}) {
    checkKeys(options, ["name"]);
    this.#hub = PubSub.hubOf(pubsub);
    this.#name = options.name ?? "";
    this.#hub.nodes?.listen(this.#name, this.#listener());
  }

  /**
   * Enters a connection under a key. Replaces the entry that the same connection has under the same key.
   *
   * @param meta must not be modified afterwards
   * @throws TypeError or RangeError for a topic that is not a valid name, TypeError for a value that is not a `self`, Error
   * in a Durable Object, whose memory is lost when it hibernates; the error of the codec
   */
  track(self: Self<never>, topic: string, key: string, meta: Meta): void {
    checkTopicName(topic);
    const session = reachableSessionOf(self);
    if (session.home !== undefined)
      throw new Error("presence is not possible in a Durable Object: its entries would be lost when it hibernates");
    const { here } = this.#hub.prepareInfo(meta, false);
    if (session.endedBy !== undefined || this.#hub.closed) return;
    const keys = getOrSet(this.#topicsOf(session), topic, () => new Map<string, Own<Meta>>());
    const known = keys.get(key);
    if (known !== undefined) this.#remove(known);
    const number = ++this.#numbers;
    const own = { number, topic, key, tracked: this.#trackedBy(this.#hub.node, number, here as Meta) };
    keys.set(key, own);
    this.#own.set(number, own);
    this.#view.add(own);
    this.#joins.set(number, [number, topic, key, meta]);
    this.#schedule();
  }

  /** Replaces an entry. Does nothing if the connection has none under this key. */
  update(self: Self<never>, topic: string, key: string, meta: Meta): void {
    const isTracked = this.#connections.get(sessionOf(self))?.get(topic)?.has(key);
    if (isTracked) this.track(self, topic, key, meta);
  }

  /** Removes the entries of a connection in a topic: the one under `key`, or without `key` all. */
  untrack(self: Self<never>, topic: string, key?: string): void {
    const keys = this.#connections.get(sessionOf(self))?.get(topic);
    if (keys === undefined) return;
    for (const own of [...keys.values()]) {
      if (key !== undefined && own.key !== key) continue;
      keys.delete(own.key);
      this.#remove(own);
    }
  }

  /** The entries of a topic by key, as this node knows them now: a snapshot. */
  list(topic: string): ReadonlyMap<string, readonly Tracked<Meta>[]> {
    return this.#view.list(topic);
  }

  /** The entries under a key, as this node knows them now. */
  get(topic: string, key: string): readonly Tracked<Meta>[] {
    return this.#view.get(topic, key);
  }

  /**
   * Calls `listener` when entries have changed: once for each topic and event-loop tick. An error that it throws is
   * reported to the option `onEvent` of the `PubSub`.
   *
   * @returns a function that removes the listener
   */
  onDiff(listener: (topic: string, diff: Diff<Meta>) => void): () => void {
    const own = (topic: string, diff: Diff<Meta>): void => listener(topic, diff);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /**
   * Sends the changes in a topic to the `handleInfo` of a connection, until it ends.
   *
   * @param toInfo makes the info
   */
  subscribe<Info>(self: Self<Info>, topic: string, toInfo: (diff: Diff<Meta>) => Info): Subscription {
    checkTopicName(topic);
    const session = reachableSessionOf(self);
    if (session.endedBy !== undefined) return { topic, ready: Promise.resolve(false), cancel: () => undefined };
    const subscribers = getOrSet(this.#subscribers, topic, () => new Set<(diff: Diff<Meta>) => void>());
    const subscriber = (diff: Diff<Meta>): void => void session.deliver(toInfo(diff));
    const cancel = (): void => {
      subscribers.delete(subscriber);
      if (subscribers.size === 0 && this.#subscribers.get(topic) === subscribers) this.#subscribers.delete(topic);
    };
    subscribers.add(subscriber);
    session.listen(onEnd(cancel));
    return { topic, ready: Promise.resolve(true), cancel };
  }

  // --- entries of this node

  #topicsOf(session: TopicSession): Map<string, Map<string, Own<Meta>>> {
    return getOrSet(this.#connections, session, () => {
      session.listen(onEnd(() => this.#forget(session)));
      return new Map();
    });
  }

  #forget(session: TopicSession): void {
    for (const keys of this.#connections.get(session)?.values() ?? [])
      for (const own of keys.values()) this.#remove(own);
    this.#connections.delete(session);
  }

  #remove(own: Own<Meta>): void {
    this.#own.delete(own.number);
    this.#view.remove(own);
    if (!this.#joins.delete(own.number)) this.#leaves.push(own.number);
    this.#schedule();
  }

  #trackedBy(node: string, number: number, meta: Meta): Tracked<Meta> {
    return { ref: `${node}:${number}`, meta, node };
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#hub.clock.defer(() => {
      this.#isScheduled = false;
      this.#publish();
      this.#notify();
    });
  }

  #publish(): void {
    const joins = [...this.#joins.values()];
    const leaves = this.#leaves;
    this.#joins = new Map();
    this.#leaves = [];
    for (let i = 0; i < Math.max(joins.length, leaves.length); i += ENTRIES_PER_MESSAGE) {
      const end = i + ENTRIES_PER_MESSAGE;
      const version = ++this.#version;
      this.#send({ type: "diff", version, joins: joins.slice(i, end), leaves: leaves.slice(i, end) });
    }
  }

  #send(message: PresenceMessage, node?: string): void {
    const { nodes } = this.#hub;
    if (nodes !== undefined) nodes.sendToNodes(this.#name, this.#hub.prepareInfo(message, true).encoded!, node);
  }

  #notify(): void {
    for (const [topic, diff] of this.#view.takeDiffs()) {
      for (const listener of this.#listeners) this.#guard(() => listener(topic, diff));
      for (const subscriber of this.#subscribers.get(topic) ?? []) this.#guard(() => subscriber(diff));
    }
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#hub.emit({ type: "error", error });
    }
  }

  // --- entries of other nodes

  #listener(): NodeListener {
    const version = (): number => this.#version;
    return {
      get version() {
        return version();
      },
      onBeat: (node, known) => {
        if (known !== (this.#remotes.get(node)?.version ?? 0)) this.#send({ type: "request" }, node);
      },
      onMessage: (node, info) => this.#onMessage(node, checkPresenceMessage(info)),
      onNodeGone: (node) => {
        for (const placed of this.#remotes.get(node)?.entries.values() ?? []) this.#view.remove(placed);
        this.#remotes.delete(node);
        this.#notify();
      },
    };
  }

  #onMessage(node: string, message: PresenceMessage): void {
    if (message.type === "request") {
      this.#sendState(node);
      return;
    }
    const remote = getOrSet(this.#remotes, node, () => ({ version: 0, entries: new Map(), parts: [] }));
    if (message.type === "state") this.#onState(node, remote, message);
    else this.#onDiff(node, remote, message);
    this.#notify();
  }

  #sendState(node: string): void {
    // The entries of the current event-loop tick belong to the next version.
    const own = [...this.#own.values()].filter(({ number }) => !this.#joins.has(number));
    const parts = Math.max(1, Math.ceil(own.length / ENTRIES_PER_MESSAGE));
    for (let part = 0; part < parts; part++) {
      const entries = own
        .slice(part * ENTRIES_PER_MESSAGE, (part + 1) * ENTRIES_PER_MESSAGE)
        .map(({ number, topic, key, tracked }): WireEntry => [number, topic, key, tracked.meta]);
      this.#send({ type: "state", version: this.#version, part, parts, entries }, node);
    }
  }

  #onDiff(node: string, remote: Remote<Meta>, { version, joins, leaves }: DiffMessage): void {
    if (version <= remote.version) return;
    if (version > remote.version + 1) {
      this.#send({ type: "request" }, node);
      return;
    }
    remote.version = version;
    for (const entry of joins) this.#addRemote(node, remote, entry);
    for (const number of leaves) this.#removeRemote(remote, number);
  }

  #onState(node: string, remote: Remote<Meta>, message: StateMessage): void {
    const { version, part, parts } = message;
    if (version < remote.version) return;
    if (remote.parts.length !== parts || remote.parts.some((known) => known !== undefined && known.version !== version))
      remote.parts = Array.from({ length: parts }, () => undefined);
    remote.parts[part] = message;
    if (remote.parts.includes(undefined)) return;
    const entries = remote.parts.flatMap((known) => known!.entries);
    remote.parts = [];
    remote.version = version;
    const numbers = new Set(entries.map(([number]) => number));
    for (const number of [...remote.entries.keys()]) if (!numbers.has(number)) this.#removeRemote(remote, number);
    for (const entry of entries) if (!remote.entries.has(entry[0])) this.#addRemote(node, remote, entry);
  }

  #addRemote(node: string, remote: Remote<Meta>, [number, topic, key, meta]: WireEntry): void {
    const placed = { topic, key, tracked: this.#trackedBy(node, number, meta as Meta) };
    remote.entries.set(number, placed);
    this.#view.add(placed);
  }

  #removeRemote(remote: Remote<Meta>, number: number): void {
    const placed = remote.entries.get(number);
    if (placed === undefined) return;
    remote.entries.delete(number);
    this.#view.remove(placed);
  }
}

const onEnd = (run: () => void): SessionListener => ({ onOpen: () => undefined, flush: () => undefined, onEnd: run });
