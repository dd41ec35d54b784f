/** `Presence`: who is where, on all nodes. */
import { codedError, codedRangeError, codedTypeError } from "../../error-codes.ts";
import { checkKeys, show } from "../../known-keys.ts";
import type { SessionListener } from "../../session/extensions.ts";
import type { TopicSession } from "../../session/self.ts";
import type { AnySelf } from "../../websock.ts";
import type { Hub } from "../hub.ts";
import type { PresenceReplica } from "../nodes/nodes.ts";
import type { Subscription } from "../options.ts";
import { PubSub } from "../pubsub.ts";
import { reachableSessionOf, sessionOf } from "../session-of.ts";
import { checkTopicName } from "../topic.ts";
import {
  type Join,
  MAX_CHANGES_SIZE,
  readPresenceMessage,
  writeDiff,
  writeJoin,
  writeLeave,
  writePart,
  writeRequest,
} from "./messages.ts";
import { NumberedMap } from "./numbered-map.ts";
import { Remote } from "./remote.ts";
import { type Diff, getOrSet, type PresenceEntry, type PresenceList, type Tracked, View } from "./view.ts";

/** Options of `new Presence`. */
export interface PresenceOptions {
  /** Distinguishes several presences of one `PubSub`. It must be the same on all nodes. Default: `""`. */
  readonly name?: string;
}

/** An entry of a connection of this node. */
interface Own<Meta> extends PresenceEntry<Meta> {
  readonly number: number;
  /** Its join as other nodes get it; empty if there are none. */
  readonly join: Uint8Array;
}

type Keys<Meta> = Map<string, Own<Meta>>;

/** What a connection has in a presence, until it ends. */
interface Connection<Meta> {
  /** Its entries by topic and key. */
  readonly topics: Map<string, Keys<Meta>>;
  /** Functions that cancel its subscriptions. */
  readonly subscriptions: Set<() => void>;
}

const NO_BYTES = new Uint8Array(0);

/**
 * Who is where: connections are entered under a key, such as the id of their user, in a topic; and each node knows the
 * entries of all nodes. An entry ends with its connection. The topics are independent of those of `pubsub.topic`.
 *
 * ```ts
 * const presence = new Presence<{ name: string }>(pubsub);
 * // in init:
 * presence.track(self, "room:1", user.id, { name: user.name });
 * presence.subscribe(self, "room:1", (diff) => ({ type: "presence", diff }));
 * return push(json(Object.fromEntries(presence.list("room:1"))), state);
 * // in handleInfo:
 * const { joins, leaves } = info.diff;
 * return push(json({ joins: Object.fromEntries(joins), leaves: Object.fromEntries(leaves) }), state);
 * ```
 *
 * Only the node of a connection changes its entries, so nodes cannot disagree for long: each sends its changes to the
 * others, and all its entries to a node that has missed a change. The entries of a node leave when it closes, or has
 * been silent for the time `down` of the `PubSub`. While the engine is away, the entries of the other nodes stay as
 * they were.
 *
 * @typeParam Meta what is known of an entry. It reaches other nodes as the codec of the `PubSub` encodes it
 */
export class Presence<Meta> {
  readonly #hub: Hub;
  readonly #name: string;
  readonly #view = new View<Meta>();
  /** The entries of this node by number. */
  readonly #own = new NumberedMap<Own<Meta>>();
  readonly #connections = new Map<TopicSession, Connection<Meta>>();
  readonly #remotes = new Map<string, Remote<Meta>>();
  readonly #listeners = new Set<(topic: string, diff: Diff<Meta>) => void>();
  readonly #subscribers = new Map<string, Set<(diff: Diff<Meta>) => void>>();
  #numbers = 0;
  #version = 0;
  /** The changes that other nodes have not been told, by the number of the entry. */
  #changes = new Map<number, Uint8Array>();
  #isScheduled = false;

  /** @throws TypeError for an unknown or invalid option, or if the `PubSub` has a presence of this name already */
  constructor(pubsub: PubSub, options: PresenceOptions = {}) {
    checkKeys(options, ["name"]);
    const { name = "" } = options;
    checkString('option "name"', name);
    this.#hub = PubSub.hubOf(pubsub);
    this.#name = name;
    this.#hub.addPresence(name, this.#replica());
  }

  /**
   * Enters a connection under a key, also while its `init` is pending. A connection can have entries under several
   * keys, and several connections can have entries under the same key. Replaces the entry that the same connection has
   * under the same key. Does nothing if the connection is ending, or the `PubSub` is closed.
   *
   * @param self the connection
   * @param topic any name of 1 to 512 UTF-16 units
   * @param key any string, such as the id of a user
   * @param meta must not be modified afterwards
   * @throws TypeError for a value that is not a `self`, and for a topic or a key that is not a string; RangeError
   * unless the topic has 1 to 512 UTF-16 units, and with a backplane for an entry of more than 65 536 bytes; Error in a
   * Durable Object, whose memory is lost when it hibernates, and on a host whose connections cannot send to each other;
   * the error of the codec
   */
  track(self: AnySelf<never>, topic: string, key: string, meta: Meta): void {
    checkTopicName(topic);
    checkString("a key", key);
    const session = presentableSessionOf(self);
    const { nodes } = this.#hub;
    const { here, encoded } = this.#hub.prepareInfo(meta, nodes !== undefined);
    const number = this.#numbers + 1;
    const join = encoded === undefined ? NO_BYTES : writeJoin(number, topic, key, encoded);
    if (join.length > MAX_CHANGES_SIZE)
      throw codedRangeError(
        "WEBSOCK_ENTRY_TOO_LARGE",
        `an entry of a presence has at most ${MAX_CHANGES_SIZE} bytes, not ${join.length}`,
      );
    if (session.endedBy !== undefined || this.#hub.closed) return;
    this.#numbers = number;
    const keys = getOrSet(this.#connectionOf(session).topics, topic, (): Keys<Meta> => new Map());
    const known = keys.get(key);
    if (known !== undefined) this.#remove(known);
    const own = { number, topic, key, join, tracked: trackedBy(this.#hub.node, number, here as Meta) };
    keys.set(key, own);
    this.#own.add(number, own);
    this.#view.add(own);
    this.#changes.set(number, join);
    this.#schedule();
  }

  /**
   * Replaces an entry. Does nothing if the connection has none under this key.
   *
   * ```ts
   * presence.update(self, "room:1", user.id, (meta) => ({ ...meta, isTyping: true }));
   * ```
   *
   * @param self the connection
   * @param topic the topic of the entry
   * @param key the key of the entry
   * @param meta the new meta, or a function that makes it of the present one
   * @throws TypeError, RangeError or Error as {@link track} does, or what the function `meta` throws
   */
  update(self: AnySelf<never>, topic: string, key: string, meta: Meta | ((meta: Meta) => Meta)): void {
    const known = this.#connections.get(sessionOf(self))?.topics.get(topic)?.get(key);
    if (known === undefined) return;
    const isFunction = (value: unknown): value is (meta: Meta) => Meta => typeof value === "function";
    this.track(self, topic, key, isFunction(meta) ? meta(known.tracked.meta) : meta);
  }

  /**
   * Removes the entries of a connection in a topic: the one under `key`, or without `key` all.
   *
   * @param self the connection
   * @param topic the topic of the entries
   * @param key the key of the entry. Default: all keys
   * @throws TypeError for a value that is not a `self`
   */
  untrack(self: AnySelf<never>, topic: string, key?: string): void {
    const topics = this.#connections.get(sessionOf(self))?.topics;
    const keys = topics?.get(topic);
    if (keys === undefined) return;
    for (const own of [...keys.values()]) {
      if (key !== undefined && own.key !== key) continue;
      keys.delete(own.key);
      this.#remove(own);
    }
    if (keys.size === 0) topics!.delete(topic);
  }

  /**
   * The entries of a topic by key, as this node knows them now: a snapshot. A diff that follows may contain changes
   * that are in the snapshot already: compare the `ref`s.
   *
   * @param topic the topic of the entries
   */
  list(topic: string): PresenceList<Meta> {
    return this.#view.list(topic);
  }

  /**
   * The entries under a key, as this node knows them now.
   *
   * @param topic the topic of the entries
   * @param key the key of the entries
   */
  get(topic: string, key: string): readonly Tracked<Meta>[] {
    return this.#view.get(topic, key);
  }

  /**
   * Calls `listener` when entries have changed: in a later event-loop tick, with all changes of a tick in a topic. What
   * has joined and left in the same tick is left out, unless {@link list} or {@link get} may have returned it: then
   * there is a diff for each. An error that the listener throws is reported to the option `onEvent` of the `PubSub`.
   *
   * @returns a function that removes the listener
   */
  onDiff(listener: (topic: string, diff: Diff<Meta>) => void): () => void {
    const own = (topic: string, diff: Diff<Meta>): void => listener(topic, diff);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /**
   * Sends the changes in a topic, as {@link onDiff} reports them, to the `handleInfo` of a connection, until it ends.
   * Those of its own entries are among them. A connection that subscribes twice receives them twice.
   *
   * @param self the connection
   * @param topic the topic whose changes it receives
   * @param toInfo makes the info. An error that it throws is reported to the option `onEvent` of the `PubSub`
   * @throws TypeError or RangeError for a `self` or topic as {@link track} does; Error in a Durable Object
   */
  subscribe<Info>(self: AnySelf<Info>, topic: string, toInfo: NoInfer<(diff: Diff<Meta>) => Info>): Subscription {
    checkTopicName(topic);
    const session = presentableSessionOf(self);
    const { nodes, closed } = this.#hub;
    if (session.endedBy !== undefined || closed)
      return { topic, ready: Promise.resolve(false), cancel: () => undefined };
    const { subscriptions } = this.#connectionOf(session);
    const subscribers = getOrSet(this.#subscribers, topic, () => new Set<(diff: Diff<Meta>) => void>());
    const subscriber = (diff: Diff<Meta>): void => void session.deliver(toInfo(diff));
    const cancel = (): void => {
      subscriptions.delete(cancel);
      subscribers.delete(subscriber);
      if (subscribers.size === 0 && this.#subscribers.get(topic) === subscribers) this.#subscribers.delete(topic);
    };
    subscriptions.add(cancel);
    subscribers.add(subscriber);
    return { topic, ready: nodes?.readyForNodes() ?? Promise.resolve(true), cancel };
  }

  // --- entries of this node

  #connectionOf(session: TopicSession): Connection<Meta> {
    return getOrSet(this.#connections, session, () => {
      const connection: Connection<Meta> = { topics: new Map(), subscriptions: new Set() };
      session.listen(onEnd(() => this.#forget(session, connection)));
      return connection;
    });
  }

  #forget(session: TopicSession, { topics, subscriptions }: Connection<Meta>): void {
    if (!this.#connections.delete(session)) return;
    for (const keys of topics.values()) for (const own of keys.values()) this.#remove(own);
    for (const cancel of subscriptions) cancel();
  }

  #remove(own: Own<Meta>): void {
    const { number } = own;
    this.#own.delete(number);
    this.#view.remove(own);
    if (!this.#changes.delete(number)) this.#changes.set(number, writeLeave(number));
    this.#schedule();
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
    const changes = this.#changes;
    this.#changes = new Map();
    if (this.#hub.nodes === undefined) return;
    let group: Uint8Array[] = [];
    let size = 0;
    const send = (): void => {
      if (group.length > 0) this.#hub.nodes!.sendToNodes(this.#name, writeDiff(++this.#version, group));
      group = [];
      size = 0;
    };
    for (const change of changes.values()) {
      if (size + change.length > MAX_CHANGES_SIZE) send();
      group.push(change);
      size += change.length;
    }
    send();
  }

  #notify(): void {
    for (const [topic, diff] of this.#view.takeDiffs()) {
      this.#hub.callEach(this.#listeners, (listener) => listener(topic, diff));
      const subscribers = this.#subscribers.get(topic);
      if (subscribers !== undefined) this.#hub.callEach(subscribers, (subscriber) => subscriber(diff));
    }
  }

  // --- entries of other nodes

  #replica(): PresenceReplica {
    const version = (): number => this.#version;
    return {
      get version() {
        return version();
      },
      onBeat: (node, known) => this.#remoteOf(node).onBeat(known),
      onMessage: (node, body) => this.#onMessage(node, body),
      onNodeGone: (node) => {
        this.#remotes.get(node)?.clear();
        this.#remotes.delete(node);
      },
      onClose: () => this.#clear(),
    };
  }

  #onMessage(node: string, body: Uint8Array): void {
    const message = readPresenceMessage(body);
    if (message?.type === "request") this.#sendPart(node, message.from);
    if (message?.type === "diff") this.#remoteOf(node).onDiff(message);
    if (message?.type === "part") this.#remoteOf(node).onPart(message);
  }

  #sendPart(node: string, from: number): void {
    // So that the entries are those after the last diff.
    this.#publish();
    const joins: Uint8Array[] = [];
    let size = 0;
    let next: number | undefined;
    for (const { number, join } of this.#own.from(from)) {
      size += join.length;
      if (size > MAX_CHANGES_SIZE) {
        next = number;
        break;
      }
      joins.push(join);
    }
    this.#hub.nodes!.sendToNodes(this.#name, writePart(this.#version, from, next, joins), node);
  }

  #remoteOf(node: string): Remote<Meta> {
    const { clock, nodes } = this.#hub;
    return getOrSet(this.#remotes, node, () => {
      const change = (what: "add" | "remove", entry: PresenceEntry<Meta>): void => {
        this.#view[what](entry);
        this.#schedule();
      };
      return new Remote<Meta>({
        now: () => clock.now(),
        decode: (join) => this.#decode(node, join),
        add: (entry) => change("add", entry),
        remove: (entry) => change("remove", entry),
        request: (from) => nodes!.sendToNodes(this.#name, writeRequest(from), node),
      });
    });
  }

  #decode(node: string, { number, topic, key, meta }: Join): PresenceEntry<Meta> | undefined {
    const decoded = this.#hub.decode(meta, topic);
    return decoded && { topic, key, tracked: trackedBy(node, number, decoded.info as Meta) };
  }

  #clear(): void {
    for (const [session, connection] of this.#connections) this.#forget(session, connection);
    this.#changes.clear();
    this.#view.clear();
    this.#listeners.clear();
  }
}

const onEnd = (run: () => void): SessionListener => ({ onOpen: () => undefined, flush: () => undefined, onEnd: run });

const trackedBy = <Meta>(node: string, number: number, meta: Meta): Tracked<Meta> => ({
  ref: `${node}:${number}`,
  meta,
  node,
});

/** @throws TypeError for a value that is not a `self`; Error for a connection that cannot be in a presence */
const presentableSessionOf = (self: unknown): TopicSession => {
  const session = reachableSessionOf(self);
  if (session.home === undefined) return session;
  throw codedError(
    "WEBSOCK_NOT_SUPPORTED",
    "presence is not possible in a Durable Object: its entries would be lost when it hibernates",
  );
};

/** @throws TypeError for a value that is not a string */
const checkString = (name: string, value: unknown): void => {
  if (typeof value !== "string")
    throw codedTypeError("WEBSOCK_INVALID_ARGUMENT", `${name} of a presence must be a string, not ${show(value)}`);
};
