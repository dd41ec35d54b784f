/** The transport over a WebSocket of `Deno.upgradeWebSocket`. */
import { ProtocolError } from "../../errors.ts";
import type { IoData, Opcode } from "../../message.ts";
import type { ResolvedOptions } from "../../options.ts";
import { CLOSE } from "../../protocol/close.ts";
import type { Transport, TransportEvents } from "../../transport.ts";
import { receiveBinary, receiveClose, receiveText } from "../shared/inbound.ts";
import { nodeByteOps } from "../shared/node-byte-ops.ts";
import { joinOctets, joinText } from "../shared/outbound.ts";
import { later } from "../shared/timers.ts";
import { drainPoll, type PolledTransport } from "./drain-poll.ts";
import type { ServerConnections, Stoppable } from "./serve.ts";
import type { DenoSocket } from "./types.ts";

/** Deno's error messages for protocol violations. All its other errors are network errors. */
const VIOLATION =
  /^(?:Invalid (?:fragment|UTF-8|continuation frame|close frame|close code|value)|Reserved bits|Control frame|Ping frame|Frame too large)/;

const violationOf = (message: string): ProtocolError | undefined => {
  if (!VIOLATION.test(message)) return undefined;
  const code =
    message === "Invalid UTF-8"
      ? CLOSE.invalidPayload
      : message === "Frame too large"
        ? CLOSE.tooBig
        : CLOSE.protocolError;
  return new ProtocolError(code, message);
};

/** Backlogs below this size are reported as 0: querying `bufferedAmount` costs as much as sending a message. */
const MIN_POLLED = 16_384;

/** The maximum number of event-loop ticks for which a close frame is delayed until no more messages arrive. */
const MAX_QUIET_TICKS = 16;

/** Deno's error for an idle connection whose client has not answered a ping. Deno closes it with 1001. */
const IDLE_ERROR = "No response from ping frame.";

/** The close codes that Deno reports for a lost connection. */
const LOST_CODES: readonly number[] = [0, CLOSE.abnormalClosure];

export class DenoTransport implements Transport, PolledTransport, Stoppable {
  private readonly socket: DenoSocket;
  private readonly maxMessageSize: number;
  private readonly minPolled: number;
  private readonly warnOnce: (what: string) => void;
  private session!: TransportEvents;
  private bytesAccepted = 0;
  /** Bytes sent since `bufferedAmount` was last 0. */
  private sentSinceDrained = 0;
  /** The number of messages received. */
  private messagesReceived = 0;
  /** `close` was called: our close frame was sent, or will be. */
  private closeCalled = false;
  private disconnected = false;
  /** Our close frame, which may still be delayed. */
  private closeFrame: readonly [code: number, text: string] | undefined = undefined;
  /** The server is being stopped: Deno closes the connection in the same call. */
  private stopping = false;
  private readonly serverConnections: ServerConnections | undefined;

  /**
   * @param warnOnce reports an unsupported operation, once
   * @param serverConnections the connections of the same server
   */
  constructor(
    socket: DenoSocket,
    { maxMessageSize, maxBuffered }: ResolvedOptions,
    warnOnce: (what: string) => void,
    serverConnections: ServerConnections | undefined,
  ) {
    this.socket = socket;
    this.maxMessageSize = maxMessageSize;
    this.minPolled = Math.min(MIN_POLLED, maxBuffered / 4);
    this.warnOnce = warnOnce;
    this.serverConnections = serverConnections;
  }

  open(session: TransportEvents): void {
    const { socket } = this;
    this.session = session;
    this.serverConnections?.add(this);
    socket.onmessage = ({ data }) => {
      this.messagesReceived++;
      // The socket was created in the connection's context, and its events run there.
      session.assumeContext(this.onMessage, this, data);
    };
    socket.onerror = ({ message = "" }) => session.assumeContext(this.onError, this, message);
    socket.onclose = ({ code, reason }) => session.assumeContext(this.onClose, this, code, reason);
  }

  private onMessage(data: string | ArrayBuffer): void {
    const { session, maxMessageSize } = this;
    if (typeof data === "string") receiveText(session, data, maxMessageSize, nodeByteOps);
    else receiveBinary(session, new Uint8Array(data), maxMessageSize);
  }

  // --- Transport

  get bufferedAmount(): number {
    return this.disconnected ? 0 : this.socket.bufferedAmount;
  }

  /** Small backlogs are reported as 0, see {@link MIN_POLLED}. */
  get buffered(): number {
    if (this.sentSinceDrained < this.minPolled) return 0;
    const { bufferedAmount } = this;
    if (bufferedAmount === 0) this.sentSinceDrained = 0;
    else drainPoll.add(this, bufferedAmount);
    return bufferedAmount;
  }

  get bytesFlushed(): number {
    return this.bytesAccepted - this.buffered;
  }

  send(opcode: Opcode, data: IoData, size: number): void {
    const { socket } = this;
    if (opcode === "text") socket.send(joinText(data, size, nodeByteOps));
    else if (opcode === "binary") socket.send(joinOctets(data, size, nodeByteOps));
    else {
      this.warnOnce(`a ${opcode} cannot be sent on deno and was dropped`);
      return;
    }
    this.bytesAccepted += size;
    this.sentSinceDrained += size;
  }

  close(code: number | undefined, text: string): void {
    // Deno has answered the peer's close frame itself.
    if (this.disconnected || code === undefined) return;
    this.closeCalled = true;
    this.closeFrame = [code, text];
    if (this.stopping) this.socket.close(code, text);
    else this.closeWhenQuiet(code, text, MAX_QUIET_TICKS);
  }

  /**
   * Deno drops the connection if a message arrives after our close frame, and the close frame may be lost with it (Deno
   * 2.9). So messages that have already arrived are read first.
   */
  private closeWhenQuiet(code: number, text: string, turns: number): void {
    const { messagesReceived: arrived } = this;
    later(() => {
      if (this.disconnected) return;
      if (this.messagesReceived === arrived || turns === 1) this.socket.close(code, text);
      else this.closeWhenQuiet(code, text, turns - 1);
    });
  }

  /**
   * Deno can't abort: it sends a close frame and waits for the peer's. The session regards the connection as
   * disconnected.
   */
  abort(): void {
    if (!this.disconnected) this.socket.close(this.closeFrame?.[0], this.closeFrame?.[1]);
    this.onDisconnected();
  }

  pause(): void {}

  resume(): void {}

  // --- events of Deno

  onProgress(): void {
    this.session.onDrain();
  }

  onStop(): void {
    this.stopping = true;
    this.session.onHostStop();
  }

  private onError(message: string): void {
    if (message === IDLE_ERROR) {
      if (!this.disconnected) this.session.onIdle();
      this.onDisconnected();
      return;
    }
    const violation = this.disconnected ? undefined : violationOf(message);
    if (violation !== undefined) this.session.onProtocolError(violation);
  }

  private onClose(code: number, reason: string): void {
    if (this.disconnected) return;
    // 1005 after our own close frame means either an empty close frame or none at all.
    if (!LOST_CODES.includes(code) && !(this.closeCalled && code === CLOSE.noStatusReceived))
      receiveClose(this.session, code, reason);
    this.onDisconnected();
  }

  private onDisconnected(): void {
    if (this.disconnected) return;
    this.disconnected = true;
    drainPoll.delete(this);
    this.serverConnections?.delete(this);
    this.session.onDisconnect();
  }
}
