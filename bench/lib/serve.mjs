/** What every measured server does: it sends its port to the parent process, and answers the parent's questions. */
import process from "node:process";

/**
 * The value of an argument `--name=value`.
 *
 * @param {string} name
 * @returns {string | undefined}
 */
export const argument = (name) =>
  process.argv.find((given) => given.startsWith(`--${name}=`))?.slice(`--${name}=`.length);

/** What the server does with messages; a row of `workloads.mjs` names it. */
export const program = argument("program") ?? "echo";

/**
 * Which messages are compressed: `each`, every one on its own at level 6; `default`, those that the server compresses
 * by default; `undefined`, none.
 */
export const compress = argument("compress");

/** The program of a server by its name. @template T @param {Record<string, T>} programs @returns {T} */
export const chosen = (programs) => {
  const its = programs[program];
  if (its === undefined) throw new Error(`this server has no program "${program}"`);
  return its;
};

/** The options of `ws` for {@link compress}. */
export const wsDeflate =
  compress === "each"
    ? {
        threshold: 0,
        serverNoContextTakeover: true,
        clientNoContextTakeover: true,
        zlibDeflateOptions: { level: 6, memLevel: 8 },
      }
    : compress === "default";

/** The answer to a request of the program `json`. @param {string} text */
export const answerJson = (text) => {
  const { id, a, b } = JSON.parse(text);
  return JSON.stringify({ id, sum: a + b });
};

/**
 * @param {import("node:net").Server} server
 * @param {Questions} [questions]
 */
export const serve = (server, questions) => {
  server.listen(0, "127.0.0.1", 4096, () => {
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    answer(port, questions);
  });
};

/** @typedef {Record<string, (argument: any) => unknown>} Questions what else the parent may ask */

/**
 * The same for a server that already listens.
 *
 * @param {number} port
 * @param {Questions} [questions]
 */
export const answer = (port, questions = {}) => {
  /** @type {Questions} */
  const all = {
    cpu: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
    memory: settledMemory,
    exit: () => process.exit(0), // an orderly exit, so that a profile is written
    ...questions,
  };
  process.on("message", async (/** @type {{ ask: string, argument: unknown }} */ { ask, argument }) => {
    try {
      process.send?.({ answer: (await all[ask]?.(argument)) ?? null });
    } catch (error) {
      process.send?.({ error: String(error) });
    }
  });
  // The parent process has ended.
  process.on("disconnect", () => process.exit(0));
  process.send?.({ listening: port });
};

/** The memory in use after several garbage collections, in bytes. */
const settledMemory = async () => {
  for (let i = 0; i < 6; i++) {
    globalThis.Bun?.gc(true);
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  // `external` contains `arrayBuffers`. zlib's memory is in `rss` only.
  return { rss, counted: heapUsed + external };
};
