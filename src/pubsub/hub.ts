/** What a `PubSub` and its topics share. */
import { codedError, codedTypeError } from "../error-codes.ts";
import { checkKeys, show } from "../known-keys.ts";
import type { OutMessage } from "../message.ts";
import type { StopDetail } from "../result.ts";
import type { Clock } from "../session/clock.ts";
import type { TopicHome, TopicSession } from "../session/self.ts";
import type { AnySelf } from "../websock.ts";
import type { Address } from "./address.ts";
import { type Codec, decodeInfo, jsonCodec } from "./codec.ts";
import { Delivery, type DeliveryOwner, type Selection } from "./delivery.ts";
import { publishEvent } from "./diagnostics.ts";
import { isExcepted } from "./except.ts";
import type { Entry, Member } from "./member.ts";
import type { StopRequest } from "./nodes/bodies.ts";
import { type EntryOptions, PLAIN } from "./nodes/envelope.ts";
import { Nodes, type NodesOwner, type PresenceReplica } from "./nodes/nodes.ts";
import type { Gap, PubSubEvent, PubSubOptions, SendOptions } from "./options.ts";
import { checkPubSubOptions } from "./pubsub-options.ts";
import { Registry } from "./registry.ts";
import { reachableSessionOf, sessionOf } from "./session-of.ts";

const EVERYBODY: Selection = { except: undefined, volatile: false };
const SEND_OPTIONS = ["except", "local", "volatile"];

/**
 * To how many members the return of the engine is announced in an event-loop tick, so that not all clients load their
 * state at once. A gap in what another node has published is announced immediately instead, to all members of its
 * topic, because it must be announced before the first info that follows it.
 */
const GAPS_PER_TICK = 1_000;

/** The ids of a node and of a connection, both UUIDs. */
const ADDRESS = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** For how many topics it is remembered that an error was reported. */
const MAX_REPORTED = 1_000;

type Excepted = AnySelf<never> | Address<never>;

/** An info for the members in this process, and for other nodes. */
export interface PreparedInfo {
  readonly here: unknown;
  /** `undefined`: it is not for other nodes. */
  readonly encoded: Uint8Array | string | undefined;
}

export class Hub implements DeliveryOwner, NodesOwner {
  readonly delivery = new Delivery(this);
  readonly nodes: Nodes | undefined;
  readonly clock: Clock;
  /** The listeners of `pubsub.onNodesInfo`. */
  readonly infoListeners = new Set<(info: unknown, node: string) => void>();
  closed = false;
  publishes = 0;
  broadcasts = 0;
  readonly #codec: Codec;
  readonly #strict: boolean;
  readonly #onEvent: ((event: PubSubEvent) => void) | undefined;
  readonly #registry = new Registry(this.delivery);
  readonly #presences = new Map<string, PresenceReplica>();
  readonly #reportedTopics = new Set<string | undefined>();
  #home: TopicHome | undefined = undefined;
  #isRestored = false;
  #node: string | undefined = undefined;
  #closing: Promise<void> | undefined = undefined;
  /** How often the engine has come back. */
  #returns = 0;

  constructor(options: PubSubOptions) {
    const { codec = jsonCodec, strict = false, onEvent, backplane, clock, ...times } = checkPubSubOptions(options);
    this.#codec = codec;
    this.#strict = strict;
    this.#onEvent = onEvent;
    this.clock = clock;
    this.nodes = backplane && new Nodes(this, { node: this.node, clock, backplane, ...times });
    this.#registry.interest = this.nodes;
  }

  /** Created when it is first read: a Worker must not create random values while its modules are loaded. */
  get node(): string {
    return (this.#node ??= crypto.randomUUID());
  }

  /** @throws TypeError if this is the `PubSub` of another object, or of an earlier life of the same object */
  bind(home: TopicHome): void {
    if (this.nodes !== undefined)
      throw codedTypeError(
        "WEBSOCK_NOT_SUPPORTED",
        'option "backplane" is not possible in a Durable Object: all of its connections are in one process',
      );
    if (this.#home !== undefined)
      throw codedTypeError(
        "WEBSOCK_ALREADY_ATTACHED",
        "this PubSub was already passed to attach(): create one for each Durable Object, in a class field and not in a " +
          "module, because the object is created again after hibernation",
      );
    this.#home = home;
    this.#node = home.id;
  }

  /** Contains the connections from before hibernation, too. */
  get registry(): Registry {
    if (this.#home !== undefined && !this.#isRestored) {
      this.#isRestored = true;
      for (const [session, topics] of this.#home.storedTopics())
        for (const [topic, options] of topics) this.#registry.restore(topic, session, options);
    }
    return this.#registry;
  }

  /**
   * The session of a connection that can be a member.
   *
   * @throws TypeError for a value that is not a `self`; Error for a connection that cannot
   */
  memberSession(self: unknown): TopicSession {
    const session = reachableSessionOf(self);
    if (session.home === this.#home) return session;
    throw codedError(
      "WEBSOCK_NOT_SUPPORTED",
      session.home === undefined
        ? "this PubSub belongs to a Durable Object, and the connection does not"
        : "in a Durable Object, create a PubSub in a class field, and pass it to attach(this, this.ctx, handler, { pubsub })",
    );
  }

  /** @throws TypeError if there is a presence of this name */
  addPresence(name: string, presence: PresenceReplica): void {
    if (this.#presences.has(name))
      throw codedTypeError("WEBSOCK_INVALID_ARGUMENT", `this PubSub has a Presence with the name "${name}" already`);
    this.#presences.set(name, presence);
    this.nodes?.addReplica(name, presence);
  }

  /** The session with an address. In a Durable Object, its address may have been asked for before hibernation. */
  findAddress(address: string): TopicSession | undefined {
    const known = this.registry.findAddress(address);
    if (known !== undefined || this.#home === undefined || this.closed || !this.isOwn(address)) return known;
    return this.#home.find(address.slice(this.node.length + 1));
  }

  /** Whether an address is one of this node. */
  isOwn(address: string): boolean {
    return address.startsWith(`${this.node}:`);
  }

  /** The node of an address, if it is another one that can be sent to. */
  otherNodeOf(address: string): string | undefined {
    if (this.nodes === undefined || this.closed || this.isOwn(address)) return undefined;
    return ADDRESS.exec(address)?.[1];
  }

  /** @throws the error of the codec */
  prepareInfo(info: unknown, isForNodes: boolean): PreparedInfo {
    if (!this.#strict && !isForNodes) return { here: info, encoded: undefined };
    const encoded = this.#codec.encode(info);
    const here = this.#strict ? decodeInfo(this.#codec, encoded) : info;
    return { here, encoded: isForNodes ? encoded : undefined };
  }

  /** @throws TypeError for unknown options, and for entries of `except` that are neither a `self` nor a string */
  select(options: SendOptions | undefined): Selection {
    if (options === undefined) return EVERYBODY;
    checkKeys(options, SEND_OPTIONS);
    const { except, volatile = false } = options;
    if (!Array.isArray(except)) return { except: except && this.#sessionOf(except as Excepted), volatile };
    return { except: this.#sessionsOf(except), volatile };
  }

  /** The options as other nodes get them: only addresses of other nodes are left in `except`. */
  entryOptionsFor(options: SendOptions | undefined): EntryOptions {
    if (options === undefined) return PLAIN;
    const { except = [], volatile = false } = options;
    const all: readonly Excepted[] = Array.isArray(except) ? except : [except as Excepted];
    return { except: all.filter((one) => typeof one === "string" && !this.isOwn(one)) as string[], volatile };
  }

  #sessionsOf(excepted: readonly Excepted[]): ReadonlySet<TopicSession> {
    return new Set(excepted.map((one) => this.#sessionOf(one)).filter((session) => session !== undefined));
  }

  #sessionOf(one: Excepted): TopicSession | undefined {
    return typeof one === "string" ? this.findAddress(one) : sessionOf(one);
  }

  /** Ends the connections of a topic in this process. */
  stopMembers(name: string, { except, volatile }: Selection, reason: string, detail: StopDetail): void {
    // Collected first, because ending a connection removes it, and runs listeners of its signal.
    const members: Member[] = [];
    this.registry.find(name)?.forEach(({ member }) => {
      members.push(member);
    });
    for (const { session, waiting } of members)
      if (!isExcepted(except, session) && !(volatile && waiting > 0)) session.stopNow(reason, detail);
  }

  close(): Promise<void> {
    if (this.#closing === undefined) {
      let settle!: (shutDown: Promise<void>) => void;
      // Before any code of the application runs, because that may call this method again.
      this.#closing = new Promise((resolve) => {
        settle = resolve;
      });
      settle(this.#shutDown());
    }
    return this.#closing;
  }

  async #shutDown(): Promise<void> {
    this.closed = true;
    this.registry.clear();
    for (const presence of this.#presences.values()) presence.onClose();
    this.emit({ type: "closed" });
    await this.nodes?.close();
  }

  // --- what other nodes publish

  hasMembers(topic: string): boolean {
    return this.registry.find(topic) !== undefined;
  }

  publishHere(topic: string, messages: readonly OutMessage[], options: EntryOptions): void {
    const members = this.registry.find(topic);
    if (members !== undefined) this.delivery.publish(members, messages, this.#selectHere(options));
  }

  broadcastHere(topic: string, bytes: Uint8Array, options: EntryOptions): void {
    const members = this.registry.find(topic);
    if (members === undefined) return;
    const decoded = this.decode(bytes, topic);
    if (decoded !== undefined) this.delivery.broadcast(members, decoded.info, this.#selectHere(options));
  }

  stopHere(topic: string, { reason, detail }: StopRequest, options: EntryOptions): void {
    this.stopMembers(topic, this.#selectHere(options), reason, detail);
  }

  sendHere(address: string, bytes: Uint8Array): void {
    const session = this.findAddress(address);
    if (session === undefined) return;
    const decoded = this.decode(bytes, undefined);
    if (decoded !== undefined) session.deliver(decoded.info);
  }

  stopAddressHere(address: string, { reason, detail }: StopRequest): void {
    this.findAddress(address)?.stopNow(reason, detail);
  }

  onNodesInfo(bytes: Uint8Array, node: string): void {
    const decoded = this.decode(bytes, undefined);
    if (decoded !== undefined) this.notifyInfoListeners(decoded.info, node);
  }

  notifyInfoListeners(info: unknown, node: string): void {
    this.callEach(this.infoListeners, (listener) => listener(info, node));
  }

  /**
   * Calls listeners, and reports what they throw. Each may add and remove listeners: those are called that were there
   * before the first call, and have not been removed since.
   */
  callEach<Listener>(listeners: ReadonlySet<Listener>, call: (listener: Listener) => void): void {
    for (const listener of [...listeners]) {
      if (!listeners.has(listener)) continue;
      try {
        call(listener);
      } catch (error) {
        this.emit({ type: "error", error });
      }
    }
  }

  onRemoteGap(gap: Gap): void {
    const members = this.registry.find(gap.topic);
    if (members === undefined) return;
    this.emit({ type: "gap", gap });
    this.delivery.announceTo(members, () => gap);
  }

  #selectHere({ except, volatile }: EntryOptions): Selection {
    return except.length === 0 && !volatile ? EVERYBODY : { except: this.#sessionsOf(except as Address[]), volatile };
  }

  /**
   * Decodes an info with the codec. An error of the codec is reported once for each topic.
   *
   * @returns `undefined` if the codec throws
   */
  decode(bytes: Uint8Array, topic: string | undefined): { readonly info: unknown } | undefined {
    try {
      return { info: this.#codec.decode(bytes) };
    } catch (error) {
      if (this.#reportedTopics.has(topic) || this.#reportedTopics.size >= MAX_REPORTED) return undefined;
      this.#reportedTopics.add(topic);
      this.emit({ type: "error", error, ...(topic !== undefined && { topic }) });
      return undefined;
    }
  }

  // --- the connection to other nodes

  onUp(): void {
    this.emit({ type: "up" });
    this.#announceReturn([...this.registry.withOnGap()], 0, ++this.#returns);
  }

  /** Whatever was published elsewhere while the engine was away has not arrived here. */
  #announceReturn(entries: readonly Entry[], from: number, returns: number): void {
    // The engine has come back again since: that is announced to everybody, and is enough.
    if (returns !== this.#returns) return;
    const to = from + GAPS_PER_TICK;
    this.delivery.announceTo(entries.slice(from, to), ({ topic }) => ({
      topic: topic.name,
      cause: "engine",
      missed: undefined,
      node: undefined,
    }));
    if (to < entries.length) this.clock.defer(() => this.#announceReturn(entries, to, returns));
  }

  onAway(cause: unknown, status: "away" | "closed"): void {
    this.emit({ type: status, cause });
  }

  onWarning(message: string): void {
    this.emit({ type: "warning", message });
  }

  onGap(gap: Gap): void {
    this.emit({ type: "gap", gap });
  }

  emit(event: PubSubEvent): void {
    publishEvent(this.node, event);
    try {
      this.#onEvent?.(event);
    } catch {
      // A publisher must not get an exception of a listener.
    }
  }
}

/** @throws TypeError for a value that is no address */
export const checkAddress = (address: unknown): void => {
  if (typeof address !== "string")
    throw codedTypeError(
      "WEBSOCK_INVALID_ARGUMENT",
      `an address is a string that pubsub.address(self) returned, not ${show(address)}`,
    );
};
