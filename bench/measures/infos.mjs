/** Infos per second that a server sends to the `handleInfo` of its own connections. */
import { causeOf, startServer } from "../lib/child.mjs";
import { disturbances } from "../lib/disturbance.mjs";
import { circumstancesOf, observe, peakMemory } from "../lib/observe.mjs";
import { startLoad } from "../load/loads.mjs";
import { loadSeconds } from "./load.mjs";

export const secondsOf = loadSeconds;

/** @type {import("./index.mjs").Measure} */
export const measure = async ({ server: name, dist }, work, { engines, execArgv, warmup, seconds, together }) => {
  const { program, load: options } = work;
  const { child: server, port, protocol } = await startServer(name, { program, engines, execArgv, dist });
  const load = startLoad({ ...options, mode: "idle", protocol, port });
  try {
    await load.open(options.connections ?? 1);
    await server.ask("broadcast", warmup);
    const end = await observe([server]);
    const { infos, seconds: took } = await server.ask("broadcast", seconds);
    const observed = await end();
    const [cpu = 0] = observed.cpu;
    const circumstances = circumstancesOf(observed, took, { together });
    return {
      value: infos / took,
      perCpu: infos / cpu,
      cpu: (cpu / infos) * 1e6,
      server: circumstances.server,
      peak: peakMemory(server),
      marks: disturbances(circumstances),
    };
  } catch (error) {
    throw await causeOf(error, server);
  } finally {
    await Promise.all([load.stop(), server.stop()]);
  }
};
