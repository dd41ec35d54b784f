/** Batches the flushes of all connections in an event-loop tick. */
import { later } from "./timers.ts";

interface Flushable {
  onScheduledFlush(): void;
}

let batch: Flushable[] = [];

function flushBatch(): void {
  const flushables = batch;
  batch = [];
  for (const flushable of flushables) flushable.onScheduledFlush();
}

/**
 * Flushes in the next event-loop tick, after the event loop has read from all sockets that were ready. Several writes
 * in a row wake the peer's process less often than writes between reads.
 */
export function flushInBatch(flushable: Flushable): void {
  if (batch.push(flushable) === 1) later(flushBatch);
}
