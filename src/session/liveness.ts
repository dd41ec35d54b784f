/** Tracks whether the peer is alive and reads what it is sent. All times are parameters. */
import type { ControlMessage } from "../message.ts";
import type { ResolvedOptions } from "../options.ts";
import { NEVER } from "./clock.ts";

/** The payload of heartbeat pings. It distinguishes their pongs from those of the application's pings. */
export const HEARTBEAT = "websock heartbeat";

const heartbeatBytes = new TextEncoder().encode(HEARTBEAT);

/**
 * What has to be known about a peer besides `activeAt`, the time when something was last received. Nearly always that
 * is nothing, and {@link QUIET} stands for it.
 */
export class Liveness {
  private heartbeatSentAt: number | undefined = undefined;
  /** Since when reading is paused; `undefined` while it is not. */
  private pausedAt: number | undefined = undefined;
  /** How many heartbeats wait for a pong. More than one if the peer is slow to answer. */
  private unansweredHeartbeats = 0;
  /** Since when none of the buffered bytes has been flushed, and how many had been flushed by then. */
  private stalledAt: number | undefined = undefined;
  private flushedWhenStalled = 0;

  /** Whether {@link QUIET} can stand for this object. */
  isQuiet(activeAt: number): boolean {
    return (
      this.unansweredHeartbeats === 0 &&
      this.pausedAt === undefined &&
      this.stalledAt === undefined &&
      (this.heartbeatSentAt ?? 0) <= activeAt
    );
  }

  pause(now: number): void {
    this.pausedAt = now;
  }

  /** Returns the new `activeAt`: the time of the pause does not count as idle time. */
  resume(now: number, activeAt: number): number {
    const resumed = activeAt + now - Math.max(this.pausedAt ?? now, activeAt);
    this.pausedAt = undefined;
    return resumed;
  }

  /** Whether nothing was received for `timeout` while reading was not paused. */
  isIdle(now: number, activeAt: number, { timeout }: ResolvedOptions): boolean {
    return now >= this.idleAt(activeAt, timeout);
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
  isHeartbeatDue(now: number, activeAt: number, options: ResolvedOptions): boolean {
    return now >= this.heartbeatAt(activeAt, options);
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
  nextDeadline(activeAt: number, options: ResolvedOptions, checksIdle: boolean, canPing: boolean): number {
    const stalled = (this.stalledAt ?? NEVER) + options.timeout;
    if (!checksIdle) return stalled;
    const heartbeatAt = canPing ? this.heartbeatAt(activeAt, options) : NEVER;
    return Math.min(stalled, this.idleAt(activeAt, options.timeout), heartbeatAt);
  }

  private idleAt(activeAt: number, timeout: number): number {
    return this.pausedAt === undefined ? activeAt + timeout : NEVER;
  }

  private heartbeatAt(activeAt: number, { heartbeat, timeout }: ResolvedOptions): number {
    return heartbeat < timeout ? Math.max(activeAt, this.heartbeatSentAt ?? 0) + heartbeat : NEVER;
  }
}

/**
 * Shared by all connections that are not paused or stalled, and have no unanswered heartbeat. Never change it.
 */
export const QUIET = new Liveness();
