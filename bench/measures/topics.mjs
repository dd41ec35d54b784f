/** What a topic costs in resident memory: one connection subscribes to more and more of them. */
import { causeOf, startServer } from "../lib/child.mjs";
import { peakMemory } from "../lib/observe.mjs";
import { startLoad } from "../load/loads.mjs";
import { slopeOf } from "./memory.mjs";

/** @type {import("./index.mjs").SecondsOf} */
export const secondsOf = ({ steps = [] }) => 3 + steps.length * 0.5;

/** @type {import("./index.mjs").Measure} */
export const measure = async ({ server: name, dist }, { program, steps = [], load: options }, { engines }) => {
  const {
    child: server,
    port,
    protocol,
  } = await startServer(name, { program, engines, execArgv: ["--expose-gc"], dist });
  const load = startLoad({ ...options, mode: "idle", protocol, port });
  try {
    await load.open(1);
    const points = [];
    for (const count of steps) {
      await server.ask("subscribe", count);
      points.push({ count, ...(await server.ask("memory")) });
    }
    const { rss, counted } = slopeOf(points);
    const peak = peakMemory(server);
    return { value: rss, peak, marks: [], detail: { counted, points } };
  } catch (error) {
    throw await causeOf(error, server);
  } finally {
    await Promise.all([load.stop(), server.stop()]);
  }
};
