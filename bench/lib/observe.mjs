/** Observes server processes from outside: a busy server answers no questions. */
import { readdirSync, readFileSync } from "node:fs";
import { CORE, canPin } from "./child.mjs";
import { readCores } from "./disturbance.mjs";

/** @param {string} path @returns {string | undefined} its text, where there is such a file */
const read = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

/**
 * The CPU time of all threads of a process, in seconds; where there is no `/proc`, the process is asked.
 *
 * @param {import("./child.mjs").Child} server
 * @returns {number | Promise<number>}
 */
const cpuOf = (server) => {
  const tasks = `/proc/${server.process.pid}/task`;
  if (read(`${tasks}/${server.process.pid}/schedstat`) === undefined) return server.ask("cpu");
  return (
    readdirSync(tasks).reduce((sum, task) => sum + Number.parseInt(read(`${tasks}/${task}/schedstat`) ?? "0", 10), 0) /
    1e9
  );
};

/**
 * The largest resident memory of a process so far, in bytes; `undefined` where there is no `/proc`.
 *
 * @param {import("./child.mjs").Child} server
 */
export const peakMemory = (server) => {
  const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${server.process.pid}/status`) ?? "")?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
};

/**
 * @typedef {object} Observed between two points in time
 * @property {number[]} cpu seconds of CPU time of each server
 * @property {(core: number, own: number) => { foreign?: number, steal?: number }} core seconds for which others than
 * the processes with `own` seconds of CPU time used a core, and for which the hypervisor did
 */

/**
 * Begins to observe servers. The function that it returns ends it.
 *
 * @param {readonly import("./child.mjs").Child[]} servers
 * @returns {Promise<() => Promise<Observed>>}
 */
export const observe = async (servers) => {
  const now = async () => ({ cores: readCores(), cpu: await Promise.all(servers.map(cpuOf)) });
  const before = await now();
  return async () => {
    const after = await now();
    return {
      cpu: after.cpu.map((end, i) => end - /** @type {number} */ (before.cpu[i])),
      core: (core, own) => {
        const [from, to] = [before.cores?.[core], after.cores?.[core]];
        if (from === undefined || to === undefined || !canPin) return {};
        return { foreign: to.busy - from.busy - own, steal: to.steal - from.steal };
      },
    };
  };
};

/**
 * The circumstances of a measurement that took `seconds`.
 *
 * @param {Observed} observed
 * @param {number} seconds
 * @param {{ load?: number, together: boolean }} options `load`: the CPU time of the load, if that is known; `together`:
 * other servers and loads are measured on the same cores at the same time
 * @returns {import("./disturbance.mjs").Circumstances}
 */
export const circumstancesOf = ({ cpu, core }, seconds, { load, together }) => {
  const server = cpu.reduce((sum, one) => sum + one, 0);
  const ofServer = together ? {} : core(CORE.server, server);
  const ofLoad = together || load === undefined ? {} : core(CORE.load, load);
  const share = (/** @type {number | undefined} */ time) => (time ?? 0) / seconds;
  return {
    server: share(server),
    load: share(load),
    serverForeign: share(ofServer.foreign),
    loadForeign: share(ofLoad.foreign),
    steal: Math.max(share(ofServer.steal), share(ofLoad.steal)),
  };
};
