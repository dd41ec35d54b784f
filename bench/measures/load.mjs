/** Measures a server under load: a new server process and a new load, both of which are stopped afterwards. */
import { causeOf, startServer } from "../lib/child.mjs";
import { circumstancesOf, observe, peakMemory } from "../lib/observe.mjs";
import { startLoad } from "../load/loads.mjs";

/**
 * @typedef {object} Context of a measurement
 * @property {number} seconds of a measurement under load
 * @property {number} warmup seconds before it
 * @property {number} round from 0
 * @property {boolean} together other servers are measured at the same time, on the same cores
 * @property {import("../lib/engines.mjs").Engines} engines
 * @property {readonly string[]} [execArgv] flags of Node
 *
 * @typedef {object} Sample
 * @property {number} value what the workload measures, in its unit
 * @property {number} [perCpu] messages per second of the server's CPU time: others have less influence on it
 * @property {number} [cpu] the server's CPU time for a message, in microseconds
 * @property {number} [server] the share of a core that the server used
 * @property {number} [load] the share of a core that the load used
 * @property {boolean} [inC] whether the load is the one in C
 * @property {number} [peak] the largest resident memory of the server (VmHWM), in bytes
 * @property {readonly string[]} marks what disturbed the measurement
 * @property {Record<string, unknown>} [detail]
 */

/**
 * @param {import("../lib/rounds.mjs").Participant} participant
 * @param {import("../lib/workloads.mjs").Workload} work
 * @param {Context} context
 * @param {Pick<import("../load/loads.mjs").LoadOptions, "mode" | "rate">} how
 * @param {(port: number) => Promise<unknown>} [prepare] called before the load starts
 * @returns {Promise<{ result: import("../load/loads.mjs").LoadResult, sample: Omit<Sample, "value" | "marks">,
 *   circumstances: import("../lib/disturbance.mjs").Circumstances }>}
 * @throws Error if the server or the load fails
 */
export const runLoad = async ({ server: name, dist }, work, context, how, prepare) => {
  const { warmup, seconds, engines, execArgv, together } = context;
  const { program, compress } = work;
  const { child: server, port, protocol } = await startServer(name, { program, compress, engines, execArgv, dist });
  /** @type {import("../load/loads.mjs").Load | undefined} */
  let load;
  try {
    await prepare?.(port);
    load = startLoad({ ...work.load, ...how, protocol, port, warmup, seconds, server: server.process.pid });
    await load.began;
    const end = await observe([server]);
    await load.ended;
    const observed = await end();
    const peak = peakMemory(server);
    const result = await load.result;
    const circumstances = circumstancesOf(observed, result.seconds, { load: result.cpu, together });
    const [spent = 0] = observed.cpu;
    return {
      result,
      sample: {
        perCpu: result.messages / spent,
        cpu: (spent / result.messages) * 1e6,
        server: circumstances.server,
        load: circumstances.load,
        inC: load.inC,
        peak,
      },
      circumstances,
    };
  } catch (error) {
    throw await causeOf(error, server);
  } finally {
    await Promise.all([load?.stop(), server.stop()]);
  }
};

/**
 * About how long a measurement takes.
 *
 * @param {import("../lib/workloads.mjs").Workload} work
 * @param {Context} context
 */
export const loadSeconds = ({ load: { connections = 1 } }, { warmup, seconds }) =>
  warmup + seconds + 0.8 + connections * 0.0003;
