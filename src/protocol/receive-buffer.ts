/** The port to the memory into which a host reads what the connections of a thread receive. */

/**
 * One region of memory, into which the host reads for all connections in turn. What a connection has received is there
 * only while {@link ByteStreamEvents.onReceived} runs, so nothing may refer to it afterwards: the connection copies the
 * messages and whatever it cannot parse yet.
 */
export interface ReceiveBuffer {
  /** The whole memory. Received bytes begin at {@link start}. */
  readonly bytes: Uint8Array;
  /** A view of {@link bytes}. */
  readonly view: DataView;
  /** The bytes before this position are free for the beginning of a frame that arrived earlier. */
  readonly start: number;
  /**
   * Masks or unmasks `bytes[from..to)` in place (RFC 6455 §5.3), and returns whether the result is ASCII.
   *
   * @param key a 32-bit integer; its least significant byte is the first one on the network
   */
  readonly applyMask: (from: number, to: number, key: number) => boolean;
}
