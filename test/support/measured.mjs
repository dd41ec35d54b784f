// Measures a server in its own process, and reports the results over IPC.
import { readFileSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate as turn } from "node:timers/promises";

export const MiB = 1024 * 1024;

/** The bytes in use, garbage included: cheap enough to be called in a callback. */
export const usedBytes = () => {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

/** The bytes in use after a garbage collection. Memory outside the heap is released one event-loop tick later. */
export const liveBytes = async () => {
  for (let i = 0; i < 2; i++) {
    globalThis.gc();
    await turn();
  }
  return usedBytes();
};

/**
 * The peak of the resident memory in bytes since `reset`: exact on Linux, where the kernel records it; elsewhere
 * sampled every 5 ms.
 */
const residentPeak =
  process.platform === "linux"
    ? {
        reset: () => writeFileSync("/proc/self/clear_refs", "5"),
        get bytes() {
          return Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "latin1"))[1]) * 1024;
        },
      }
    : {
        bytes: 0,
        reset() {
          this.bytes = process.memoryUsage.rss();
          this.timer ??= setInterval(() => (this.bytes = Math.max(this.bytes, process.memoryUsage.rss())), 5);
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

/** Commands for {@link answer}: the costs since `start`. */
export const measurements = {
  start: async () => {
    const live = await liveBytes();
    residentPeak.reset();
    delay.enable();
    delay.reset();
    uncaught.length = 0;
    base = { live, resident: residentPeak.bytes, cpu: process.cpuUsage() };
  },
  cpuMs,
  heldMiB: async () => ((await liveBytes()) - base.live) / MiB,
  costs: async () => ({
    peakMiB: (residentPeak.bytes - base.resident) / MiB,
    cpuMs: cpuMs(),
    delayMs: delay.max / 1e6,
    leftMiB: await measurements.heldMiB(),
  }),
  uncaught: () => uncaught,
};

/** Executes the commands that `measured-server.ts` sends, until its process disconnects. */
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
