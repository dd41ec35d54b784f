// What happens to a server, measured in its own process and told over IPC.
import { readFileSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate as turn } from "node:timers/promises";

export const MiB = 1024 * 1024;

/** Octets in use, garbage included: cheap enough to ask in a callback. */
export const usedOctets = () => {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

/** Octets that something keeps alive. Memory outside the heap is given back a turn after it was collected. */
export const liveOctets = async () => {
  for (let i = 0; i < 2; i++) {
    globalThis.gc();
    await turn();
  }
  return usedOctets();
};

/**
 * The most memory that the process has had: exact on Linux, where the kernel counts and may be told to begin anew;
 * elsewhere sampled.
 */
const residentPeak =
  process.platform === "linux"
    ? {
        reset: () => writeFileSync("/proc/self/clear_refs", "5"),
        get octets() {
          return Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "latin1"))[1]) * 1024;
        },
      }
    : {
        octets: 0,
        reset() {
          this.octets = process.memoryUsage.rss();
          this.timer ??= setInterval(() => (this.octets = Math.max(this.octets, process.memoryUsage.rss())), 5);
          this.timer.unref();
        },
      };

const uncaught = [];
const delay = monitorEventLoopDelay({ resolution: 5 });
let base = { live: 0, resident: 0, cpu: process.cpuUsage() };

const cpuMs = () => {
  const { user, system } = process.cpuUsage(base.cpu);
  return (user + system) / 1000;
};

/** For {@link answer}: what it has cost since `start`. */
export const measurements = {
  start: async () => {
    const live = await liveOctets();
    residentPeak.reset();
    delay.enable();
    delay.reset();
    uncaught.length = 0;
    base = { live, resident: residentPeak.octets, cpu: process.cpuUsage() };
  },
  cpuMs,
  heldMiB: async () => ((await liveOctets()) - base.live) / MiB,
  costs: async () => ({
    peakMiB: (residentPeak.octets - base.resident) / MiB,
    cpuMs: cpuMs(),
    delayMs: delay.max / 1e6,
    leftMiB: await measurements.heldMiB(),
  }),
  uncaught: () => uncaught,
};

/** Answers what {@link ../support/measured-server.ts} asks, and lives as long as it. */
export const answer = (commands) => {
  process.on("uncaughtException", (error) => uncaught.push(String(error?.stack ?? error)));
  process.on("unhandledRejection", (reason) => uncaught.push(String(reason?.stack ?? reason)));
  process.on("message", async ({ id, command, args }) => {
    try {
      process.send({ id, result: await commands[command](...args) });
    } catch (error) {
      process.send({ id, error: String(error?.stack ?? error) });
    }
  });
  process.on("disconnect", () => process.exit());
};
