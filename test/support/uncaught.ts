/** Fails the test in which an error or a rejection reached the process. */
import { afterEach, expect } from "vitest";

export const failOnUncaught = (): void => {
  const uncaught: unknown[] = [];
  process.on("uncaughtException", (error) => uncaught.push(error));
  process.on("unhandledRejection", (reason) => uncaught.push(reason));
  afterEach(async () => {
    // What the test's last events set off gets its turn.
    await new Promise((resolve) => setImmediate(resolve));
    expect(uncaught.splice(0)).toEqual([]);
  });
};
