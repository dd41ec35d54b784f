import { expect, test } from "vitest";
import { ManualClock } from "websock-js/testing";
import { Watchdog } from "../../src/isolate/watchdog.ts";

const watch = (limit: number) => {
  const clock = new ManualClock();
  const progress = new Int32Array(new SharedArrayBuffer(4));
  const seen: string[] = [];
  const watchdog = new Watchdog(
    clock,
    limit,
    progress,
    (posted) => {
      seen.push("probe");
      posted();
    },
    () => seen.push("stuck"),
  );
  watchdog.start();
  return { clock, progress, seen, watchdog };
};

test("a worker that makes no progress is probed, and is stuck when it does not answer within the limit", () => {
  const { clock, seen } = watch(1_000);
  clock.advance(500);
  expect(seen).toEqual(["probe"]);
  clock.advance(999);
  expect(seen).toEqual(["probe"]);
  clock.advance(1);
  expect(seen).toEqual(["probe", "stuck"]);
  clock.advance(10_000);
  expect(seen).toEqual(["probe", "stuck"]);
});

test("one that answers, or handles messages, is not", () => {
  const { clock, progress, seen } = watch(1_000);
  for (let i = 0; i < 100; i++) {
    clock.advance(500);
    if (i % 2 === 1) progress[0]!++;
  }
  expect(seen).not.toContain("stuck");
});

test("after it is stopped, and without a limit, nothing happens", () => {
  const { clock, seen, watchdog } = watch(1_000);
  watchdog.stop();
  clock.advance(10_000);
  expect(seen).toEqual([]);
  const unlimited = watch(Number.POSITIVE_INFINITY);
  unlimited.clock.advance(1_000_000);
  expect(unlimited.seen).toEqual([]);
});
