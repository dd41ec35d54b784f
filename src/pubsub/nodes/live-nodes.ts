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
  /** The nodes that are alive, with the time at which they were last heard. */
  private readonly heardAt = new Map<string, number>();
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

  /** The engine is up: the other nodes have had no chance to be heard before. */
  start(): void {
    const now = this.clock.activeNow();
    for (const node of this.heardAt.keys()) this.heardAt.set(node, now);
    this.beatAt = now + this.beat;
    this.schedule();
  }

  /** A node has published something. */
  heard(node: string): void {
    if (!this.gone.has(node)) this.heardAt.set(node, this.clock.activeNow());
  }

  /** A node has said that it is alive: also one that was silent for too long. */
  alive(node: string): void {
    this.gone.delete(node);
    this.heardAt.set(node, this.clock.activeNow());
  }

  /** A node has said goodbye, or is silent. */
  markGone(node: string): void {
    if (!this.heardAt.delete(node)) return;
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
