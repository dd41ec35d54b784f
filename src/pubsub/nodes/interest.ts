/**
 * The channels to which this node is subscribed: its own, that of all nodes, and those of topics that have members
 * here, or had some until recently.
 */
import { type Clock, NEVER, type Timed } from "../../session/clock.ts";

/** What an interest needs of the connection to the engine. */
export interface Subscriber {
  readonly isUp: boolean;
  /** Resolves when the engine has confirmed the subscription. Never rejects. */
  subscribe(channel: string): Promise<void>;
  unsubscribe(channels: readonly string[]): void;
}

interface Wanted {
  isHeld: boolean;
  /** When it was last released. */
  releasedAt: number;
  isConfirmed: boolean;
  readonly waiting: ((confirmed: boolean) => void)[];
}

/**
 * A channel stays subscribed for the `linger` time after its topic has lost its last member, so that members who come
 * and go cost the engine nothing.
 */
export class Interest implements Timed {
  slot = 0;
  /** Subscriptions that the engine was asked for. */
  subscribes = 0;
  private readonly channels = new Map<string, Wanted>();
  /** Released channels, in the order of their release. */
  private released: { readonly channel: string; readonly at: number }[] = [];
  private isScheduled = false;
  private readonly subscriber: Subscriber;
  private readonly clock: Clock;
  private readonly linger: number;
  private readonly onForgotten: (channel: string) => void;

  /** @param onForgotten is called when a channel is not wanted any more */
  constructor(subscriber: Subscriber, clock: Clock, linger: number, onForgotten: (channel: string) => void) {
    this.subscriber = subscriber;
    this.clock = clock;
    this.linger = linger;
    this.onForgotten = onForgotten;
  }

  get size(): number {
    return this.channels.size;
  }

  has(channel: string): boolean {
    return this.channels.has(channel);
  }

  hold(channel: string): void {
    const known = this.channels.get(channel);
    if (known !== undefined) {
      known.isHeld = true;
      return;
    }
    const wanted: Wanted = { isHeld: true, releasedAt: 0, isConfirmed: false, waiting: [] };
    this.channels.set(channel, wanted);
    this.subscribes++;
    void this.subscriber.subscribe(channel).then(() => {
      wanted.isConfirmed = true;
      for (const resolve of wanted.waiting.splice(0)) resolve(this.subscriber.isUp);
    });
  }

  release(channel: string): void {
    const wanted = this.channels.get(channel);
    if (wanted === undefined) return;
    wanted.isHeld = false;
    wanted.releasedAt = this.clock.now();
    this.released.push({ channel, at: wanted.releasedAt });
    this.schedule();
  }

  /** Resolves when what other nodes publish to a channel arrives here; with `false` if the engine is away. */
  ready(channel: string): Promise<boolean> {
    const wanted = this.channels.get(channel);
    if (wanted === undefined || !this.subscriber.isUp) return Promise.resolve(false);
    if (wanted.isConfirmed) return Promise.resolve(true);
    return new Promise((resolve) => wanted.waiting.push(resolve));
  }

  /** The engine is away: nobody needs to wait any longer. */
  onAway(): void {
    for (const { waiting } of this.channels.values()) for (const resolve of waiting.splice(0)) resolve(false);
  }

  tick(now: number): void {
    this.isScheduled = false;
    const forgotten: string[] = [];
    let count = 0;
    for (const { channel, at } of this.released) {
      if (at + this.linger > now) break;
      count++;
      const wanted = this.channels.get(channel);
      // Otherwise it was held again, or also released again later.
      if (wanted === undefined || wanted.isHeld || wanted.releasedAt !== at) continue;
      this.channels.delete(channel);
      for (const resolve of wanted.waiting.splice(0)) resolve(false);
      forgotten.push(channel);
    }
    this.released = this.released.slice(count);
    if (forgotten.length > 0) this.subscriber.unsubscribe(forgotten);
    forgotten.forEach(this.onForgotten);
    this.schedule();
  }

  close(): void {
    this.clock.cancel(this);
    this.onAway();
  }

  private schedule(): void {
    if (this.isScheduled || this.released.length === 0) return;
    this.isScheduled = true;
    this.clock.schedule(this, (this.released[0]?.at ?? NEVER) + this.linger);
  }
}
