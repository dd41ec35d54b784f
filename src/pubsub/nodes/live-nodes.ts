/**
 * The other nodes that are alive: each publishes a beat at an interval, and a goodbye when it closes.
 *
 * All times are active ones. When this process was suspended, or its event loop blocked, the beats of the others may
 * have arrived without having been read.
 */
import { type Clock, NEVER, type Timed } from "../../session/clock.ts";

/**
 * A node that has said goodbye, or is silent, is remembered for this many milliseconds: its messages may be late, and a
 * silent one may come back, and must then find the numbers of what it has published.
 */
const REMEMBERED = 600_000;

export interface LiveNodesOptions {
  readonly clock: Clock;
  /** The interval of beats in milliseconds. */
  readonly beat: number;
  /** After how many milliseconds of silence a node counts as down. */
  readonly down: number;
}

/** What the live nodes need of this node. */
export interface LiveNodesOwner {
  readonly isUp: boolean;
  sendBeat(): void;
  /** A node has said goodbye, or is silent. */
  onNodeGone(node: string): void;
  /** Nothing of a node will be received any more. */
  onNodeForgotten(node: string): void;
}

export class LiveNodes implements Timed {
  slot = 0;
  private readonly owner: LiveNodesOwner;
  private readonly clock: Clock;
  private readonly beat: number;
  private readonly down: number;
  private beatAt = NEVER;
  private awaySince: number | undefined = undefined;
  /** The nodes that are alive, with the time at which they were last heard. */
  private readonly heardAt = new Map<string, number>();
  /** The nodes that were given more time to be heard, and have not been heard since. */
  private readonly spared = new Set<string>();
  /** The nodes that are gone, with the time at which that was found out, in this order. */
  private readonly gone = new Map<string, number>();

  constructor(owner: LiveNodesOwner, { clock, beat, down }: LiveNodesOptions) {
    this.owner = owner;
    this.clock = clock;
    this.beat = beat;
    this.down = down;
  }

  get nodes(): Iterable<string> {
    return this.heardAt.keys();
  }

  has(node: string): boolean {
    return this.heardAt.has(node);
  }

  /**
   * The engine is up. While it was away, the other nodes had no chance to be heard: that time does not count. They may
   * also take longer to connect again: once after it was heard, each has at least two beats to be heard again.
   */
  start(): void {
    const { beat, down, spared } = this;
    const now = this.clock.activeNow();
    const away = now - (this.awaySince ?? now);
    this.awaySince = undefined;
    for (const [node, heardAt] of this.heardAt) {
      const spare = now - down + Math.min(2 * beat, down);
      const isSpared = heardAt + away < spare && !spared.has(node);
      if (isSpared) spared.add(node);
      this.heardAt.set(node, isSpared ? spare : heardAt + away);
    }
    this.beatAt = now + this.beat;
    this.schedule();
  }

  /** The engine is away. */
  pause(): void {
    this.awaySince ??= this.clock.activeNow();
  }

  /** A node has published something. */
  heard(node: string): void {
    if (this.gone.has(node)) return;
    this.spared.delete(node);
    this.heardAt.set(node, this.clock.activeNow());
  }

  /** A node has said that it is alive: also one that was silent for too long. */
  alive(node: string): void {
    this.gone.delete(node);
    this.heard(node);
  }

  /** A node has said goodbye, or is silent. */
  markGone(node: string): void {
    if (!this.heardAt.delete(node)) return;
    this.spared.delete(node);
    this.gone.set(node, this.clock.activeNow());
    this.owner.onNodeGone(node);
  }

  tick(): void {
    const now = this.clock.activeNow();
    const isBeat = now >= this.beatAt;
    if (isBeat) this.beatAt = now + this.beat;
    // While the engine is away, nobody can be heard: the others may well be alive.
    if (this.owner.isUp) {
      if (isBeat) this.owner.sendBeat();
      for (const [node, heardAt] of this.heardAt) if (heardAt + this.down <= now) this.markGone(node);
    }
    for (const [node, goneAt] of this.gone) {
      if (goneAt + REMEMBERED > now) break;
      this.gone.delete(node);
      this.owner.onNodeForgotten(node);
    }
    this.schedule();
  }

  close(): void {
    this.clock.cancel(this);
  }

  /** For the next beat, or when the next node counts as down. */
  private schedule(): void {
    const { clock, owner, beatAt, down } = this;
    const downAt = owner.isUp ? Math.min(...this.heardAt.values()) + down : NEVER;
    clock.schedule(this, clock.now() + Math.min(beatAt, downAt) - clock.activeNow());
  }
}
