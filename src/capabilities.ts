/** What a host can do: the differences between hosts, as data. */
import type { CompressOptions, WebSockOptions } from "./options.ts";

/** What a host can do. Data, so that types, tests and the documentation can follow from it. */
export interface Capabilities {
  /** The host's name, for messages and tables. */
  readonly host: string;
  /**
   * Pings and pongs can be sent and are seen. Without it, a client's pings are answered all the same, but `handleControl`
   * never runs, what is pushed of either is left out, and there is no heartbeat.
   */
  readonly control: boolean;
  /** Reading can be paused, so that a flood ends as backpressure on its sender. */
  readonly pause: boolean;
  /** The host tells when what waited for the peer has been taken. */
  readonly drain: boolean;
  /** The code and text of the peer's close frame are known. */
  readonly closeDetail: boolean;
  /**
   * The peer's close frame is ours to answer. Without it the host answers immediately, behind what was sent by then. What
   * a callback that is pending then would still send is lost, though the callbacks run.
   */
  readonly answersClose: boolean;
  /** A connection can be cut off. Without it, one that does not answer our close frame is forgotten, and stays the host's. */
  readonly abort: boolean;
  /** Callbacks run in the AsyncLocalStorage context of their `upgrade` call. */
  readonly asyncContext: boolean;
  /** A connection can be sent to and stopped by code that runs for another request or connection. */
  readonly crossConnection: boolean;
  /** Compression can be agreed on. */
  readonly compress: boolean;
  /**
   * The session decides when a connection is idle. Without it the host does, after `timeout` (unless that is among
   * {@link ignores}): it sends pings and closes the connection by itself, with a close text of its own.
   */
  readonly idleClock: boolean;
  /** The options of `upgrade` that have no effect here. Whoever gives one is told, once. */
  readonly ignores: readonly (keyof WebSockOptions | `compress.${keyof CompressOptions}`)[];
}

/** What a host can or can't do. */
export type Ability = {
  [Name in keyof Capabilities]: Capabilities[Name] extends boolean ? Name : never;
}[keyof Capabilities];
