/** The differences between hosts, as data. */
import type { CompressOptions, WebSockOptions } from "./options.ts";

/** What a host supports. Types, tests and the table in the documentation are derived from it. */
export interface Capabilities {
  /** The host's name, in error messages and tables. */
  readonly host: string;
  /**
   * Pings and pongs can be sent and received. Without it, the host still answers a client's pings, but `handleControl`
   * never runs, pings and pongs that the handler pushes are not sent, and there is no heartbeat.
   */
  readonly control: boolean;
  /** Reading can be paused, so that a flood of messages becomes backpressure on the sender. */
  readonly pause: boolean;
  /**
   * The host reports when buffered bytes have been flushed. Without it, a client that reads too slowly is not noticed:
   * `maxBuffered` has no effect, and neither have `slow` and `volatile` on the messages of topics.
   */
  readonly drain: boolean;
  /** The host provides the code and text of the peer's close frame. */
  readonly closeDetail: boolean;
  /**
   * The library answers the peer's close frame. Without this capability, the host answers it, immediately after what
   * was sent until then. A callback that is pending at that time still runs to its end, but the messages of its result
   * are lost.
   */
  readonly answersClose: boolean;
  /**
   * A connection can be aborted. Without it, the library stops tracking a connection whose client does not answer the
   * close frame, and leaves it to the host.
   */
  readonly abort: boolean;
  /** Callbacks run in the AsyncLocalStorage context of their `upgrade` call. */
  readonly asyncContext: boolean;
  /** Code that runs for another request or connection can send to a connection and stop it. */
  readonly crossConnection: boolean;
  /**
   * What `self` returns is the present state of the connection. Without it, the handler runs in a worker of
   * `websock-js/isolate`, and knows the last state that the main thread has sent: a message that `self.push` accepts
   * may be dropped because the connection has just ended.
   */
  readonly exactSelf: boolean;
  /** permessage-deflate can be negotiated. */
  readonly compress: boolean;
  /**
   * The library enforces `timeout`. Without this capability, the host enforces it: the host sends pings, and closes an
   * idle connection with a close reason text of its own. If `timeout` is among {@link ignores}, nobody enforces it.
   */
  readonly idleClock: boolean;
  /** The options of `upgrade` that have no effect on this host. Setting one is reported once. */
  readonly ignores: readonly (keyof WebSockOptions | `compress.${keyof CompressOptions}`)[];
}

/** The name of a capability that a host has or lacks. */
export type Ability = {
  [Name in keyof Capabilities]: Capabilities[Name] extends boolean ? Name : never;
}[keyof Capabilities];
