/** What identifies a message that is answered later. */
import type { MessageRef } from "./channel.ts";
import type { Ref } from "./serializer.ts";

/** Belongs to one session: other connections may have the same topic, join ref and ref. */
export class SessionRef implements MessageRef {
  readonly topic: string;
  readonly joinRef: Ref;
  readonly ref: Ref;
  readonly event: string;
  readonly #session: object;

  constructor(session: { readonly topic: string; readonly joinRef: Ref }, ref: Ref, event: string) {
    this.topic = session.topic;
    this.joinRef = session.joinRef;
    this.ref = ref;
    this.event = event;
    this.#session = session;
  }

  static isOf(session: object, ref: unknown): ref is SessionRef {
    return typeof ref === "object" && ref !== null && #session in ref && ref.#session === session;
  }
}
