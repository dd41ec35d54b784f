/**
 * Finds a worker whose event loop does not come round. The worker counts in shared memory what it does: callbacks that
 * have returned, and records. If the count stands still, a record is posted to the worker, the probe, which increments
 * it. A worker that is idle or busy with many short callbacks counts on; one that is stuck in a callback, in a timer or
 * in an endless chain of microtasks does not.
 */
import { type Clock, NEVER, type Timed } from "../session/clock.ts";

export class Watchdog implements Timed {
  slot = 0;
  private readonly clock: Clock;
  private readonly limit: number;
  private readonly progress: Int32Array<SharedArrayBuffer>;
  private readonly probe: (posted: () => void) => void;
  private readonly stuck: () => void;
  private lastCount = 0;
  /** When the probe was posted; `undefined`: none is posted. */
  private probedAt: number | undefined = undefined;

  /** @param limit in milliseconds; `Infinity`: nothing is watched */
  constructor(
    clock: Clock,
    limit: number,
    progress: Int32Array<SharedArrayBuffer>,
    probe: (posted: () => void) => void,
    stuck: () => void,
  ) {
    this.clock = clock;
    this.limit = limit;
    this.progress = progress;
    this.probe = probe;
    this.stuck = stuck;
  }

  start(): void {
    if (this.limit !== NEVER) this.reschedule();
  }

  stop(): void {
    this.clock.cancel(this);
  }

  tick(now: number): void {
    const count = Atomics.load(this.progress, 0);
    if (count !== this.lastCount) {
      this.lastCount = count;
      this.probedAt = undefined;
    } else if (this.probedAt === undefined) {
      // The time counts from when it is posted: the main thread may be busy until then.
      this.probedAt = NEVER;
      this.probe(() => this.onPosted());
    } else if (now - this.probedAt >= this.limit) {
      this.stuck();
      return;
    }
    this.reschedule();
  }

  private onPosted(): void {
    if (this.probedAt !== NEVER) return;
    this.probedAt = this.clock.now();
    this.reschedule();
  }

  private reschedule(): void {
    const now = this.clock.now();
    const next = now + this.limit / 2;
    this.clock.schedule(this, this.probedAt === undefined ? next : Math.min(next, this.probedAt + this.limit));
  }
}
