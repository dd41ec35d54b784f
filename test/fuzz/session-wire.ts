/** The wire of a fuzzed session, and its peer: a transport that holds the session to what a transport may be asked. */

import type { Capabilities } from "../../src/capabilities.ts";
import type { ProtocolError } from "../../src/errors.ts";
import type { ControlMessage, DataMessage, IoData, Opcode } from "../../src/message.ts";
import type { Session } from "../../src/session/session.ts";
import type { Transport } from "../../src/transport.ts";
import type { SteppedClock } from "./stepped-clock.ts";
import type { Verdict } from "./verdict.ts";

/** How a host goes about it, where hosts differ. */
export interface WireHabits {
  readonly pause: boolean;
  readonly control: boolean;
  /** The peer takes what it is sent, to begin with. */
  readonly readsAtFirst: boolean;
  /** What waits is delivered within `resume`, or in the next turn. */
  readonly resumesAtOnce: boolean;
  /** The wire is gone within `abort`, or in the next turn. */
  readonly abortsAtOnce: boolean;
  /** `drained` is told at once, or in the next turn. */
  readonly drainsAtOnce: boolean;
  /** The peer answers a close frame in the next turn. */
  readonly answersClose: boolean;
  /** What the peer sends is still delivered when our close frame is on its way. */
  readonly deliversAfterClose: boolean;
}

/** What the wire tells whoever watches. */
export interface Watcher {
  onSend(opcode: Opcode, data: IoData, size: number): void;
  onClose(code: number | undefined, text: string): void;
  onAbort(): void;
  /** Something is about to be delivered. */
  onReceived(): void;
  onMessage(message: DataMessage | ControlMessage, size: number): void;
  onRemoteClose(code: number | undefined): void;
  onFailure(error: ProtocolError): void;
  onGone(): void;
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
  /** Our close frame is on its way. */
  closed = false;
  gone = false;
  paused = false;
  aborted = false;
  /** The peer has said its last: nothing of it counts any more. */
  deaf = false;
  reads: boolean;
  /** The code of our close frame. */
  closedWith: number | undefined;
  /** How often the session is still to be told that all was taken. */
  drainsDue = 0;

  private session!: Session;
  private readonly habits: WireHabits;
  private readonly clock: SteppedClock;
  private readonly verdict: Verdict;
  private readonly watcher: Watcher;
  private readonly arriving: ("chunk" | Arrival)[] = [];

  constructor(habits: WireHabits, clock: SteppedClock, verdict: Verdict, watcher: Watcher) {
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
      compress: false,
      idleClock: true,
      ignores: [],
    };
    this.habits = habits;
    this.reads = habits.readsAtFirst;
    this.clock = clock;
    this.verdict = verdict;
    this.watcher = watcher;
  }

  open(session: Session): void {
    this.session = session;
  }

  // --- what the session asks

  send(opcode: Opcode, data: IoData, size: number): void {
    this.verdict.holds(!this.closed, "sent after the close frame");
    this.verdict.holds(!this.gone, "sent although the wire is gone");
    this.watcher.onSend(opcode, data, size);
    this.write(size);
  }

  close(code: number | undefined, text: string): void {
    this.verdict.holds(!this.closed, "closed twice");
    this.verdict.holds(!this.gone, "closed although the wire is gone");
    this.closed = true;
    this.closedWith = code;
    this.watcher.onClose(code, text);
    if (this.deaf || this.habits.answersClose) this.clock.defer(() => this.lose());
  }

  abort(): void {
    this.aborted = true;
    this.watcher.onAbort();
    if (this.habits.abortsAtOnce) this.lose();
    else this.clock.defer(() => this.lose());
  }

  pause(): void {
    this.verdict.holds(!this.paused, "paused twice");
    this.paused = true;
    this.watcher.onPause();
  }

  resume(): void {
    this.verdict.holds(this.paused, "resumed without a pause");
    this.paused = false;
    this.watcher.onResume();
    if (this.habits.resumesAtOnce) this.deliver();
    else this.clock.defer(() => this.deliver());
  }

  // --- what the peer does

  /** These arrive in one chunk; while reading is paused they wait. */
  arrive(arrivals: readonly Arrival[]): void {
    this.arriving.push("chunk", ...arrivals);
    this.deliver();
  }

  /** The peer takes so much of what waits. */
  take(octets: number): void {
    const taken = Math.min(octets, this.buffered);
    if (taken === 0 || this.gone) return;
    this.buffered -= taken;
    this.bytesFlushed += taken;
    if (this.buffered > 0) return;
    if (this.habits.drainsAtOnce) {
      this.drained();
      return;
    }
    this.drainsDue++;
    this.clock.defer(() => {
      this.drainsDue--;
      this.drained();
    });
  }

  /** A host may tell it at any time, if only nothing waits. */
  drained(): void {
    if (!this.gone && this.buffered === 0) this.session.onDrain();
  }

  lose(): void {
    if (this.gone) return;
    this.gone = this.deaf = true;
    this.arriving.length = 0;
    this.watcher.onGone();
    this.session.onDisconnect();
  }

  private write(size: number): void {
    if (this.reads && this.buffered === 0) this.bytesFlushed += size;
    else this.buffered += size;
  }

  private get isReading(): boolean {
    return !this.deaf && !(this.paused && this.habits.pause);
  }

  private deliver(): void {
    while (this.isReading && this.arriving.length > 0) {
      const next = this.arriving.shift()!;
      if (next === "chunk") {
        this.watcher.onReceived();
        this.session.onActivity();
      } else if (!this.closed || this.habits.deliversAfterClose) this.deliverOne(next);
      else if (next.kind === "close") this.hangUp();
    }
  }

  private deliverOne(next: Arrival): void {
    switch (next.kind) {
      case "message":
        this.watcher.onMessage(next.message, next.size);
        if (next.message.opcode === "text") this.session.onText(next.message.data, next.size);
        else this.session.onBinary(next.message.data);
        return;
      case "control":
        if (!this.habits.control) return;
        if (next.message.opcode === "ping" && !this.closed) this.write(next.message.data.length);
        this.watcher.onMessage(next.message, next.message.data.length);
        this.session.onControl(next.message);
        return;
      case "close":
        this.deaf = true;
        this.watcher.onRemoteClose(next.code);
        this.session.onClose(next.code, next.text);
        if (this.closed) this.clock.defer(() => this.lose());
        return;
      case "failure":
        this.deaf = true;
        this.watcher.onFailure(next.error);
        this.session.onProtocolError(next.error);
        if (this.closed) this.clock.defer(() => this.lose());
    }
  }

  private hangUp(): void {
    this.deaf = true;
    this.clock.defer(() => this.lose());
  }
}
