/** A WebSocket of `Deno.upgradeWebSocket` as the transport that a session wants. */
import { ProtocolError } from "../../errors.ts";
import type { IoData, Opcode } from "../../message.ts";
import type { ResolvedOptions } from "../../options.ts";
import { CLOSE } from "../../protocol/close.ts";
import type { Capabilities, Transport, TransportEvents } from "../../transport.ts";
import { CONNECTION_LOST, NO_CLOSE_CODE, receiveBinary, receiveClose, receiveText } from "../shared/inbound.ts";
import { nodeOctets } from "../shared/node-byte-ops.ts";
import { joinOctets, joinText } from "../shared/outbound.ts";
import { later } from "../shared/timers.ts";
import { drainPoll, type PolledTransport } from "./drain-poll.ts";
import type { ServerConnections, Stoppable } from "./serve.ts";
import type { DenoSocket } from "./types.ts";

/** What Deno's own server can do. */
export const capabilities = Object.freeze<Capabilities>({
  host: "deno",
  control: false,
  pause: false,
  drain: true, // by asking: see drain-poll.ts
  closeDetail: true,
  answersClose: false,
  abort: false,
  asyncContext: true,
  crossConnection: true,
  compress: false,
  idleClock: false,
  ignores: ["heartbeat", "compress", "maxFrameSize", "maxFragments", "validateUtf8", "fullsweepAfter", "maxHeapSize"],
});

/** How Deno tells of violations of the protocol; all other errors are of the wire. */
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

/** For fewer octets than these nobody waits. */
const MIN_POLLED = 16_384;

/** For so many turns of the event loop at most a close frame waits until nothing more arrives. */
const MAX_QUIET_TICKS = 16;

/** The error by which Deno says that it has closed an idle connection (1001): its client has answered no ping. */
const IDLE_ERROR = "No response from ping frame.";

/** How Deno tells of a loss; the second one as RFC 6455 §7.1.5 has it. */
const LOST_CODES: readonly number[] = [0, CONNECTION_LOST];

export class DenoTransport implements Transport, PolledTransport, Stoppable {
  readonly capabilities = capabilities;
  private readonly socket: DenoSocket;
  private readonly maxMessageSize: number;
  private readonly minPolled: number;
  private readonly warnOnce: (what: string) => void;
  private session!: TransportEvents;
  private bytesAccepted = 0;
  /** Octets sent since nothing waited. */
  private sentSinceDrained = 0;
  /** How many messages have arrived. */
  private messagesReceived = 0;
  /** We have sent our close frame, or are about to. */
  private closeCalled = false;
  private disconnected = false;
  /** Our close frame, which may be waiting until nothing more arrives. */
  private closeFrame: readonly [code: number, text: string] | undefined = undefined;
  /** The server is being stopped: Deno closes the connection right now. */
  private stopping = false;
  private readonly serverConnections: ServerConnections | undefined;

  /**
   * @param tell reports what can't be done
   * @param served the connections of the same server
   */
  constructor(
    socket: DenoSocket,
    { maxMessageSize, maxBuffered }: ResolvedOptions,
    tell: (what: string) => void,
    served: ServerConnections | undefined,
  ) {
    this.socket = socket;
    this.maxMessageSize = maxMessageSize;
    this.minPolled = Math.min(MIN_POLLED, maxBuffered / 4);
    this.warnOnce = tell;
    this.serverConnections = served;
  }

  open(session: TransportEvents): void {
    const { socket, maxMessageSize } = this;
    this.session = session;
    this.serverConnections?.add(this);
    socket.onmessage = ({ data }) => {
      this.messagesReceived++;
      // The socket was made in the connection's context.
      if (typeof data === "string") session.inherit(receiveText, undefined, session, data, maxMessageSize, nodeOctets);
      else session.inherit(receiveBinary, undefined, session, new Uint8Array(data), maxMessageSize);
    };
    socket.onerror = ({ message = "" }) => session.inherit(this.onError, this, message);
    socket.onclose = ({ code, reason }) => session.inherit(this.onClose, this, code, reason);
  }

  // --- what the session asks for

  get bufferedAmount(): number {
    return this.disconnected ? 0 : this.socket.bufferedAmount;
  }

  /** Asking Deno costs as much as a message: of so little that nobody waits for it, it is not asked. */
  get buffered(): number {
    if (this.sentSinceDrained < this.minPolled) return 0;
    const { bufferedAmount: waiting } = this;
    if (waiting === 0) this.sentSinceDrained = 0;
    else drainPoll.add(this, waiting);
    return waiting;
  }

  get taken(): number {
    return this.bytesAccepted - this.buffered;
  }

  send(opcode: Opcode, data: IoData, size: number): void {
    const { socket } = this;
    if (opcode === "text") socket.send(joinText(data, size, nodeOctets));
    else if (opcode === "binary") socket.send(joinOctets(data, size, nodeOctets));
    else {
      this.warnOnce(`a ${opcode} can't be sent on deno, and is left out`);
      return;
    }
    this.bytesAccepted += size;
    this.sentSinceDrained += size;
  }

  close(code: number | undefined, text: string): void {
    // Deno answers the peer's close frame itself.
    if (this.disconnected || code === undefined) return;
    this.closeCalled = true;
    this.closeFrame = [code, text];
    if (this.stopping) this.socket.close(code, text);
    else this.closeWhenQuiet(code, text, MAX_QUIET_TICKS);
  }

  /**
   * Deno cuts the connection off when a message comes after our close frame, which may be lost with it: what has arrived
   * already is read first.
   */
  private closeWhenQuiet(code: number, text: string, turns: number): void {
    const { messagesReceived: arrived } = this;
    later(() => {
      if (this.disconnected) return;
      if (this.messagesReceived === arrived || turns === 1) this.socket.close(code, text);
      else this.closeWhenQuiet(code, text, turns - 1);
    });
  }

  /** Deno can't: it sends a close frame, and waits for the peer's. To us it is gone. */
  abort(): void {
    if (!this.disconnected) this.socket.close(this.closeFrame?.[0], this.closeFrame?.[1]);
    this.onDisconnected();
  }

  pause(): void {}

  resume(): void {}

  // --- what Deno tells

  onProgress(): void {
    this.session.drained();
  }

  onStop(): void {
    this.stopping = true;
    this.session.stopped();
  }

  private onError(message: string): void {
    if (message === IDLE_ERROR) {
      if (!this.disconnected) this.session.idle();
      this.onDisconnected();
      return;
    }
    const violation = this.disconnected ? undefined : violationOf(message);
    if (violation !== undefined) this.session.failed(violation);
  }

  private onClose(code: number, reason: string): void {
    if (this.disconnected) return;
    // The answer to our own close frame may have none; then there need not have been one.
    if (!LOST_CODES.includes(code) && !(this.closeCalled && code === NO_CLOSE_CODE))
      receiveClose(this.session, code, reason);
    this.onDisconnected();
  }

  private onDisconnected(): void {
    if (this.disconnected) return;
    this.disconnected = true;
    drainPoll.delete(this);
    this.serverConnections?.delete(this);
    this.session.disconnected();
  }
}
