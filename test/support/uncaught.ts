/** Fails each test during which an exception or a rejection was uncaught. */
import { afterEach, expect } from "vitest";

export const failOnUncaught = (): void => {
  const uncaught: unknown[] = [];
  process.on("uncaughtException", (error) => uncaught.push(error));
  process.on("unhandledRejection", (reason) => uncaught.push(reason));
  afterEach(async () => {
    // The last events of the test may cause others in the next event-loop tick.
    await new Promise((resolve) => setImmediate(resolve));
    expect(uncaught.splice(0)).toEqual([]);
  });
};
