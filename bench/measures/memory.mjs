/** What each further idle connection costs in resident memory. */
import { causeOf, startServer } from "../lib/child.mjs";
import { peakMemory } from "../lib/observe.mjs";
import { startLoad } from "../load/loads.mjs";

/** @type {import("./index.mjs").SecondsOf} */
export const secondsOf = ({ steps = [], servers }) =>
  2 + steps.length * 0.5 + (steps.at(-1) ?? 0) * (servers[0]?.match(/http2|tls/) ? 0.004 : 0.0003);

/** @type {import("./index.mjs").Measure} */
export const measure = async ({ server: name, dist }, work, { engines }) => {
  const { program, compress, steps = [], load: options } = work;
  const execArgv = ["--expose-gc"];
  const { child: server, port, protocol } = await startServer(name, { program, compress, engines, execArgv, dist });
  /** @type {import("../load/loads.mjs").Load | undefined} */
  let load;
  try {
    load = startLoad({ ...options, mode: "idle", protocol, port, connections: steps.at(-1) });
    const points = [];
    for (const count of steps) {
      await load.open(count);
      points.push({ count, ...(await server.ask("memory")) });
    }
    const { rss, counted } = slopeOf(points);
    const peak = peakMemory(server);
    return { value: rss, peak, inC: load.inC, marks: [], detail: { counted, points } };
  } catch (error) {
    throw await causeOf(error, server);
  } finally {
    await Promise.all([load?.stop(), server.stop()]);
  }
};

/**
 * Bytes per connection (or topic): the slope between half of the largest number and the largest number.
 *
 * @param {readonly { count: number, rss: number, counted: number }[]} points
 */
export const slopeOf = (points) => {
  const last = points.at(-1);
  const half = points.find(({ count }) => last !== undefined && count * 2 === last.count);
  if (last === undefined || half === undefined) throw new Error("the steps do not contain half of the last one");
  const each = (/** @type {"rss" | "counted"} */ what) => (last[what] - half[what]) / (last.count - half.count);
  return { rss: each("rss"), counted: each("counted") };
};
