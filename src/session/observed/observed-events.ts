/** Counts what the transport of an observed connection reports to its session. */
import type { ProtocolError } from "../../errors.ts";
import type { ControlMessage } from "../../message.ts";
import type { ByteOps } from "../../protocol/byte-ops.ts";
import type { TransportEvents } from "../../transport.ts";
import type { CallbackCounts, ConnectionCounts, Traffic } from "./counts.ts";

export class ObservedEvents implements TransportEvents {
  readonly wire: TransportEvents["wire"];
  private readonly counts: ConnectionCounts;
  private readonly session: TransportEvents;
  private readonly received: Traffic;
  private readonly callbacks: CallbackCounts;
  /** Measures texts; `undefined` where the transport knows their size. */
  private readonly measure: ByteOps["utf8Length"] | undefined;
  private readonly disconnected: () => void;

  constructor(
    session: TransportEvents,
    counts: ConnectionCounts,
    measure: ByteOps["utf8Length"] | undefined,
    disconnected: () => void,
  ) {
    this.session = session;
    this.counts = counts;
    this.received = counts.received;
    const [received, sent] = [counts.received.wire, counts.sent.wire];
    this.wire = received && sent && { received, sent };
    this.callbacks = counts.callbacks;
    this.measure = measure;
    this.disconnected = disconnected;
  }

  runInContext<Target, A, B, C>(
    task: (this: Target, a: A, b: B, c: C) => void,
    target: Target,
    a?: A,
    b?: B,
    c?: C,
  ): void {
    const begun = this.callbacks.beginChunk();
    try {
      this.session.runInContext(task, target, a, b, c);
    } finally {
      if (begun) this.callbacks.endChunk();
    }
  }

  assumeContext<Target, A, B>(task: (this: Target, a: A, b: B) => void, target: Target, a?: A, b?: B): void {
    const begun = this.callbacks.beginChunk();
    try {
      this.session.assumeContext(task, target, a, b);
    } finally {
      if (begun) this.callbacks.endChunk();
    }
  }

  onActivity(): void {
    this.session.onActivity();
  }

  onText(data: string, size: number): void {
    const bytes = this.measure === undefined ? size : this.measure(data);
    this.received.text.add(bytes);
    this.callbacks.markMessage(bytes);
    this.session.onText(data, size);
  }

  onBinary(data: Uint8Array<ArrayBuffer>): void {
    this.received.binary.add(data.length);
    this.callbacks.markMessage(data.length);
    this.session.onBinary(data);
  }

  /** The transport has answered a ping with a pong of the same payload (RFC 6455 §5.5.2). */
  onControl(message: ControlMessage): void {
    const { length } = message.data;
    this.received[message.opcode]?.add(length);
    if (message.opcode === "ping") this.counts.sent.pong?.add(length);
    this.session.onControl(message);
  }

  onClose(code: number | undefined, text: string): void {
    this.received.close.add(closeSize(code, text));
    this.session.onClose(code, text);
  }

  onProtocolError(error: ProtocolError): void {
    this.session.onProtocolError(error);
  }

  onDrain(): void {
    this.session.onDrain();
  }

  awaitsAnswers(waiting: number): boolean {
    return this.session.awaitsAnswers(waiting);
  }

  onIdle(): void {
    this.session.onIdle();
  }

  onHostStop(): void {
    this.session.onHostStop();
  }

  onDisconnect(): void {
    this.disconnected();
    this.session.onDisconnect();
  }
}

const encoder = new TextEncoder();

/** The size of the payload of a close frame (RFC 6455 §5.5.1). */
export const closeSize = (code: number | undefined, text: string): number =>
  code === undefined ? 0 : 2 + encoder.encode(text).length;
