/** The port through which an observed session reports. */
import type { CallbackEvent, CloseEvent, ConnectionEvent } from "../../diagnostics.ts";
import type { ConnectionCounts } from "./counts.ts";

/** The end of a connection. */
export type ObservedEnd = Pick<CloseEvent, "codeSent" | "duration" | "reason">;

/** One call of a callback. */
export type ObservedCall = Omit<CallbackEvent, "error" | "isPending">;

/** Its methods must not throw. Those about a connection are called in the context of its `upgrade` call. */
export interface SessionObserver {
  /** Reads a clock, in milliseconds with fractions. */
  readonly now: () => number;
  /** The connection is upgraded, and `init` is about to be called. */
  onUpgrade(about: ConnectionEvent, counts: ConnectionCounts): void;
  /**
   * `init` has returned a state. `duration`: after how many milliseconds; `undefined`: earlier, before the process
   * hibernated.
   */
  onOpen(about: ConnectionEvent, counts: ConnectionCounts, duration: number | undefined): void;
  /** The connection is closed, and `terminate` has finished. */
  onClose(about: ConnectionEvent, counts: ConnectionCounts, end: ObservedEnd): void;
  /**
   * Calls a callback, and reports when it begins, returns and settles. Returns what the callback returns, or a promise
   * of it. `undefined`: nobody wants to know.
   */
  readonly trace: ((call: ObservedCall, run: () => unknown) => unknown) | undefined;
}
