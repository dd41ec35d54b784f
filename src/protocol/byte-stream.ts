/** The port between a connection and the host's byte stream. */
import type { ReceiveBuffer } from "./receive-buffer.ts";

/** A host's duplex stream, as a connection uses it. None of these methods throws, in any state of the stream. */
export interface ByteStream {
  /** Called once, before everything else: the stream reports to `events` from now on. */
  open(events: ByteStreamEvents): void;
  /** The number of written bytes that are not flushed. */
  readonly buffered: number;
  /** The number of bytes flushed so far. */
  readonly bytesFlushed: number;
  /**
   * Writes the parts in order. If {@link buffered} is 0 afterwards, they have been copied or sent, and their memory may
   * be reused. Otherwise they must not change before {@link ByteStreamEvents.onFlushed}.
   */
  write(parts: readonly Uint8Array[]): void;
  /** Ends our direction once everything is flushed, and discards received bytes until the peer ends its direction. */
  end(): void;
  /** Closes both directions immediately. Bytes that are not flushed are lost. */
  destroy(): void;
  pause(): void;
  resume(): void;
  /** Whether the answers to the current chunk should be written before {@link ByteStreamEvents.onBytes} returns. */
  shouldFlushNow(): boolean;
  /** Requests {@link ByteStreamEvents.onScheduledFlush} after the current event-loop callbacks. */
  scheduleFlush(): void;
}

/** What a stream reports to its connection. */
export interface ByteStreamEvents {
  /**
   * Bytes arrived. The connection owns the chunk from now on, and unmasks it in place.
   *
   * @param inContext the current code already runs in the AsyncLocalStorage context of the connection
   */
  onBytes(chunk: Uint8Array, inContext?: boolean): void;
  /**
   * `size` bytes arrived in memory that streams share. The connection unmasks them in place, and copies what it keeps.
   *
   * @param inContext the current code already runs in the AsyncLocalStorage context of the connection
   * @returns the number of bytes of the current frame that have not arrived
   */
  onReceived(buffer: ReceiveBuffer, size: number, inContext?: boolean): number;
  /** Bytes that {@link onReceived} has not parsed are lost, and the stream is about to be closed. */
  onLost(): void;
  /** The written parts are no longer referenced: their memory may be reused. Precedes {@link onDrain}. */
  onFlushed(): void;
  /** All written bytes are flushed. */
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
