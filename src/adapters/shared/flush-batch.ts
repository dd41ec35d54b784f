/** Flushes of many connections in one event-loop tick. */
import { later } from "./timers.ts";

interface Flushable {
  flush(): void;
}

let batch: Flushable[] = [];

function flushBatch(): void {
  const flushables = batch;
  batch = [];
  for (const flushable of flushables) flushable.flush();
}

/**
 * Flushes in the next event-loop tick, after the event loop has read from all sockets that were ready. Writing to them one
 * after the other wakes the peer's process less often than writing in between reads.
 */
export function flushInBatch(flushable: Flushable): void {
  if (batch.push(flushable) === 1) later(flushBatch);
}
