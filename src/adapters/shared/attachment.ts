/** What an application passes to `attach`, and what it returns, on all hosts. */
import type { WebSockOptions } from "../../options.ts";
import type { Clock } from "../../session/clock.ts";
import type { DrainOptions } from "../../session/drain-options.ts";
import type { OnError } from "../../session/report.ts";
import type { Self } from "../../websock.ts";

/** The options of `attach` on all hosts. */
export interface HostOptions {
  /** Default options for the `upgrade` calls on this server. */
  readonly defaults?: WebSockOptions;
  /** Called with each error in a callback, and with each warning. Default: prints it with `console.error`. */
  readonly onError?: OnError;
  /** A clock for tests: a `ManualClock` from `websock-js/testing`. Default: the system clock. */
  readonly clock?: Clock;
}

/**
 * The WebSockets of a server. Iteration yields the `self` of every open connection:
 *
 * ```ts
 * for (const self of sockets) self.push(text("maintenance at noon"));
 * ```
 */
export interface Attachment<Info = unknown> extends Iterable<Self<Info>> {
  /** The number of open connections. */
  readonly connections: number;
  /** The open connection with this `self.id`; `undefined` if there is none. */
  get(id: string): Self<Info> | undefined;
  /** The number of upgrade requests refused with an `UpgradeError`. */
  readonly refused: number;
  /**
   * Closes every connection with 1001 (RFC 6455 §7.4.1), and from now on refuses upgrades with 503. Resolves when all
   * connections are closed: one that does not complete the closing handshake is aborted after its `closeTimeout`. It
   * does not close the server (but closing a Node server calls it). An HTTP/2 connection is closed together with the
   * last of its WebSockets.
   */
  close(): Promise<void>;
  /**
   * Like {@link close}, but with 1012 and in batches, so that clients do not reconnect all in the same moment.
   *
   * @param options the size of the batches, the time between them, and the deadline
   * @throws TypeError for an unknown option, and for one that is not a positive number
   * @see https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
   */
  drain(options?: DrainOptions): Promise<void>;
}
