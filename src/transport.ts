/** The port between a session and the transport that carries its messages. Each adapter implements `Transport`. */
import type { ProtocolError } from "./errors.ts";
import type { ControlMessage, IoData, Opcode } from "./message.ts";
import type { SharedSlice } from "./protocol/shared-messages.ts";

/**
 * A transport, as a session uses it. Except for {@link keep} and {@link keepTopics}, these methods never throw,
 * whatever the state of the connection.
 */
export interface Transport {
  /** Called once, before everything else: the transport reports to `events` from now on. */
  open(events: TransportEvents): void;
  /**
   * The number of bytes that are not flushed, whichever method sent them. Includes the answers to pings where the host
   * counts them. Always 0 on hosts that do not report it.
   */
  readonly buffered: number;
  /**
   * The number of bytes flushed so far, or any counter that grows with it: the session only checks whether it has
   * changed.
   */
  readonly bytesFlushed: number;
  /** Sends a message of `size` bytes, after everything that was sent before. */
  send(opcode: Opcode, data: IoData, size: number): void;
  /**
   * Sends a text without its size, on hosts that don't need it. `false`: it was not sent, because its size has to be
   * checked against `maxBuffered`; the session then calls {@link send}.
   */
  sendText?(text: string): boolean;
  /**
   * Sends messages that are shared with other connections, on hosts where frames can be shared.
   *
   * @param flush write them out immediately. Otherwise, they may be written at the end of the event-loop tick, together
   * with what follows
   */
  sendShared?(slices: readonly SharedSlice[], flush: boolean): void;
  /**
   * Sends a close frame, also as the answer to the peer's. Nothing is sent after it. Without a code, the frame is
   * empty.
   */
  close(code: number | undefined, text: string): void;
  /** Closes the connection without a closing handshake. */
  abort(): void;
  /**
   * Stops reading, until {@link resume}. Messages that have already been read may still be delivered: one that was
   * being inflated in another thread, for example.
   */
  pause(): void;
  resume(): void;
  /**
   * Stores the state that a callback has returned, on hosts where a connection can outlive the process (hibernation).
   *
   * @throws TypeError or RangeError for a state that can't be stored
   */
  keep?(state: unknown): void;
  /**
   * Stores the topics of the connection, on the same hosts as {@link keep}.
   *
   * @throws TypeError if they do not fit
   */
  keepTopics?(topics: StoredTopics): void;
}

/** The topics of a connection, and the options of its subscriptions. */
export type StoredTopics = readonly (readonly [topic: string, options: StoredSubscription])[];

/** The options of a subscription that can be stored. */
export interface StoredSubscription {
  readonly slow?: "drop";
  readonly maxBuffered?: number;
}

/** Counts what the session does not see. */
export interface WireTally {
  /** The continuation frames (RFC 6455 §5.4) of complete messages. */
  continuations: number;
  /** The bytes of the payloads of compressed messages, as they are transferred. */
  compressedBytes: number;
}

/** The events that a transport reports to its session. */
export interface TransportEvents {
  /** Where a transport that provides bytes counts them. `undefined`: nobody wants to know. */
  readonly wire?: { readonly received: WireTally; readonly sent: WireTally } | undefined;
  /**
   * Runs `task` in the AsyncLocalStorage context of the connection's `upgrade` call. A transport that reports several
   * events synchronously wraps them in one call of this; for an event outside of such a call, the session enters the
   * context itself.
   */
  runInContext<Target, A, B, C>(
    task: (this: Target, a: A, b: B, c: C) => void,
    target: Target,
    a?: A,
    b?: B,
    c?: C,
  ): void;
  /** Like {@link runInContext}, for a caller that already runs in that context: it is not entered again. */
  assumeContext<Target, A, B>(task: (this: Target, a: A, b: B) => void, target: Target, a?: A, b?: B): void;
  /**
   * Bytes arrived. Called before the messages in these bytes are reported. Infos that were sent before this call are
   * handled before those messages.
   */
  onActivity(): void;
  /** A text message. `size`: its payload in bytes, approximately. */
  onText(data: string, size: number): void;
  /** A binary message. The session owns `data` from now on. */
  onBinary(data: Uint8Array<ArrayBuffer>): void;
  /** A ping or pong. The transport has already answered a ping. */
  onControl(message: ControlMessage): void;
  /**
   * The peer's close frame arrived: no more messages follow. The session answers with {@link Transport.close}, unless
   * it closed first.
   */
  onClose(code: number | undefined, text: string): void;
  /** The peer violated the protocol or a limit. The session answers with {@link Transport.close}. */
  onProtocolError(error: ProtocolError): void;
  /** Bytes have been flushed: {@link Transport.buffered} may be lower, but is not necessarily 0. */
  onDrain(): void;
  /**
   * Called when a scheduled flush is due, on hosts that provide bytes. `true`: an answer to the next message is
   * expected within the next event-loop tick, and the transport asks again in that tick, so that one write sends all of
   * them.
   *
   * @param waiting the number of bytes that are not written yet
   */
  awaitsAnswers(waiting: number): boolean;
  /** The host closes the connection because it is idle. Only on hosts without the capability `idleClock`. */
  onIdle(): void;
  /** The host's server is stopping, and closes the connection. */
  onHostStop(): void;
  /** The connection is closed, with or without a closing handshake. No event follows. */
  onDisconnect(): void;
}
