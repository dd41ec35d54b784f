/** Tests of the system clock. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { SystemClock } from "../../../src/adapters/shared/system-clock.ts";
import { systemTimers } from "../../../src/adapters/shared/timers.ts";
import type { Timed } from "../../../src/session/clock.ts";
import { nextTick } from "../../support/promises.ts";
import { replacedTimers } from "../../support/replaced-timers.ts";

describe("SystemClock", () => {
  let clock: SystemClock;
  let ticks: [name: string, at: number][];

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setImmediate", "performance"] });
    clock = new SystemClock(replacedTimers);
    ticks = [];
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const task = (name: string, onTick: (now: number) => void = () => {}): Timed => ({
    slot: 0,
    tick: (now) => {
      ticks.push([name, now]);
      onTick(now);
    },
  });
  const names = (): string[] => ticks.map(([name]) => name);

  test("counts whole milliseconds", () => {
    vi.useRealTimers();
    const real = new SystemClock();
    expect(Array.from({ length: 100 }, () => real.now()).every(Number.isInteger)).toBe(true);
  });

  test("soon is never before now, and never half a second after", () => {
    expect(clock.coarseActiveNow()).toBe(clock.now());
    clock.schedule(task("far"), clock.now() + 10_000);
    for (let i = 0; i < 1_000; i++) {
      vi.advanceTimersByTime(7);
      expect(clock.activeNow()).toBe(clock.now());
      const ahead = clock.coarseActiveNow() - clock.activeNow();
      expect(ahead).toBeGreaterThanOrEqual(0);
      expect(ahead).toBeLessThan(500);
    }
  });

  describe("while the process does not run", () => {
    let real: () => number;
    let blocked = 0;
    beforeEach(() => {
      blocked = 0;
      real = performance.now.bind(performance);
      vi.spyOn(performance, "now").mockImplementation(() => real() + blocked);
    });
    afterEach(() => {
      vi.restoreAllMocks();
    });

    test("time in which peers are heard stands still, and goes on as the system's does", () => {
      const start = clock.now();
      clock.schedule(task("far"), start + 100_000_000);
      vi.advanceTimersByTime(3_000);
      // The process is suspended for an hour. What arrived is read before the timer fires.
      blocked = 3_600_000;
      const soon = clock.coarseActiveNow();
      expect(clock.activeNow()).toBeLessThanOrEqual(soon);
      expect(soon - start).toBeLessThan(3_500);
      vi.advanceTimersByTime(200);
      expect(clock.activeNow()).toBeGreaterThanOrEqual(soon - 500);
      expect(clock.activeNow() - start).toBeLessThan(3_700);
      expect(clock.now() - start).toBe(3_603_200);
      const before = clock.activeNow();
      vi.advanceTimersByTime(1_000);
      expect(clock.activeNow() - before).toBe(1_000);
    });

    test("deadlines come all the same", () => {
      const start = clock.now();
      clock.schedule(task("a"), start + 1000);
      clock.schedule(task("b"), start + 2000);
      blocked = 10_000;
      vi.advanceTimersByTime(250);
      expect(names()).toEqual(["a", "b"]);
    });
  });

  test("never ticks early, and at most a second late", () => {
    const start = clock.now();
    const deadlines = [0, 1, 100, 249, 250, 251, 499, 500, 999, 1000, 1001, 5000, 30_000, 60_000, 123_456];
    for (const after of deadlines) clock.schedule(task(String(after)), start + after);
    vi.advanceTimersByTime(125_000);
    expect(names()).toEqual(deadlines.map(String));
    for (const [after, at] of ticks) {
      expect(at - start, after).toBeGreaterThanOrEqual(Number(after));
      expect(at - start, after).toBeLessThanOrEqual(Number(after) + 1000);
    }
  });

  test("ticks once", () => {
    clock.schedule(task("once"), clock.now() + 100);
    vi.advanceTimersByTime(10_000);
    expect(names()).toEqual(["once"]);
  });

  test("what is in the past ticks soon, though not in the caller's stack", () => {
    vi.advanceTimersByTime(10_000);
    clock.schedule(task("past"), clock.now() - 5000);
    expect(names()).toEqual([]);
    vi.advanceTimersByTime(1000);
    expect(names()).toEqual(["past"]);
  });

  test("the newest schedule counts, sooner or later", () => {
    const start = clock.now();
    const [sooner, later] = [task("sooner"), task("later")];
    clock.schedule(sooner, start + 10_000);
    clock.schedule(sooner, start + 1000);
    clock.schedule(later, start + 1000);
    clock.schedule(later, start + 10_000);
    vi.advanceTimersByTime(2000);
    expect(names()).toEqual(["sooner"]);
    vi.advanceTimersByTime(20_000);
    expect(names()).toEqual(["sooner", "later"]);
    expect(ticks[1]![1] - start).toBeGreaterThanOrEqual(10_000);
  });

  test("a cancelled task does not tick, and may be scheduled again", () => {
    const one = task("one");
    clock.cancel(one);
    clock.schedule(one, clock.now() + 1000);
    clock.cancel(one);
    clock.cancel(one);
    vi.advanceTimersByTime(5000);
    expect(names()).toEqual([]);
    clock.schedule(one, clock.now() + 1000);
    vi.advanceTimersByTime(5000);
    expect(names()).toEqual(["one"]);
  });

  test("Infinity is never, and takes back what was scheduled", () => {
    const one = task("one");
    clock.schedule(one, clock.now() + 1000);
    clock.schedule(one, Number.POSITIVE_INFINITY);
    vi.advanceTimersByTime(1_000_000);
    expect(names()).toEqual([]);
  });

  test("a task may schedule itself again from its tick", () => {
    const start = clock.now();
    const again = task("again", (now) => clock.schedule(again, now + 1000));
    clock.schedule(again, start + 1000);
    vi.advanceTimersByTime(10_000);
    expect(ticks.length).toBeGreaterThanOrEqual(7);
    for (let i = 1; i < ticks.length; i++) expect(ticks[i]![1] - ticks[i - 1]![1]).toBeGreaterThanOrEqual(1000);
  });

  test("a task that another's tick cancels in the same moment does not tick", () => {
    const second = task("second");
    clock.schedule(
      task("first", () => clock.cancel(second)),
      clock.now() + 1000,
    );
    clock.schedule(second, clock.now() + 1000);
    vi.advanceTimersByTime(5000);
    expect(names()).toEqual(["first"]);
  });

  test("a task that another's tick puts off in the same moment ticks then, not now", () => {
    const start = clock.now();
    const second = task("second");
    clock.schedule(
      task("first", (now) => clock.schedule(second, now + 5000)),
      start + 1000,
    );
    clock.schedule(second, start + 1000);
    vi.advanceTimersByTime(20_000);
    expect(names()).toEqual(["first", "second"]);
    expect(ticks[1]![1] - ticks[0]![1]).toBeGreaterThanOrEqual(5000);
  });

  test("has one timer for any number of tasks, and none when none is left", () => {
    expect(vi.getTimerCount()).toBe(0);
    const tasks = Array.from({ length: 1000 }, (_, i) => task(String(i)));
    for (const [i, one] of tasks.entries()) clock.schedule(one, clock.now() + 1000 + i);
    expect(vi.getTimerCount()).toBe(1);
    for (const one of tasks.slice(500)) clock.cancel(one);
    vi.advanceTimersByTime(5000);
    expect(ticks.length).toBe(500);
    expect(vi.getTimerCount()).toBe(0);
    // The timer starts again.
    clock.schedule(tasks[0]!, clock.now() + 1000);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(5000);
    expect(ticks.length).toBe(501);
  });
});

describe("SystemClock with real timers", () => {
  test("does not keep a process alive by its deadlines", () => {
    const timer = systemTimers.startInterval(() => {}, 60_000) as NodeJS.Timeout;
    expect(timer.hasRef()).toBe(false);
    systemTimers.stopInterval(timer);
  });

  test("defers to a later turn, in order; what is deferred from there waits for the one after", async () => {
    const clock = new SystemClock(replacedTimers);
    const ran: string[] = [];
    clock.defer(() => {
      ran.push("a");
      clock.defer(() => ran.push("c"));
    });
    clock.defer(() => ran.push("b"));
    expect(ran).toEqual([]);
    await nextTick();
    expect(ran).toEqual(["a", "b"]);
    await nextTick();
    expect(ran).toEqual(["a", "b", "c"]);
  });

  test("defers past the promises that are settled already", async () => {
    const ran: string[] = [];
    await new Promise<void>((resolve) => {
      new SystemClock().defer(() => {
        ran.push("deferred");
        resolve();
      });
      void Promise.resolve().then(() => ran.push("promise"));
    });
    expect(ran).toEqual(["promise", "deferred"]);
  });
});
