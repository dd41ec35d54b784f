/** The port through which an observed session reports. */
import type { CloseReason, ConnectionInfo } from "../../websock.ts";
import type { CallbackName } from "../handler.ts";
import type { ConnectionCounts } from "./counts.ts";

/** A connection, as all events about it name it. */
export interface ObservedConnection {
  /** Its `self.id`. */
  readonly id: string;
  /** Its `self.connection`. */
  readonly connection: ConnectionInfo;
  /** The name of the handler. */
  readonly handler: string | undefined;
  /** The path of the upgrade request. */
  readonly path: string;
}

/** The end of a connection. */
export interface ObservedEnd {
  readonly reason: CloseReason;
  /** The close code that was sent; `undefined`: no close frame was sent, or one without a code. */
  readonly codeSent: number | undefined;
  /** How long the connection was open, in milliseconds. */
  readonly duration: number;
}

/** One call of a callback. */
export interface ObservedCall extends ObservedConnection {
  readonly callback: CallbackName;
  /** The opcode of the message that `handleIn` or `handleControl` is called for. */
  readonly opcode: string | undefined;
}

/** Its methods must not throw. Those about a connection are called in the context of its `upgrade` call. */
export interface SessionObserver {
  /** Reads a clock, in milliseconds with fractions. */
  now(): number;
  /** The connection is upgraded, and `init` is about to be called. */
  onUpgrade(about: ObservedConnection, counts: ConnectionCounts): void;
  /**
   * `init` has returned a state. `duration`: after how many milliseconds; `undefined`: earlier, before the process
   * hibernated.
   */
  onOpen(about: ObservedConnection, counts: ConnectionCounts, duration: number | undefined): void;
  /** The connection is closed, and `terminate` has finished. */
  onClose(about: ObservedConnection, counts: ConnectionCounts, end: ObservedEnd): void;
  /**
   * Calls a callback, and reports when it begins, returns and settles. Returns what the callback returns, or a promise
   * of it. `undefined`: nobody wants to know.
   */
  readonly trace: ((call: ObservedCall, run: () => unknown) => unknown) | undefined;
}
