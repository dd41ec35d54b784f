/** What a `PubSub` and its topics share. */
import { checkKeys } from "../known-keys.ts";
import type { TopicSession } from "../session/self.ts";
import type { Self } from "../websock.ts";
import type { Address } from "./address.ts";
import { type Codec, jsonCodec, roundTrip } from "./codec.ts";
import { Delivery, type DeliveryOwner, type Selection } from "./delivery.ts";
import { publishEvent } from "./diagnostics.ts";
import type { Gap, PubSubEvent, PubSubOptions, SendOptions } from "./options.ts";
import { Registry } from "./registry.ts";
import { sessionOf } from "./session-of.ts";

const EVERYBODY: Selection = { except: undefined, volatile: false };
const SEND_OPTIONS = ["except", "local", "volatile"];

type Excepted = Self<never> | Address<never>;

export class Hub implements DeliveryOwner {
  readonly delivery = new Delivery(this);
  readonly registry = new Registry(this.delivery);
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
    return typeof one === "string" ? this.registry.findAddress(one) : sessionOf(one);
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
