/** Is the peer still there, and does it take what it is sent? What the session knows of that, with time as an input. */
import type { ControlMessage } from "../message.ts";
import type { ResolvedOptions } from "../options.ts";

const NEVER = Number.POSITIVE_INFINITY;

/** What a heartbeat's ping carries, so that its pong can be told from one that the application asked for. */
export const HEARTBEAT = "websock heartbeat";

const heartbeatBytes = new TextEncoder().encode(HEARTBEAT);

export class Liveness {
  private receivedAt: number;
  // `undefined` where there is none: every connection has these, and a number has to be kept somewhere.
  private heartbeatSentAt: number | undefined = undefined;
  /** Since when we are not reading; `undefined` while we are. */
  private pausedAt: number | undefined = undefined;
  /** How many heartbeats wait for their pongs: a slow peer's may come after the next one is sent. */
  private unansweredHeartbeats = 0;
  /** Since when the peer has taken nothing of what waits for it, and how much it had taken by then. */
  private stalledAt: number | undefined = undefined;
  private flushedWhenStalled = 0;

  constructor(now: number) {
    this.receivedAt = now;
  }

  /** The newest moment at which something was received, which may be known already. */
  noteActivity(at: number): void {
    if (at > this.receivedAt) this.receivedAt = at;
  }

  pause(now: number): void {
    this.pausedAt = now;
  }

  /** The idle clock stood still while we were not reading. */
  resume(now: number): void {
    this.receivedAt += now - Math.max(this.pausedAt ?? now, this.receivedAt);
    this.pausedAt = undefined;
  }

  /** Nothing was received for `timeout`, although we were reading. */
  isIdle(now: number, { timeout }: ResolvedOptions): boolean {
    return now >= this.idleAt(timeout);
  }

  /** Something waits for the peer, of which it takes nothing; from the first call on that says so. */
  isStalled(now: number, { timeout }: ResolvedOptions, buffered: number, bytesFlushed: number): boolean {
    if (buffered === 0) this.stalledAt = undefined;
    else if (this.stalledAt === undefined || bytesFlushed !== this.flushedWhenStalled) {
      this.stalledAt = now;
      this.flushedWhenStalled = bytesFlushed;
    }
    return now - (this.stalledAt ?? NEVER) >= timeout;
  }

  /** A heartbeat is due. */
  isHeartbeatDue(now: number, options: ResolvedOptions): boolean {
    return now >= this.heartbeatAt(options);
  }

  /** A heartbeat is sent; not so if what already waits for the peer tests the connection just as well. */
  noteHeartbeat(now: number, sent: boolean): void {
    this.heartbeatSentAt = now;
    if (sent) this.unansweredHeartbeats++;
  }

  /** Whether this answers our own heartbeat, which is nobody else's business. */
  consumePong({ opcode, data }: ControlMessage): boolean {
    if (this.unansweredHeartbeats === 0 || opcode !== "pong" || data.length !== heartbeatBytes.length) return false;
    if (!data.every((byte, i) => byte === heartbeatBytes[i])) return false;
    this.unansweredHeartbeats--;
    return true;
  }

  /** When to look again. `listening`: something is still expected of the peer. */
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
