/** The part of `node:diagnostics_channel` that the library uses. */

/** A channel. Messages are only created for channels with subscribers. */
export interface Channel {
  readonly hasSubscribers: boolean;
  publish(message: unknown): void;
  /** Publishes, and calls `run` with the stores that were bound to the channel. */
  runStores<T>(message: unknown, run: () => T): T;
}

export type ChannelOf = (name: string) => Channel;
