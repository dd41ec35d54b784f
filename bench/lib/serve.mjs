/** What every server under test does besides serving: it tells its port, and answers questions about itself. */
import process from "node:process";

/** @param {import("node:net").Server} server */
export const serve = (server) => {
  server.listen(0, "127.0.0.1", 4096, () => {
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    answer(port);
  });
};

/**
 * For a server that listens already.
 *
 * @param {number} port
 */
export const answer = (port) => {
  process.on("message", async (/** @type {{ ask: string }} */ { ask }) => {
    if (ask === "cpu") {
      const { user, system } = process.cpuUsage();
      process.send?.({ answer: (user + system) / 1e6 });
    } else if (ask === "memory") {
      process.send?.({ answer: await settledMemory() });
    } else if (ask === "exit") {
      process.exit(0); // in order, so that a profile gets written
    }
  });
  // Whoever measures has gone: there is nothing to live for.
  process.on("disconnect", () => process.exit(0));
  process.send?.({ listening: port });
};

/** What is in use once everything that can be collected is. */
const settledMemory = async () => {
  for (let i = 0; i < 6; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  // `external` contains `arrayBuffers`.
  return { rss, heap: heapUsed + external };
};
