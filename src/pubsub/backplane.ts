/**
 * The contract between a `PubSub` and a backplane, the code that connects it to an engine.
 *
 * A backplane only passes bytes on. Everything else is done once, in `nodes/`: numbers, duplicates, gaps, envelopes,
 * interest, probes and limits. `backplaneCases` of `websock-js/testing` checks an implementation.
 */

/** Connects nodes to an engine. To be passed to `new PubSub({ backplane })`. */
export interface Backplane {
  /**
   * Starts to connect. Called once for each `PubSub`. It must not throw because the engine is absent, and must not call
   * `link` before it has returned.
   */
  connect(link: BackplaneLink): BackplaneConnection;
}

/** What a `PubSub` offers to its backplane. No method throws, and none does anything after `close()` was called. */
export interface BackplaneLink {
  /** Identifies the node: a UUID. */
  readonly node: string;
  /**
   * Something was published to a channel. It may be called at any time, also while the backplane is away.
   *
   * @param channel the name that was passed to `subscribe`
   * @param bytes belong to the link: the backplane must not modify or reuse their memory
   */
  receive(channel: string, bytes: Uint8Array): void;
  /**
   * The engine is connected, and has confirmed the subscriptions to all wanted channels. After `reconnect()`, it may be
   * called without a call of `away` before.
   */
  up(): void;
  /**
   * The engine cannot be reached. What was published meanwhile by others may be lost.
   *
   * @param cause usually an error
   * @param forever the client will not connect again by itself: the application closed it, or it has given up. This is
   * not final: `up()` may be called later, when the application has connected the client again. Default: `false`
   */
  away(cause: unknown, forever?: boolean): void;
  /** Reports a setting of the client that weakens what this package guarantees. */
  warn(message: string): void;
}

/** The connection of one node to the engine. */
export interface BackplaneConnection {
  /** The maximum size of a published message in bytes. It may change with each connection to the engine. */
  readonly maxBytes: number;
  /**
   * The maximum number of bytes that may be unsettled at once, for a client that copes with fewer than the `PubSub`
   * allows. Default: the limit of the `PubSub`.
   */
  readonly maxUnacknowledged?: number;
  /**
   * Publishes bytes to all nodes that have subscribed to a channel. Called only between `link.up()` and `link.away()`.
   * It must not throw.
   *
   * What a node publishes to its own channel, `n:<node>`, must come back to it: this is how the connection is probed.
   * On other channels it may come back, and is ignored.
   *
   * @param channel a string of 1 to 2 100 UTF-16 units without lone surrogates; it may contain any other character
   * @param bytes belong to the backplane: they are not modified after the call
   * @param settled must be called exactly once: with `true` when the engine has acknowledged the bytes, that is,
   * accepted them; with `false` when it is known or likely that it has not, also if the connection is lost. The
   * `PubSub` limits how many bytes are unsettled
   */
  publish(channel: string, bytes: Uint8Array, settled: (ok: boolean) => void): void;
  /**
   * Adds channels to the wanted ones. Called at any time, also while the engine is away: the backplane subscribes to
   * all wanted channels whenever it connects, and calls `link.up()` only afterwards.
   *
   * @returns resolves when the engine has confirmed the subscriptions, with this connection or a later one. It never
   * rejects. It may remain pending after `close()`, or as long as the engine is away
   */
  subscribe(channels: readonly string[]): Promise<void>;
  /** Removes channels from the wanted ones. Called at any time. */
  unsubscribe(channels: readonly string[]): void;
  /**
   * A probe was lost: the connection looks healthy, but does not deliver. The backplane connects again, if possible to
   * another server, and calls `link.up()` when it has. It may settle what is unsettled with `false`.
   */
  reconnect(): void;
  /**
   * Ends the subscriptions, and closes what the backplane itself has opened, but no client that was passed to it. The
   * `PubSub` waits until everything is settled, or one second, before it calls this method.
   */
  close(): Promise<void>;
}
