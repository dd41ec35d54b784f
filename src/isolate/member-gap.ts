/** A gap in a topic, as the info that the main thread queues for a connection. Its worker makes the real info of it. */
import type { Gap } from "../pubsub/options.ts";

export class MemberGap {
  /** The number of the subscription. */
  readonly subscription: number;
  readonly gap: Gap;

  constructor(subscription: number, gap: Gap) {
    this.subscription = subscription;
    this.gap = gap;
  }
}
