/** The clock of every host that has no better one: a wheel with one timer, whatever the number of connections. */
import type { Clock, Timed } from "../../session/clock.ts";
import { systemTimers, type Timers } from "./timers.ts";

/** How far apart the wheel's slots are; a deadline is met up to two of them late, or four after {@link SystemClock.soon}. */
const SLOT_MS = 200;

/** Connections have no timer of their own: each stands in the slot of its next deadline. */
export class SystemClock implements Clock {
  private readonly timers: Timers;
  private readonly slots = new Map<number, Set<Timed>>();
  private timer: ReturnType<typeof setInterval> | undefined;
  private currentSlot = 0;
  /** The timer goes off a slot before this, of the time in which peers are heard. Where it does not, that time stands still. */
  private activeLimit = 0;
  /** How much time has passed so. */
  private inactive = 0;
  private deferred: (() => void)[] = [];

  constructor(timers: Timers = systemTimers) {
    this.timers = timers;
  }

  /** Whole milliseconds: engines keep them in place, and fractions in memory of their own. */
  now(): number {
    return Math.floor(this.timers.now());
  }

  heard(): number {
    return this.activeAt(this.now());
  }

  /** Without reading the system's clock, which would be half of what a message costs. */
  soon(): number {
    return this.timer === undefined ? this.heard() : this.activeLimit;
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

  /** What is deferred from within waits for the next turn, so that two who answer each other starve nobody. */
  private readonly runDeferred = (): void => {
    const runs = this.deferred;
    this.deferred = [];
    for (const run of runs) run();
  };

  private start(): void {
    const now = this.now();
    this.activeLimit = this.activeAt(now) + 2 * SLOT_MS;
    this.currentSlot = Math.floor(now / SLOT_MS);
    // Connections keep a process alive; their deadlines alone do not.
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
        if (task.slot !== slot) continue; // another's tick has cancelled it, or put it off
        task.slot = 0;
        task.tick(now);
      }
    }
    if (this.slots.size > 0) return;
    this.timers.stopInterval(this.timer);
    this.timer = undefined;
  };
}

/** One for all: connections of several servers share its timer. */
export const systemClock: Clock = new SystemClock();
