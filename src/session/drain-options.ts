/** The options of `Attachment.drain`. */

/** How `drain` closes the connections of a server. */
export interface DrainOptions {
  /** The number of connections that are closed at a time. Default: 10 000. */
  readonly batch?: number;
  /** The time between two batches, in milliseconds. Default: 2 000. */
  readonly interval?: number;
  /** The time after which the remaining connections are aborted, in milliseconds. Default: 30 000. */
  readonly deadline?: number;
}
