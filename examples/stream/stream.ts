/**
 * Streams an async source to the client, no faster than the client reads. The client sends "start" to begin, and "stop"
 * to cancel. A stream also ends with its connection.
 */
import { type DataMessage, type HandleResult, json, ok, type Self, stop } from "websock-js";

/** Starts a source, which must end when the signal is aborted. */
export type Source = (signal: AbortSignal) => AsyncIterable<unknown>;

export interface State {
  readonly source: Source;
  /** Cancels the current stream. */
  readonly current?: AbortController;
}

export const init = (source: Source): HandleResult<State> => ok({ source });

export const handleIn = ({ data }: DataMessage, { source, current }: State, self: Self): HandleResult<State> => {
  current?.abort();
  if (data === "stop") return ok({ source });
  if (data !== "start") return stop("normal", { source }, { code: 4000, text: 'send "start" or "stop"' });
  const controller = new AbortController();
  const signal = AbortSignal.any([controller.signal, self.signal]);
  // Not awaited: the next message, such as "stop", would wait for the promise of `handleIn`.
  stream(self, source, signal).catch((error) => {
    // Many sources reject when they are cancelled, for example those that pass the signal to `fetch`.
    if (signal.aborted) return;
    // Logged here, because `onError` does not receive the reason of a stop.
    if (self.stop(error)) console.error(error);
  });
  return ok({ source, current: controller });
};

const stream = async (self: Self, source: Source, signal: AbortSignal): Promise<void> => {
  for await (const item of source(signal)) {
    if (signal.aborted) return;
    self.push(json(item));
    // Waits while more than 64 KiB are buffered. `false`: the connection has ended.
    if (!(await self.drained())) return;
  }
};
