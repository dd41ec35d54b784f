/** Tracks whether the peer is alive and reads what it is sent. All times are parameters. */
import type { ControlMessage } from "../message.ts";
import type { ResolvedOptions } from "../options.ts";
import { NEVER } from "./clock.ts";

/** The payload of heartbeat pings. It distinguishes their pongs from those of the application's pings. */
export const HEARTBEAT = "websock heartbeat";

const heartbeatBytes = new TextEncoder().encode(HEARTBEAT);

export class Liveness {
  private receivedAt: number;
  // `undefined` while there is none: V8 would allocate a heap number for it in every connection.
  private heartbeatSentAt: number | undefined = undefined;
  /** Since when reading is paused; `undefined` while it is not. */
  private pausedAt: number | undefined = undefined;
  /** How many heartbeats wait for a pong. More than one if the peer is slow to answer. */
  private unansweredHeartbeats = 0;
  /** Since when none of the buffered bytes has been flushed, and how many had been flushed by then. */
  private stalledAt: number | undefined = undefined;
  private flushedWhenStalled = 0;

  constructor(now: number) {
    this.receivedAt = now;
  }

  /** Records that something was received at `at`, which may be earlier than the latest recorded time. */
  noteActivity(at: number): void {
    if (at > this.receivedAt) this.receivedAt = at;
  }

  pause(now: number): void {
    this.pausedAt = now;
  }

  /** Excludes the time of the pause from the idle time. */
  resume(now: number): void {
    this.receivedAt += now - Math.max(this.pausedAt ?? now, this.receivedAt);
    this.pausedAt = undefined;
  }

  /** Whether nothing was received for `timeout` while reading was not paused. */
  isIdle(now: number, { timeout }: ResolvedOptions): boolean {
    return now >= this.idleAt(timeout);
  }

  /** Whether bytes are buffered and none was flushed for `timeout`, counted from the first call that shows it. */
  isStalled(now: number, { timeout }: ResolvedOptions, buffered: number, bytesFlushed: number): boolean {
    if (buffered === 0) this.stalledAt = undefined;
    else if (this.stalledAt === undefined || bytesFlushed !== this.flushedWhenStalled) {
      this.stalledAt = now;
      this.flushedWhenStalled = bytesFlushed;
    }
    return now - (this.stalledAt ?? NEVER) >= timeout;
  }

  /** Whether a heartbeat is due. */
  isHeartbeatDue(now: number, options: ResolvedOptions): boolean {
    return now >= this.heartbeatAt(options);
  }

  /**
   * Records that a heartbeat was due. `sent`: a ping was sent. With bytes buffered none is: they test the connection,
   * too.
   */
  noteHeartbeat(now: number, sent: boolean): void {
    this.heartbeatSentAt = now;
    if (sent) this.unansweredHeartbeats++;
  }

  /** Returns true for a pong that answers a heartbeat, which is not reported to the handler. */
  consumePong({ opcode, data }: ControlMessage): boolean {
    if (this.unansweredHeartbeats === 0 || opcode !== "pong" || data.length !== heartbeatBytes.length) return false;
    if (!data.every((byte, i) => byte === heartbeatBytes[i])) return false;
    this.unansweredHeartbeats--;
    return true;
  }

  /** The next time at which one of the checks above can become true. */
  nextDeadline(options: ResolvedOptions, checksIdle: boolean, canPing: boolean): number {
    const stalled = (this.stalledAt ?? NEVER) + options.timeout;
    if (!checksIdle) return stalled;
    return Math.min(stalled, this.idleAt(options.timeout), canPing ? this.heartbeatAt(options) : NEVER);
  }

  private idleAt(timeout: number): number {
    return this.pausedAt === undefined ? this.receivedAt + timeout : NEVER;
  }

  private heartbeatAt({ heartbeat, timeout }: ResolvedOptions): number {
    return heartbeat < timeout ? Math.max(this.receivedAt, this.heartbeatSentAt ?? 0) + heartbeat : NEVER;
  }
}
