/**
 * The part of `maxHeapSize` that V8 does not enforce: the memory of Buffers and ArrayBuffers is outside of its heap, and
 * so it is measured here.
 */
import { systemTimers } from "../../adapters/shared/timers.ts";
import { collectGarbage } from "./collections.ts";

const INTERVAL = 100;

const needed = (): number => {
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + Math.max(external, arrayBuffers);
};

/** Calls `exceeded` when more than `limit` bytes are needed, garbage not counted. */
export const limitHeap = (limit: number, exceeded: (bytes: number) => void): void => {
  let isCollecting = false;
  systemTimers.startInterval(() => {
    if (isCollecting || needed() <= limit) return;
    isCollecting = true;
    collectGarbage(() => {
      isCollecting = false;
      const bytes = needed();
      if (bytes > limit) exceeded(bytes);
    });
  }, INTERVAL);
};
