/** What every measured server does: it sends its port to the parent process, and answers the parent's questions. */
import process from "node:process";

/** @param {import("node:net").Server} server */
export const serve = (server) => {
  server.listen(0, "127.0.0.1", 4096, () => {
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    answer(port);
  });
};

/**
 * The same for a server that already listens.
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
      process.exit(0); // an orderly exit, so that a profile is written
    }
  });
  // The parent process has ended.
  process.on("disconnect", () => process.exit(0));
  process.send?.({ listening: port });
};

/** The memory in use after several garbage collections. */
const settledMemory = async () => {
  for (let i = 0; i < 6; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
  return {
    rss,
    // `external` contains `arrayBuffers`.
    counted: heapUsed + external,
    // zlib's memory appears in no counter: this is the resident memory without the reserve of the collector's heap.
    all: rss - heapTotal + heapUsed,
  };
};
