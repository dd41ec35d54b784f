/** The port between a connection and the host's stream of bytes. */

/** A host's stream in both directions, as a connection uses it. None of these methods throws, in any state of the stream. */
export interface ByteStream {
  /** Called once, before everything else: the stream reports to `events` from now on. */
  open(events: ByteStreamEvents): void;
  /** The number of bytes written that are not flushed. */
  readonly buffered: number;
  /** The number of bytes flushed so far. */
  readonly bytesFlushed: number;
  /**
   * Writes the parts in their order. If {@link buffered} is 0 afterwards, they have been copied or sent, and their memory
   * may be reused; otherwise they must not change before {@link ByteStreamEvents.onFlushed}.
   */
  write(parts: readonly Uint8Array[]): void;
  /** Ends our direction once everything is flushed, and discards what still arrives until the peer ends its direction. */
  end(): void;
  destroy(): void;
  pause(): void;
  resume(): void;
  /** Whether what answers the current chunk is written before {@link ByteStreamEvents.onBytes} returns. */
  shouldFlushNow(): boolean;
  /** Requests {@link ByteStreamEvents.onScheduledFlush} after the current event-loop callbacks. */
  scheduleFlush(): void;
}

/** What a stream reports to its connection. */
export interface ByteStreamEvents {
  /** Bytes arrived. They belong to the connection, which unmasks them in place. */
  onBytes(chunk: Uint8Array): void;
  /** Nothing reads the written parts any more: their memory may be reused. Precedes {@link onDrain}. */
  onFlushed(): void;
  /** Everything that was written is flushed. */
  onDrain(): void;
  /** The flush that {@link ByteStream.scheduleFlush} requested is due. */
  onScheduledFlush(): void;
  /** The peer has ended its direction. */
  onEnd(): void;
  /** The host's server is stopping, and is about to close the stream. */
  onHostStop(): void;
  /** The stream is closed in both directions. Nothing follows. */
  onDisconnect(): void;
}
