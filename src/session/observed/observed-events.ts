/** Counts what the transport of an observed connection reports to its session. */
import type { ProtocolError } from "../../errors.ts";
import type { ControlMessage } from "../../message.ts";
import type { ByteOps } from "../../protocol/byte-ops.ts";
import type { TransportEvents } from "../../transport.ts";
import { type CallbackCounts, type ConnectionCounts, type Tally, Traffic } from "./counts.ts";

/** A larger message ends the group before it: the time to receive the message is not the callback's. */
const MAX_UNMARKED = 4096;

export class ObservedEvents implements TransportEvents {
  readonly wire: TransportEvents["wire"];
  private readonly counts: ConnectionCounts;
  private readonly session: TransportEvents;
  private readonly handled: () => number;
  /** The tallies that are counted in. Once the end is decided, they are others that nobody reads. */
  private received: Traffic;
  private texts: Tally;
  private readonly callbacks: CallbackCounts;
  /** Measures texts; `undefined` where the transport knows their size. */
  private readonly measure: ByteOps["utf8Length"] | undefined;
  private readonly transport: { noteBuffered(): void };
  private readonly onDisconnected: () => void;

  constructor(
    session: TransportEvents,
    counts: ConnectionCounts,
    handled: () => number,
    measure: ByteOps["utf8Length"] | undefined,
    transport: { noteBuffered(): void },
    onDisconnected: () => void,
  ) {
    this.session = session;
    this.counts = counts;
    this.handled = handled;
    this.received = counts.received;
    this.texts = counts.received.text;
    const [received, sent] = [counts.received.wire, counts.sent.wire];
    this.wire = received && sent && { received, sent };
    this.callbacks = counts.callbacks;
    this.measure = measure;
    this.transport = transport;
    this.onDisconnected = onDisconnected;
  }

  runInContext<Target, A, B, C>(
    task: (this: Target, a: A, b: B, c: C) => void,
    target: Target,
    a?: A,
    b?: B,
    c?: C,
  ): void {
    const begun = this.beginChunk();
    try {
      this.session.runInContext(task, target, a, b, c);
    } finally {
      if (begun) this.endChunk();
    }
  }

  assumeContext<Target, A, B>(task: (this: Target, a: A, b: B) => void, target: Target, a?: A, b?: B): void {
    const begun = this.beginChunk();
    try {
      this.session.assumeContext(task, target, a, b);
    } finally {
      if (begun) this.endChunk();
    }
  }

  /** `false`: the transport reports no chunks, or this is already done for this one. */
  private beginChunk(): boolean {
    return this.wire !== undefined && this.callbacks.beginChunk();
  }

  private endChunk(): void {
    this.endGroup();
    this.callbacks.inChunk = false;
    this.transport.noteBuffered();
  }

  onActivity(): void {
    this.session.onActivity();
  }

  /** Has few branches and calls, so that the JIT can inline `Session.onText` and the handler into the parser. */
  onText(data: string, size: number): void {
    if (size > MAX_UNMARKED) this.endGroup();
    this.texts.add(this.measure === undefined ? size : this.measure(data));
    this.session.onText(data, size);
    if (this.callbacks.slow) this.endGroup();
  }

  onBinary(data: Uint8Array<ArrayBuffer>): void {
    if (data.length > MAX_UNMARKED) this.endGroup();
    this.received.binary.add(data.length);
    this.session.onBinary(data);
    if (this.callbacks.slow) this.endGroup();
  }

  private endGroup(): void {
    if (this.callbacks.inChunk) this.callbacks.endGroup(this.handled());
  }

  /**
   * The end is decided: the session drops what it receives now, except a close frame. Some hosts still pass it on, and
   * others do not, so it is not counted on any.
   */
  endDecided(): void {
    this.received = new Traffic(false, false);
    this.texts = this.received.text;
  }

  /** The transport has answered a ping with a pong of the same payload (RFC 6455 §5.5.2). */
  onControl(message: ControlMessage): void {
    const { length } = message.data;
    const tally = this.received[message.opcode];
    tally?.add(length);
    if (tally !== undefined && message.opcode === "ping") this.counts.sent.pong!.add(length);
    this.session.onControl(message);
  }

  onClose(code: number | undefined, text: string): void {
    this.counts.received.close.add(closeSize(code, text));
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
    this.onDisconnected();
    this.session.onDisconnect();
  }
}

const encoder = new TextEncoder();

/** The size of the payload of a close frame (RFC 6455 §5.5.1). */
export const closeSize = (code: number | undefined, text: string): number =>
  code === undefined ? 0 : 2 + encoder.encode(text).length;
