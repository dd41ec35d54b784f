/** A WebSocket of `Deno.upgradeWebSocket` as the transport that a session wants. */

import type { Capabilities } from "../../capabilities.ts";
import { ProtocolError } from "../../errors.ts";
import type { IoData, Opcode } from "../../message.ts";
import type { ResolvedOptions } from "../../options.ts";
import { CLOSE } from "../../protocol/close.ts";
import type { Transport, TransportEvents } from "../../transport.ts";
import { receiveBinary, receiveClose, receiveText } from "../shared/inbound.ts";
import { nodeByteOps } from "../shared/node-byte-ops.ts";
import { joinOctets, joinText } from "../shared/outbound.ts";
import { later } from "../shared/timers.ts";
import { type Draining, drainPoll } from "./drain-poll.ts";
import type { ServedConnections, Stoppable } from "./serve.ts";
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
const WATCHED = 16_384;

/** For so many turns of the event loop at most a close frame waits until nothing more arrives. */
const QUIET_TURNS = 16;

/** The error by which Deno says that it has closed an idle connection (1001): its client has answered no ping. */
const IDLE = "No response from ping frame.";

/** The codes with which Deno reports a connection that was lost without a close frame. */
const LOST: readonly number[] = [0, CLOSE.abnormalClosure];

export class DenoTransport implements Transport, Draining, Stoppable {
  private readonly socket: DenoSocket;
  private readonly maxMessageSize: number;
  private readonly watchFrom: number;
  private readonly tell: (what: string) => void;
  private session!: TransportEvents;
  private accepted = 0;
  /** Octets sent since nothing waited. */
  private unwatched = 0;
  /** How many messages have arrived. */
  private arrived = 0;
  /** We have sent our close frame, or are about to. */
  private closed = false;
  private gone = false;
  /** Our close frame, which may be waiting until nothing more arrives. */
  private closing: readonly [code: number, text: string] | undefined = undefined;
  /** The server is being stopped: Deno closes the connection right now. */
  private stopping = false;
  private readonly served: ServedConnections | undefined;

  /**
   * @param tell reports what can't be done
   * @param served the connections of the same server
   */
  constructor(
    socket: DenoSocket,
    { maxMessageSize, maxBuffered }: ResolvedOptions,
    tell: (what: string) => void,
    served: ServedConnections | undefined,
  ) {
    this.socket = socket;
    this.maxMessageSize = maxMessageSize;
    this.watchFrom = Math.min(WATCHED, maxBuffered / 4);
    this.tell = tell;
    this.served = served;
  }

  open(session: TransportEvents): void {
    const { socket, maxMessageSize } = this;
    this.session = session;
    this.served?.add(this);
    socket.onmessage = ({ data }) => {
      this.arrived++;
      // The socket was made in the connection's context.
      if (typeof data === "string")
        session.assumeContext(receiveText, undefined, session, data, maxMessageSize, nodeByteOps);
      else session.assumeContext(receiveBinary, undefined, session, new Uint8Array(data), maxMessageSize);
    };
    socket.onerror = ({ message = "" }) => session.assumeContext(this.onError, this, message);
    socket.onclose = ({ code, reason }) => session.assumeContext(this.onClose, this, code, reason);
  }

  // --- what the session asks for

  get waiting(): number {
    return this.gone ? 0 : this.socket.bufferedAmount;
  }

  /** Asking Deno costs as much as a message: of so little that nobody waits for it, it is not asked. */
  get buffered(): number {
    if (this.unwatched < this.watchFrom) return 0;
    const { waiting } = this;
    if (waiting === 0) this.unwatched = 0;
    else drainPoll.add(this, waiting);
    return waiting;
  }

  get bytesFlushed(): number {
    return this.accepted - this.buffered;
  }

  send(opcode: Opcode, data: IoData, size: number): void {
    const { socket } = this;
    if (opcode === "text") socket.send(joinText(data, size, nodeByteOps));
    else if (opcode === "binary") socket.send(joinOctets(data, size, nodeByteOps));
    else {
      this.tell(`a ${opcode} can't be sent on deno, and is left out`);
      return;
    }
    this.accepted += size;
    this.unwatched += size;
  }

  close(code: number | undefined, text: string): void {
    // Deno answers the peer's close frame itself.
    if (this.gone || code === undefined) return;
    this.closed = true;
    this.closing = [code, text];
    if (this.stopping) this.socket.close(code, text);
    else this.closeWhenQuiet(code, text, QUIET_TURNS);
  }

  /**
   * Deno cuts the connection off when a message comes after our close frame, which may be lost with it: what has arrived
   * already is read first.
   */
  private closeWhenQuiet(code: number, text: string, turns: number): void {
    const { arrived } = this;
    later(() => {
      if (this.gone) return;
      if (this.arrived === arrived || turns === 1) this.socket.close(code, text);
      else this.closeWhenQuiet(code, text, turns - 1);
    });
  }

  /** Deno can't: it sends a close frame, and waits for the peer's. To us it is gone. */
  abort(): void {
    if (!this.gone) this.socket.close(this.closing?.[0], this.closing?.[1]);
    this.onGone();
  }

  pause(): void {}

  resume(): void {}

  // --- what Deno tells

  onLess(): void {
    this.session.onDrain();
  }

  onStop(): void {
    this.stopping = true;
    this.session.onHostStop();
  }

  private onError(message: string): void {
    if (message === IDLE) {
      if (!this.gone) this.session.onIdle();
      this.onGone();
      return;
    }
    const violation = this.gone ? undefined : violationOf(message);
    if (violation !== undefined) this.session.onProtocolError(violation);
  }

  private onClose(code: number, reason: string): void {
    if (this.gone) return;
    // The answer to our own close frame may have none; then there need not have been one.
    if (!LOST.includes(code) && !(this.closed && code === CLOSE.noStatusReceived))
      receiveClose(this.session, code, reason);
    this.onGone();
  }

  private onGone(): void {
    if (this.gone) return;
    this.gone = true;
    drainPoll.delete(this);
    this.served?.delete(this);
    this.session.onDisconnect();
  }
}
