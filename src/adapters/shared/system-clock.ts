/** The system clock: a timer wheel with one timer for all connections. */
import type { Clock, Timed } from "../../session/clock.ts";
import { systemTimers, type Timers } from "./timers.ts";

/**
 * The interval between slots. A deadline is met up to two intervals late, or four after {@link
 * SystemClock.coarseActiveNow}.
 */
const SLOT_MS = 200;

/** Connections have no timers of their own: each is in the slot of its next deadline. */
export class SystemClock implements Clock {
  private readonly timers: Timers;
  private readonly slots = new Map<number, Set<Timed>>();
  private timer: ReturnType<typeof setInterval> | undefined;
  private currentSlot = 0;
  /**
   * Upper bound of {@link activeAt}: one slot after the next timer tick is due. If the timer is late, active time stops
   * here.
   */
  private activeLimit = 0;
  /** The total time for which active time has stood still. */
  private inactive = 0;
  private deferred: (() => void)[] = [];

  constructor(timers: Timers = systemTimers) {
    this.timers = timers;
  }

  /** Integers: V8 stores them without allocating, but allocates memory for a number with a fraction. */
  now(): number {
    return Math.floor(this.timers.now());
  }

  activeNow(): number {
    return this.activeAt(this.now());
  }

  /** Does not read the system's clock, which would account for half the cost of a message. */
  coarseActiveNow(): number {
    return this.timer === undefined ? this.activeNow() : this.activeLimit;
  }

  private activeAt(now: number): number {
    const heard = now - this.inactive;
    return this.timer === undefined ? heard : Math.min(heard, this.activeLimit);
  }

  schedule(task: Timed, at: number): void {
    if (this.timer === undefined) this.start();
    const slot = Math.max(Math.ceil(at / SLOT_MS), this.currentSlot + 1);
    if (task.slot === slot) return;
    this.cancel(task);
    if (slot === Number.POSITIVE_INFINITY) return;
    let tasks = this.slots.get(slot);
    if (tasks === undefined) this.slots.set(slot, (tasks = new Set()));
    tasks.add(task);
    task.slot = slot;
  }

  cancel(task: Timed): void {
    const tasks = this.slots.get(task.slot);
    if (tasks?.delete(task) && tasks.size === 0) this.slots.delete(task.slot);
    task.slot = 0;
  }

  defer(run: () => void): void {
    if (this.deferred.push(run) === 1) this.timers.later(this.runDeferred);
  }

  /**
   * Functions deferred while these run wait for the next tick, so that two that keep deferring each other block nobody.
   */
  private readonly runDeferred = (): void => {
    const runs = this.deferred;
    this.deferred = [];
    for (const run of runs) run();
  };

  private start(): void {
    const now = this.now();
    this.activeLimit = this.activeAt(now) + 2 * SLOT_MS;
    this.currentSlot = Math.floor(now / SLOT_MS);
    // Open connections keep the process alive; this timer alone does not.
    this.timer = this.timers.startInterval(this.advance, SLOT_MS);
  }

  private readonly advance = (): void => {
    const now = this.now();
    const heard = this.activeAt(now);
    this.inactive = now - heard;
    this.activeLimit = heard + 2 * SLOT_MS;
    const reached = Math.floor(now / SLOT_MS);
    while (this.currentSlot < reached) {
      const slot = ++this.currentSlot;
      const tasks = this.slots.get(slot);
      if (tasks === undefined) continue;
      this.slots.delete(slot);
      for (const task of tasks) {
        if (task.slot !== slot) continue; // cancelled or rescheduled by the tick of another task
        task.slot = 0;
        task.tick(now);
      }
    }
    if (this.slots.size > 0) return;
    this.timers.stopInterval(this.timer);
    this.timer = undefined;
  };
}

/** Shared, so that all servers use one timer. */
export const systemClock: Clock = new SystemClock();
