/** The port between a session and whatever carries its messages. Each host's adapter implements one side of it. */
import type { ProtocolError } from "./errors.ts";
import type { ControlMessage, IoData, Opcode } from "./message.ts";

/** What a session asks of its transport. Nothing here throws, whatever state the wire is in. */
export interface Transport {
  /** Called once, before everything else: the transport reports to `events` from now on. */
  open(events: TransportEvents): void;
  /** Octets accepted by {@link send} that the peer's side has not taken yet. */
  readonly buffered: number;
  /** Octets taken so far. Only ever compared with itself: it grows while the peer reads. */
  readonly bytesFlushed: number;
  /** Sends a message, `size` octets long, after all that was sent before. */
  send(opcode: Opcode, data: IoData, size: number): void;
  /** Sends a text, where the host need not know its size. `false`: it was not sent, for now its size matters. */
  sendText?(text: string): boolean;
  /** Sends a close frame, or answers the peer's with one; after it nothing is sent. No code: an empty frame. */
  close(code: number | undefined, text: string): void;
  /** Cuts the connection off. */
  abort(): void;
  /** Stops reading: nothing more is delivered until {@link resume}. */
  pause(): void;
  resume(): void;
  /**
   * Keeps the state that a callback has returned, where the process may be gone before the connection is.
   *
   * @throws TypeError or RangeError for a state that can't be kept
   */
  keep?(state: unknown): void;
}

/** What a transport tells its session. */
export interface TransportEvents {
  /**
   * Runs `task` in the AsyncLocalStorage context of the connection's `upgrade` call. A transport that delivers several events
   * from one task calls this once around them; the session enters the context for each event that comes without it.
   */
  runInContext<Target, Args extends unknown[]>(
    task: (this: Target, ...args: Args) => void,
    target: Target,
    ...args: Args
  ): void;
  /** The same for a task that the host already runs in that context. */
  assumeContext<Target, Args extends unknown[]>(
    task: (this: Target, ...args: Args) => void,
    target: Target,
    ...args: Args
  ): void;
  /** Something arrived, whatever it is; what was sent to the connection before now comes before it. */
  onActivity(): void;
  /** A text of `size` octets, or about so many. */
  onText(data: string, size: number): void;
  /** Octets, which are the session's from now on. */
  onBinary(data: Uint8Array<ArrayBuffer>): void;
  /** A ping has been answered already. */
  onControl(message: ControlMessage): void;
  /**
   * The peer's close frame arrived, after which it sends nothing. The session answers with {@link Transport.close}, unless
   * it was the first to close.
   */
  onClose(code: number | undefined, text: string): void;
  /** The peer broke the protocol. The session answers with {@link Transport.close}. */
  onProtocolError(error: ProtocolError): void;
  /** All that waited for the peer has been taken. */
  onDrain(): void;
  /** The host has found the connection idle, and closes it. Only where the capability `idleClock` is missing. */
  onIdle(): void;
  /** The host's own server is stopping, and closes the connection. */
  onHostStop(): void;
  /** The wire is gone: after the closing handshake, or without. Nothing comes after it. */
  onDisconnect(): void;
}
