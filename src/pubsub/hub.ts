/** What a `PubSub` and its topics share. */
import { checkKeys } from "../known-keys.ts";
import type { TopicSession } from "../session/self.ts";
import { type Codec, jsonCodec, roundTrip } from "./codec.ts";
import { Delivery, type Selection } from "./delivery.ts";
import type { PubSubEvent, PubSubOptions, SendOptions } from "./options.ts";
import { Registry } from "./registry.ts";
import { sessionOf } from "./session-of.ts";

const NOBODY: ReadonlySet<TopicSession> = new Set();
const EVERYBODY: Selection = { except: NOBODY, volatile: false };
const SEND_OPTIONS = ["except", "local", "volatile"];

export class Hub {
  readonly node = crypto.randomUUID();
  readonly delivery = new Delivery(this.node, (gap) => this.emit({ type: "gap", gap }));
  readonly registry = new Registry((topic, entry, message, size) =>
    this.delivery.sendHeld(topic, entry, message, size),
  );
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

  /** The info as a local member receives it. */
  localInfo(info: unknown): unknown {
    return this.strict ? roundTrip(this.codec, info) : info;
  }

  /** @throws TypeError for unknown options, and for entries of `except` that are neither a `self` nor a string */
  select(options: SendOptions): Selection {
    const { except, volatile = false } = options;
    checkKeys(options, SEND_OPTIONS);
    if (except === undefined) return volatile ? { except: NOBODY, volatile } : EVERYBODY;
    const excluded = new Set<TopicSession>();
    for (const one of Array.isArray(except) ? except : [except]) {
      const session = typeof one === "string" ? this.registry.find(one) : sessionOf(one);
      if (session !== undefined) excluded.add(session);
    }
    return { except: excluded, volatile };
  }

  emit(event: PubSubEvent): void {
    try {
      this.onEvent?.(event);
    } catch {
      // A publisher must not get an exception of a listener.
    }
  }
}
