/** A second implementation of idle timeout, heartbeat and slow consumers, independent of the session's. */
import { Buffer } from "node:buffer";
import type { ControlMessage } from "../../src/message.ts";
import { HEARTBEAT } from "../../src/session/liveness.ts";
import type { Setting } from "./session-script.ts";
import type { SteppedClock } from "./stepped-clock.ts";
import type { Verdict } from "./verdict.ts";

/** The part of the transport that the model reads. */
interface Outbound {
  readonly buffered: number;
  readonly bytesFlushed: number;
}

const OUTBOUND_BYTES = 65_536;

export class SilenceModel {
  private readonly clock: SteppedClock;
  private readonly options: Setting["options"];
  /** The time of silence up to `quietFrom`, pauses excluded. From there on, time counts unless reading is paused. */
  private quiet = 0;
  private quietFrom: number;
  private paused = false;
  private lastSign: number;
  private heartbeats = 0;
  private stalledFrom: number;
  private takenThen = 0;
  private watchedFrom: number;

  constructor(clock: SteppedClock, options: Setting["options"]) {
    this.clock = clock;
    this.options = options;
    this.quietFrom = this.lastSign = this.stalledFrom = this.watchedFrom = clock.now();
  }

  onReceived(): void {
    this.quiet = 0;
    this.quietFrom = this.lastSign = this.clock.now();
  }

  onPause(): void {
    this.quiet += this.clock.now() - this.quietFrom;
    this.paused = true;
    this.watchedFrom = this.clock.now();
  }

  onResume(): void {
    this.quietFrom = this.clock.now();
    this.paused = false;
    this.watchedFrom = this.clock.now();
  }

  private get silence(): number {
    return this.quiet + (this.paused ? 0 : this.clock.now() - this.quietFrom);
  }

  /** Whether an idle timeout is allowed now: at `timeout`, never before. */
  get isTimeout(): boolean {
    return !this.paused && this.silence === this.options.timeout;
  }

  onHeartbeat(verdict: Verdict): void {
    const { heartbeat, timeout } = this.options;
    verdict.holds(heartbeat !== false && heartbeat < timeout, "a heartbeat although heartbeats are off");
    verdict.holds(this.clock.now() - this.lastSign >= Number(heartbeat), "a heartbeat too early");
    this.lastSign = this.clock.now();
    this.heartbeats++;
  }

  /** Whether this pong answers a heartbeat, and is not reported. */
  takesPong({ opcode, data }: ControlMessage): boolean {
    if (opcode !== "pong" || this.heartbeats === 0 || Buffer.from(data).toString("latin1") !== HEARTBEAT) return false;
    this.heartbeats--;
    return true;
  }

  /** Called whenever the peer may have read, or something was written. */
  look({ buffered, bytesFlushed }: Outbound): void {
    if (buffered > 0 && bytesFlushed === this.takenThen) return;
    this.takenThen = bytesFlushed;
    this.stalledFrom = this.clock.now();
  }

  /** Whether nothing was flushed for at least `timeout`. */
  isStalled({ buffered, bytesFlushed }: Outbound): boolean {
    return (
      buffered > 0 && bytesFlushed === this.takenThen && this.clock.now() - this.stalledFrom >= this.options.timeout
    );
  }

  /**
   * Checks that nothing is overdue. A stalled peer is noticed at the first check, and must be closed `timeout` later.
   */
  check(verdict: Verdict, wire: Outbound, remoteClosed: boolean): void {
    this.look(wire);
    const { timeout } = this.options;
    if (!this.paused && !remoteClosed) verdict.holds(this.silence < timeout, "the idle clock did not fire");
    if (wire.buffered === 0 || (this.paused && wire.buffered <= OUTBOUND_BYTES) || remoteClosed) return;
    const from = Math.max(this.stalledFrom, this.watchedFrom);
    verdict.holds(this.clock.now() - from < 2 * timeout || timeout === Number.POSITIVE_INFINITY, "a stalled peer was not closed"); // biome-ignore format: one line
  }
}
