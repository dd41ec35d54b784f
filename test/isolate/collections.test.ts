/** `fullsweepAfter`: a full garbage collection after so many minor ones. */
import { expect, test } from "vitest";
import { command, isolated } from "../support/isolated.ts";

/** In MiB. Measured on Node 20: 24 with the option, 104 without it. */
const BOUND = 48;

/** The largest heap of a handler that makes garbage which survives minor collections, in MiB. */
const largestHeap = async (fullsweepAfter?: number) => {
  const { open, handler } = isolated(fullsweepAfter === undefined ? {} : { fullsweepAfter });
  const client = await open();
  let largest = 0;
  for (let i = 0; i < 300; i++) {
    command(client, "oldGarbage");
    const used = Number((await client.receive()).data) / 1_048_576;
    // The first are those in which V8 finds its pace.
    if (i > 50) largest = Math.max(largest, used);
  }
  return { largest, forced: handler.stats.forcedCollections };
};

test("old garbage stays within a bound, which it exceeds without the option; forced collections are counted", async () => {
  const without = await largestHeap();
  const swept = await largestHeap(2);
  expect(without.forced).toBe(0);
  expect(swept.forced).toBeGreaterThan(3);
  expect(without.largest).toBeGreaterThan(BOUND);
  expect(swept.largest).toBeLessThan(BOUND);
});
