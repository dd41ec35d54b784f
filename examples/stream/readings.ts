/** A source that is faster than most clients: an endless stream of readings. */
import { setImmediate } from "node:timers/promises";

export interface Reading {
  readonly n: number;
  readonly value: string;
}

/** @param signal ends the stream */
export async function* readings(signal: AbortSignal): AsyncGenerator<Reading> {
  for (let n = 1; !signal.aborted; n++) {
    yield { n, value: "#".repeat(1_000) };
    await setImmediate(); // a source that does I/O
  }
}
