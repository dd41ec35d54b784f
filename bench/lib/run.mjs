/** One measurement, with a new server process and a new load generator, which are stopped afterwards. */
import { Child, CORE, startServer } from "./child.mjs";

/**
 * @typedef {object} LoadOptions
 * @property {number} port
 * @property {boolean} raw
 * @property {boolean} http2
 * @property {string} [compressed] the Sec-WebSocket-Extensions header to offer
 * @property {"text" | "binary"} kind
 * @property {number} size
 * @property {string} [alphabet]
 * @property {number} inFlight
 * @property {number} connections
 * @property {number} warmup seconds
 * @property {number} seconds
 */

/**
 * @typedef {object} Sample
 * @property {number} rate messages per second
 * @property {number} perCpu messages per second of the server's CPU time, on which other processes have less influence
 * @property {number} server the share of a core that the server used
 * @property {number} load the share of a core that the load generator used
 */

/**
 * @param {import("./rounds.mjs").Participant} participant
 * @param {import("./cases.mjs").Case} work
 * @param {{ seconds: number, warmup: number, execArgv?: readonly string[], engines?: import("./engines.mjs").Engines }}
 * options
 * @returns {Promise<Sample>}
 * @throws Error if the server or the load fails
 */
export const measure = async ({ server: name, dist }, work, { seconds, warmup, execArgv, engines }) => {
  const { child: server, port, raw, http2, compressed } = await startServer(name, { engines, execArgv, dist });
  const load = new Child("lib/load.mjs", { core: CORE.load });
  try {
    const { kind, size, alphabet, inFlight, connections } = work;
    const patience = (warmup + seconds) * 1000 + 30_000;
    // All are expected from the beginning: on a busy machine, one may arrive before the previous one is processed.
    const [began, ended, result] = ["began", "ended", "result"].map((what) => load.receive(what, patience));
    for (const one of [began, ended, result]) one.catch(() => {}); // the one that is awaited throws
    load.send({
      command: "run",
      options: { port, raw, http2, compressed, kind, size, alphabet, inFlight, connections, warmup, seconds },
    });
    await began;
    const before = await server.ask("cpu");
    await ended;
    const spent = (await server.ask("cpu")) - before;
    const { messages, seconds: took, cpu } = await result;
    return { rate: messages / took, perCpu: messages / spent, server: spent / took, load: cpu / took };
  } catch (error) {
    throw await causeOf(error, server);
  } finally {
    await Promise.all([load.stop(), server.stop()]);
  }
};

/**
 * The cause of an error. If a server dies, the load generator notices it first, as an error of its sockets.
 *
 * @param {unknown} error
 * @param {Child} server
 */
export const causeOf = async (error, server) => {
  let timer;
  await Promise.race([server.exited, new Promise((resolve) => (timer = setTimeout(resolve, 500)))]);
  clearTimeout(timer);
  return server.gone === undefined ? error : new Error(`${server.script} ${server.gone}`);
};
