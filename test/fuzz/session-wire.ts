/** The transport of a fuzzed session, and its peer. It checks that the session calls the transport only as it may. */

import type { Capabilities } from "../../src/capabilities.ts";
import type { ProtocolError } from "../../src/errors.ts";
import type { ControlMessage, DataMessage, IoData, Opcode } from "../../src/message.ts";
import type { Session } from "../../src/session/session.ts";
import type { Transport } from "../../src/transport.ts";
import type { SteppedClock } from "./stepped-clock.ts";
import type { Verdict } from "./verdict.ts";

/** The behaviour of a host, where hosts differ. */
export interface WireHabits {
  readonly pause: boolean;
  readonly control: boolean;
  /** The peer reads, initially. */
  readonly readsInitially: boolean;
  /** Waiting events are reported within `resume`, rather than in the next tick. */
  readonly resumesSynchronously: boolean;
  /** `onDisconnect` is reported within `abort`, rather than in the next tick. */
  readonly abortsSynchronously: boolean;
  /** `onDrain` is reported synchronously, rather than in the next tick. */
  readonly drainsSynchronously: boolean;
  /** The peer answers a close frame in the next tick. */
  readonly answersClose: boolean;
  /** Messages are still reported after our close frame was sent. */
  readonly deliversAfterClose: boolean;
}

/** Observes the calls and events of the transport. */
export interface WireObserver {
  onSend(opcode: Opcode, data: IoData, size: number): void;
  onClose(code: number | undefined, text: string): void;
  onAbort(): void;
  /** A chunk is about to be reported. */
  onReceived(): void;
  onMessage(message: DataMessage | ControlMessage, size: number): void;
  onRemoteClose(code: number | undefined): void;
  onFailure(error: ProtocolError): void;
  onDisconnect(): void;
  onPause(): void;
  onResume(): void;
}

export type Arrival =
  | { readonly kind: "message"; readonly message: DataMessage; readonly size: number }
  | { readonly kind: "control"; readonly message: ControlMessage }
  | { readonly kind: "close"; readonly code: number | undefined; readonly text: string }
  | { readonly kind: "failure"; readonly error: ProtocolError };

export class SessionWire implements Transport {
  readonly capabilities: Capabilities;
  buffered = 0;
  bytesFlushed = 0;
  /** Our close frame was sent. */
  closed = false;
  isDisconnected = false;
  paused = false;
  aborted = false;
  /** The peer has closed or violated the protocol: nothing more is reported. */
  discarding = false;
  reads: boolean;
  /** The code of our close frame. */
  closedWith: number | undefined;
  /** The number of scheduled `onDrain` events. */
  drainsDue = 0;

  private session!: Session;
  private readonly habits: WireHabits;
  private readonly clock: SteppedClock;
  private readonly verdict: Verdict;
  private readonly observer: WireObserver;
  private readonly arriving: ("chunk" | Arrival)[] = [];

  constructor(habits: WireHabits, clock: SteppedClock, verdict: Verdict, watcher: WireObserver) {
    const { pause, control } = habits;
    this.capabilities = {
      host: "fuzz",
      control,
      pause,
      drain: true,
      closeDetail: true,
      answersClose: true,
      abort: true,
      asyncContext: true,
      crossConnection: true,
      exactSelf: true,
      compress: false,
      idleClock: true,
      ignores: [],
    };
    this.habits = habits;
    this.reads = habits.readsInitially;
    this.clock = clock;
    this.verdict = verdict;
    this.observer = watcher;
  }

  open(session: Session): void {
    this.session = session;
  }

  // --- calls of the session

  send(opcode: Opcode, data: IoData, size: number): void {
    this.verdict.holds(!this.closed, "sent after the close frame");
    this.verdict.holds(!this.isDisconnected, "sent although the transport is disconnected");
    this.observer.onSend(opcode, data, size);
    this.write(size);
  }

  close(code: number | undefined, text: string): void {
    this.verdict.holds(!this.closed, "closed twice");
    this.verdict.holds(!this.isDisconnected, "closed although the transport is disconnected");
    this.closed = true;
    this.closedWith = code;
    this.observer.onClose(code, text);
    if (this.discarding || this.habits.answersClose) this.clock.defer(() => this.disconnect());
  }

  abort(): void {
    this.aborted = true;
    this.observer.onAbort();
    if (this.habits.abortsSynchronously) this.disconnect();
    else this.clock.defer(() => this.disconnect());
  }

  pause(): void {
    this.verdict.holds(!this.paused, "paused twice");
    this.paused = true;
    this.observer.onPause();
  }

  resume(): void {
    this.verdict.holds(this.paused, "resumed without a pause");
    this.paused = false;
    this.observer.onResume();
    if (this.habits.resumesSynchronously) this.deliver();
    else this.clock.defer(() => this.deliver());
  }

  // --- actions of the peer

  /** Events that arrive in one chunk. They wait while reading is paused. */
  arrive(arrivals: readonly Arrival[]): void {
    this.arriving.push("chunk", ...arrivals);
    this.deliver();
  }

  /** The peer reads up to this many of the buffered bytes. */
  flush(bytes: number): void {
    const flushed = Math.min(bytes, this.buffered);
    if (flushed === 0 || this.isDisconnected) return;
    this.buffered -= flushed;
    this.bytesFlushed += flushed;
    if (this.buffered > 0) return;
    if (this.habits.drainsSynchronously) {
      this.drained();
      return;
    }
    this.drainsDue++;
    this.clock.defer(() => {
      this.drainsDue--;
      this.drained();
    });
  }

  /** A host may report this at any time at which nothing is buffered. */
  drained(): void {
    if (!this.isDisconnected && this.buffered === 0) this.session.onDrain();
  }

  disconnect(): void {
    if (this.isDisconnected) return;
    this.isDisconnected = this.discarding = true;
    this.arriving.length = 0;
    this.observer.onDisconnect();
    this.session.onDisconnect();
  }

  private write(size: number): void {
    if (this.reads && this.buffered === 0) this.bytesFlushed += size;
    else this.buffered += size;
  }

  private get isReading(): boolean {
    return !this.discarding && !(this.paused && this.habits.pause);
  }

  private deliver(): void {
    while (this.isReading && this.arriving.length > 0) {
      const next = this.arriving.shift()!;
      if (next === "chunk") {
        this.observer.onReceived();
        this.session.onActivity();
      } else if (!this.closed || this.habits.deliversAfterClose) this.deliverOne(next);
      else if (next.kind === "close") this.endPeer();
    }
  }

  private deliverOne(next: Arrival): void {
    switch (next.kind) {
      case "message":
        this.observer.onMessage(next.message, next.size);
        if (next.message.opcode === "text") this.session.onText(next.message.data, next.size);
        else this.session.onBinary(next.message.data);
        return;
      case "control":
        if (!this.habits.control) return;
        if (next.message.opcode === "ping" && !this.closed) this.write(next.message.data.length);
        this.observer.onMessage(next.message, next.message.data.length);
        this.session.onControl(next.message);
        return;
      case "close":
        this.discarding = true;
        this.observer.onRemoteClose(next.code);
        this.session.onClose(next.code, next.text);
        if (this.closed) this.clock.defer(() => this.disconnect());
        return;
      case "failure":
        this.discarding = true;
        this.observer.onFailure(next.error);
        this.session.onProtocolError(next.error);
        if (this.closed) this.clock.defer(() => this.disconnect());
    }
  }

  private endPeer(): void {
    this.discarding = true;
    this.clock.defer(() => this.disconnect());
  }
}
