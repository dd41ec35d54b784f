/** Infos per second that a server sends to the `handleInfo` of its own connections. */
import { causeOf, startServer } from "../lib/child.mjs";
import { startLoad } from "../load/loads.mjs";
import { loadSeconds } from "./load.mjs";

export const secondsOf = loadSeconds;

/** @type {import("./index.mjs").Measure} */
export const measure = async ({ server: name, dist }, work, { engines, execArgv, warmup, seconds }) => {
  const { program, load: options } = work;
  const { child: server, port, protocol } = await startServer(name, { program, engines, execArgv, dist });
  const load = startLoad({ ...options, mode: "idle", protocol, port });
  try {
    await load.open(options.connections ?? 1);
    await server.ask("broadcast", warmup);
    const { infos, seconds: took, cpu } = await server.ask("broadcast", seconds);
    return { value: infos / took, perCpu: infos / cpu, cpu: (cpu / infos) * 1e6, server: cpu / took, marks: [] };
  } catch (error) {
    throw await causeOf(error, server);
  } finally {
    await Promise.all([load.stop(), server.stop()]);
  }
};
