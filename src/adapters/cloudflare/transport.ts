/** The transport over a WebSocket of Cloudflare Workers. */

import { ProtocolError } from "../../errors.ts";
import type { IoData, Opcode } from "../../message.ts";
import { portableByteOps } from "../../protocol/byte-ops.ts";
import { CLOSE } from "../../protocol/close.ts";
import type { Transport, TransportEvents } from "../../transport.ts";
import { CONNECTION_LOST, receiveBinary, receiveClose, receiveText } from "../shared/inbound.ts";
import { joinOctets, joinText } from "../shared/outbound.ts";
import { capabilities } from "./capabilities.ts";
import { CLOSED, type CloudflareSocket } from "./types.ts";

/** The error message for a protocol violation, to which the platform has already responded. */
const VIOLATION = /protocolError\.statusCode = (\d+); protocolError\.description = (.*)/;

/** Where errors go that can't be thrown to a caller. */
export interface Reporter {
  /** Reports an unsupported operation, once. */
  warnOnce(what: string): void;
  onError(error: unknown, context: undefined): void;
}

export class CloudflareTransport implements Transport {
  /** The platform does not expose buffered bytes. */
  readonly buffered = 0;
  readonly bytesFlushed = 0;
  private events!: TransportEvents;
  protected readonly socket: CloudflareSocket;
  private readonly maxMessageSize: number;
  private readonly reporter: Reporter;
  /** Its name, for reporter. */
  private readonly host: string;
  /** The peer's close frame has arrived. */
  private closeReceived = false;
  /** Our close frame was sent. */
  private closeSent = false;
  private disconnected = false;

  constructor(socket: CloudflareSocket, maxMessageSize: number, reports: Reporter, { host } = capabilities) {
    this.host = host;
    this.socket = socket;
    this.maxMessageSize = maxMessageSize;
    this.reporter = reports;
  }

  open(events: TransportEvents): void {
    this.events = events;
  }

  // --- events of the socket

  message(data: string | ArrayBuffer): void {
    if (this.disconnected) return;
    const { events, maxMessageSize } = this;
    if (typeof data === "string") receiveText(events, data, maxMessageSize, portableByteOps);
    else receiveBinary(events, new Uint8Array(data), maxMessageSize);
  }

  closing(code: number, text: string): void {
    if (this.disconnected) return;
    this.closeReceived = true;
    if (code === CONNECTION_LOST) {
      // The platform keeps its side of a lost connection open until we close it.
      this.closeIgnoringErrors(() => this.socket.close(CLOSE.normal));
      this.disconnect();
      return;
    }
    receiveClose(this.events, code, text);
    if (this.closeSent) this.disconnect();
  }

  failed(message: string): void {
    if (this.disconnected) return;
    this.closeSent = true;
    const [, code, description] = VIOLATION.exec(message) ?? [];
    if (code !== undefined) this.events.onProtocolError(new ProtocolError(Number(code), description!));
    this.disconnect();
  }

  // --- Transport

  send(opcode: Opcode, data: IoData, size: number): void {
    if (opcode === "ping" || opcode === "pong") {
      this.reporter.warnOnce(`a ${opcode} cannot be sent on ${this.host} and was dropped`);
      return;
    }
    if (this.closeSent || this.disconnected) return;
    this.attempt(() =>
      this.socket.send(
        opcode === "text" ? joinText(data, size, portableByteOps) : joinOctets(data, size, portableByteOps),
      ),
    );
  }

  close(code: number | undefined, text: string): void {
    if (this.closeSent || this.disconnected) return;
    this.closeSent = true;
    this.attempt(() => (code === undefined ? this.socket.close() : this.socket.close(code, text)));
    // Both close frames were sent: the platform emits no further event.
    if (this.closeReceived) this.disconnect();
  }

  /** The platform can't abort a connection: it closes when the peer does. The session regards it as disconnected. */
  abort(): void {
    this.disconnect();
  }

  pause(): void {}

  resume(): void {}

  protected disconnect(): void {
    if (this.disconnected) return;
    this.disconnected = true;
    this.events.onDisconnect();
  }

  /** `send` and `close` throw if the socket has just been closed, or belongs to another request. */
  private attempt(run: () => void): void {
    if (this.socket.readyState === CLOSED) return;
    try {
      run();
    } catch (error) {
      this.reporter.onError(error, undefined);
    }
  }

  private closeIgnoringErrors(run: () => void): void {
    try {
      run();
    } catch {
      // The socket is already closed.
    }
  }
}
