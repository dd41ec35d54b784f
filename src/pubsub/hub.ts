/** What a `PubSub` and its topics share. */
import { checkKeys } from "../known-keys.ts";
import type { TopicHome, TopicSession } from "../session/self.ts";
import type { Self } from "../websock.ts";
import type { Address } from "./address.ts";
import { type Codec, jsonCodec, roundTrip } from "./codec.ts";
import { Delivery, type DeliveryOwner, type Selection } from "./delivery.ts";
import { publishEvent } from "./diagnostics.ts";
import type { Gap, PubSubEvent, PubSubOptions, SendOptions } from "./options.ts";
import { Registry } from "./registry.ts";
import { reachableSessionOf, sessionOf } from "./session-of.ts";

const EVERYBODY: Selection = { except: undefined, volatile: false };
const SEND_OPTIONS = ["except", "local", "volatile"];

type Excepted = Self<never> | Address<never>;

export class Hub implements DeliveryOwner {
  readonly delivery = new Delivery(this);
  readonly #registry = new Registry(this.delivery);
  #home: TopicHome | undefined = undefined;
  #isRestored = false;
  #node: string | undefined = undefined;
  closed = false;
  publishes = 0;
  broadcasts = 0;
  private readonly codec: Codec;
  private readonly strict: boolean;
  private readonly onEvent: ((event: PubSubEvent) => void) | undefined;

  constructor(options: PubSubOptions) {
    checkKeys(options, ["codec", "strict", "onEvent"]);
    this.codec = options.codec ?? jsonCodec;
    this.strict = options.strict ?? false;
    this.onEvent = options.onEvent;
  }

  /** Created when it is first read: a Worker must not create random values while its modules are loaded. */
  get node(): string {
    return (this.#node ??= crypto.randomUUID());
  }

  /** @throws TypeError if this is the `PubSub` of another object, or of an earlier life of the same object */
  bind(home: TopicHome): void {
    if (this.#home !== undefined)
      throw new TypeError(
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
    throw new Error(
      session.home === undefined
        ? "this PubSub belongs to a Durable Object, and the connection does not"
        : "in a Durable Object, create a PubSub in a class field, and pass it to attach(this, this.ctx, handler, { pubsub })",
    );
  }

  /** The session with an address. In a Durable Object, its address may have been asked for before hibernation. */
  findAddress(address: string): TopicSession | undefined {
    const known = this.registry.findAddress(address);
    const prefix = `${this.node}:`;
    if (known !== undefined || this.#home === undefined || this.closed || !address.startsWith(prefix)) return known;
    return this.#home.find(address.slice(prefix.length));
  }

  onGap(gap: Gap): void {
    this.emit({ type: "gap", gap });
  }

  /** The info as a local member receives it. */
  localInfo(info: unknown): unknown {
    return this.strict ? roundTrip(this.codec, info) : info;
  }

  /** @throws TypeError for unknown options, and for entries of `except` that are neither a `self` nor a string */
  select(options: SendOptions | undefined): Selection {
    if (options === undefined) return EVERYBODY;
    checkKeys(options, SEND_OPTIONS);
    const { except, volatile = false } = options;
    if (!Array.isArray(except)) return { except: except && this.sessionOf(except as Excepted), volatile };
    const sessions = except.map((one: Excepted) => this.sessionOf(one));
    return { except: new Set(sessions.filter((session) => session !== undefined)), volatile };
  }

  private sessionOf(one: Excepted): TopicSession | undefined {
    return typeof one === "string" ? this.findAddress(one) : sessionOf(one);
  }

  emit(event: PubSubEvent): void {
    publishEvent(this.node, event);
    try {
      this.onEvent?.(event);
    } catch {
      // A publisher must not get an exception of a listener.
    }
  }
}
