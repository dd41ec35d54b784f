/** A WebSocket of Cloudflare Workers as the transport that a session wants. */

import type { Capabilities } from "../../capabilities.ts";
import { ProtocolError } from "../../errors.ts";
import type { IoData, Opcode } from "../../message.ts";
import { portableByteOps } from "../../protocol/byte-ops.ts";
import { CLOSE } from "../../protocol/close.ts";
import type { Transport, TransportEvents } from "../../transport.ts";
import { receiveBinary, receiveClose, receiveText } from "../shared/inbound.ts";
import { joinOctets, joinText } from "../shared/outbound.ts";
import { CLOSED, type CloudflareSocket } from "./types.ts";

/**
 * The platform agrees on compression and judges frames by itself. It keeps idle connections open and notices lost ones: a
 * client that only listens can't be told from a silent one, because pings and pongs are not seen.
 */
const IGNORES = [
  ...(["timeout", "heartbeat", "compress", "maxFrameSize", "maxFragments", "validateUtf8", "maxBuffered"] as const),
  ...(["fullsweepAfter", "maxHeapSize"] as const),
];

/** What a Worker can do. */
export const capabilities = Object.freeze<Capabilities>({
  host: "cloudflare",
  control: false,
  pause: false,
  drain: false,
  closeDetail: true,
  answersClose: true,
  abort: false,
  asyncContext: true, // with the compatibility flag nodejs_als or nodejs_compat
  crossConnection: false,
  compress: false,
  idleClock: false,
  ignores: IGNORES,
});

/** What a Durable Object can do. */
export const durableCapabilities = Object.freeze<Capabilities>({
  ...capabilities,
  host: "a Durable Object",
  crossConnection: true,
});

/** How it tells of violations of the protocol, which it has answered. */
const VIOLATION = /protocolError\.statusCode = (\d+); protocolError\.description = (.*)/;

/** Where the errors go that are nobody's who calls. */
export interface Reports {
  /** What can't be done: once. */
  tell(what: string): void;
  onError(error: unknown, context: undefined): void;
}

export class CloudflareTransport implements Transport {
  /** The platform does not tell what waits. */
  readonly buffered = 0;
  readonly bytesFlushed = 0;
  private events!: TransportEvents;
  protected readonly socket: CloudflareSocket;
  private readonly maxMessageSize: number;
  private readonly reports: Reports;
  /** Its name, for reports. */
  private readonly host: string;
  /** The peer's close frame has arrived. */
  private remoteClosed = false;
  /** Ours is out. */
  private closed = false;
  private gone = false;

  constructor(socket: CloudflareSocket, maxMessageSize: number, reports: Reports, { host } = capabilities) {
    this.host = host;
    this.socket = socket;
    this.maxMessageSize = maxMessageSize;
    this.reports = reports;
  }

  open(events: TransportEvents): void {
    this.events = events;
  }

  // --- what the platform tells

  message(data: string | ArrayBuffer): void {
    if (this.gone) return;
    const { events, maxMessageSize } = this;
    if (typeof data === "string") receiveText(events, data, maxMessageSize, portableByteOps);
    else receiveBinary(events, new Uint8Array(data), maxMessageSize);
  }

  closing(code: number, text: string): void {
    if (this.gone) return;
    this.remoteClosed = true;
    if (code === CLOSE.abnormalClosure) {
      // Half a WebSocket is of no use, but the platform keeps it.
      this.quietly(() => this.socket.close(CLOSE.normal));
      this.lose();
      return;
    }
    receiveClose(this.events, code, text);
    if (this.closed) this.lose();
  }

  failed(message: string): void {
    if (this.gone) return;
    this.closed = true;
    const [, code, description] = VIOLATION.exec(message) ?? [];
    if (code !== undefined) this.events.onProtocolError(new ProtocolError(Number(code), description!));
    this.lose();
  }

  // --- what the session asks

  send(opcode: Opcode, data: IoData, size: number): void {
    if (opcode === "ping" || opcode === "pong") {
      this.reports.tell(`a ${opcode} can't be sent on ${this.host}, and is left out`);
      return;
    }
    if (this.closed || this.gone) return;
    this.attempt(() =>
      this.socket.send(
        opcode === "text" ? joinText(data, size, portableByteOps) : joinOctets(data, size, portableByteOps),
      ),
    );
  }

  close(code: number | undefined, text: string): void {
    if (this.closed || this.gone) return;
    this.closed = true;
    this.attempt(() => (code === undefined ? this.socket.close() : this.socket.close(code, text)));
    // Both close frames are out: the platform has nothing more to tell.
    if (this.remoteClosed) this.lose();
  }

  /** The platform can't: it closes when the peer does. To us it is gone. */
  abort(): void {
    this.lose();
  }

  pause(): void {}

  resume(): void {}

  protected lose(): void {
    if (this.gone) return;
    this.gone = true;
    this.events.onDisconnect();
  }

  /** A socket that has just gone refuses, and so does one that belongs to another request. */
  private attempt(run: () => void): void {
    if (this.socket.readyState === CLOSED) return;
    try {
      run();
    } catch (error) {
      this.reports.onError(error, undefined);
    }
  }

  private quietly(run: () => void): void {
    try {
      run();
    } catch {
      // It has gone for good.
    }
  }
}
