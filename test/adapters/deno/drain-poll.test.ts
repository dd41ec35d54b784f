/** Tests of the poll for buffered bytes. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { DrainPoll, type PolledTransport } from "../../../src/adapters/deno/drain-poll.ts";
import { replacedTimers } from "../../support/replaced-timers.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

class Stub implements PolledTransport {
  bufferedAmount: number;
  told: number[] = [];

  constructor(waiting: number) {
    this.bufferedAmount = waiting;
  }

  onProgress(): void {
    this.told.push(this.bufferedAmount);
  }
}

test("reports each decrease, and stops polling a transport that has drained", () => {
  const poll = new DrainPoll(replacedTimers);
  const one = new Stub(100);
  poll.add(one, one.bufferedAmount);
  vi.advanceTimersByTime(200);
  expect(one.told).toEqual([]);
  for (const waiting of [60, 0]) {
    one.bufferedAmount = waiting;
    vi.advanceTimersByTime(64);
  }
  expect(one.told).toEqual([60, 0]);
  expect(vi.getTimerCount()).toBe(0);
});

test("polls less and less often without progress, and immediately for a new transport", () => {
  const poll = new DrainPoll(replacedTimers);
  const stuck = new Stub(100);
  poll.add(stuck, 100);
  const looks = vi.spyOn(stuck, "bufferedAmount", "get").mockReturnValue(100);
  vi.advanceTimersByTime(6_400);
  expect(looks.mock.calls.length).toBeLessThan(120);
  const other = new Stub(100);
  poll.add(other, 100);
  other.bufferedAmount = 50;
  vi.advanceTimersByTime(1);
  expect(other.told).toEqual([50]);
  poll.delete(stuck);
  poll.delete(other);
  vi.advanceTimersByTime(64);
  expect(vi.getTimerCount()).toBe(0);
});

test("polls a transport that is added in onProgress", () => {
  const poll = new DrainPoll(replacedTimers);
  const second = new Stub(10);
  const first = new (class extends Stub {
    override onProgress(): void {
      poll.add(second, second.bufferedAmount);
    }
  })(10);
  poll.add(first, 10);
  first.bufferedAmount = 0;
  vi.advanceTimersByTime(1);
  second.bufferedAmount = 0;
  vi.advanceTimersByTime(64);
  expect(second.told).toEqual([0]);
  expect(vi.getTimerCount()).toBe(0);
});
