/**
 * The connection to the engine, as the rest sees it: up or away.
 *
 * A client of an engine may look healthy and deliver nothing: the engine is frozen, or the client is attached to a server
 * that gets no messages. So the connection counts as up only once a message to the node's own channel has come back (a
 * probe), and as away when too much is not acknowledged, when nothing is acknowledged any more, or when a probe is lost.
 * While it is away, the client is not called: clients keep what they are given without limit, and send it later.
 */
import { type Clock, NEVER, type Timed } from "../../session/clock.ts";
import type { Backplane, BackplaneConnection, BackplaneLink } from "../backplane.ts";
import { nodeChannel } from "./channels.ts";

export type EngineStatus = "up" | "away" | "closed";

export interface EngineOptions {
  readonly node: string;
  readonly clock: Clock;
  /** After how many milliseconds without a message a probe is sent, and after how many more it counts as lost. */
  readonly probeInterval: number;
  readonly maxUnacknowledged: number;
}

/** What an engine needs of its node. */
export interface EngineOwner {
  onUp(): void;
  onAway(cause: unknown, status: "away" | "closed"): void;
  onWarning(message: string): void;
  onReceived(channel: string, bytes: Uint8Array): void;
  /** The bytes of a probe. */
  probe(id: number): Uint8Array;
}

export class Engine implements BackplaneLink, Timed {
  status: EngineStatus = "away";
  /** Since when the status has been what it is, in milliseconds since 1970. */
  since = Date.now();
  slot = 0;
  probes = 0;
  /** How many publishes the engine has not accepted, as far as that is known. */
  rejected = 0;
  /** How long the last probe took, in milliseconds. */
  roundTrip: number | undefined = undefined;
  /** Is called when everything that was published is acknowledged. */
  onAcknowledged: (() => void) | undefined = undefined;
  readonly node: string;
  private readonly owner: EngineOwner;
  private readonly ownChannel: string;
  private readonly clock: Clock;
  private readonly probeInterval: number;
  private readonly maxUnacknowledged: number;
  private readonly connection: BackplaneConnection;
  /** The backplane says that it is connected. */
  private isConnected = false;
  private isClosed = false;
  private unacknowledged = 0;
  /** When something was last acknowledged, or began to wait for it. */
  private acknowledgedAt = 0;
  private heardAt = 0;
  private probeSentAt: number | undefined = undefined;

  constructor(
    backplane: Backplane,
    owner: EngineOwner,
    { node, clock, probeInterval, maxUnacknowledged }: EngineOptions,
  ) {
    this.node = node;
    this.owner = owner;
    this.ownChannel = nodeChannel(node);
    this.clock = clock;
    this.probeInterval = probeInterval;
    this.maxUnacknowledged = maxUnacknowledged;
    this.connection = backplane.connect(this);
  }

  get isUp(): boolean {
    return this.status === "up";
  }

  get maxBytes(): number {
    return this.connection.maxBytes;
  }

  /** The bytes that the engine has not acknowledged. */
  get unacknowledgedBytes(): number {
    return this.unacknowledged;
  }

  /**
   * Whether `size` more bytes may be published. If not, the engine is away from now on. A message that is larger than the
   * limit may be published if nothing is waiting.
   */
  admit(size: number): boolean {
    if (this.unacknowledged === 0 || this.unacknowledged + size <= this.maxUnacknowledged) return true;
    this.goAway(new Error(`${this.unacknowledged} bytes are not acknowledged by the engine`));
    return false;
  }

  publish(channel: string, bytes: Uint8Array): void {
    const { clock } = this;
    if (this.unacknowledged === 0) this.acknowledgedAt = clock.now();
    this.unacknowledged += bytes.length;
    let isSettled = false;
    this.connection.publish(channel, bytes, (ok) => {
      if (isSettled) return;
      isSettled = true;
      this.unacknowledged -= bytes.length;
      this.acknowledgedAt = clock.now();
      if (!ok) this.rejected++;
      if (this.unacknowledged > 0) return;
      this.onAcknowledged?.();
      if (this.isConnected && !this.isUp) this.verify();
    });
  }

  subscribe(channel: string): Promise<void> {
    return this.connection.subscribe([channel]);
  }

  unsubscribe(channels: readonly string[]): void {
    this.connection.unsubscribe(channels);
  }

  close(): Promise<void> {
    this.isClosed = true;
    this.change("closed");
    this.clock.cancel(this);
    return this.connection.close();
  }

  // --- what the backplane reports

  receive(channel: string, bytes: Uint8Array): void {
    if (this.isClosed) return;
    this.heardAt = this.clock.now();
    this.owner.onReceived(channel, bytes);
  }

  up(): void {
    if (this.isClosed) return;
    this.isConnected = true;
    this.probeSentAt = undefined;
    this.verify();
  }

  away(cause: unknown, forever = false): void {
    if (this.isClosed) return;
    this.isConnected = false;
    this.goAway(cause, forever ? "closed" : "away");
  }

  warn(message: string): void {
    if (!this.isClosed) this.owner.onWarning(message);
  }

  // --- probes

  /** Counts as up when a probe has come back. */
  private verify(): void {
    if (this.probeSentAt !== undefined) return;
    this.sendProbe();
    this.schedule();
  }

  private sendProbe(): void {
    this.probeSentAt = this.clock.now();
    this.publish(this.ownChannel, this.owner.probe(++this.probes));
  }

  /** A probe has come back. Earlier ones may come back late: they prove nothing. */
  probeReturned(id: number): void {
    if (id !== this.probes || this.probeSentAt === undefined) return;
    this.roundTrip = this.clock.now() - this.probeSentAt;
    this.probeSentAt = undefined;
    if (!this.isUp) this.comeUp();
    this.schedule();
  }

  tick(now: number): void {
    if (!this.isConnected) return;
    if (now >= this.probeDeadline) this.reconnect("a probe did not come back");
    else if (now >= this.acknowledgementDeadline) this.reconnect("the engine acknowledges nothing");
    else if (this.isUp && this.probeSentAt === undefined && now >= this.heardAt + this.probeInterval) this.sendProbe();
    this.schedule();
  }

  private get probeDeadline(): number {
    return this.probeSentAt === undefined ? NEVER : this.probeSentAt + this.probeInterval;
  }

  private get acknowledgementDeadline(): number {
    return this.unacknowledged === 0 ? NEVER : this.acknowledgedAt + this.probeInterval;
  }

  /** A tick is due at the latest one interval from now, whatever happens: acknowledgements are only looked at then. */
  private schedule(): void {
    const now = this.clock.now();
    if (this.isConnected && !this.isClosed)
      this.clock.schedule(this, Math.min(this.probeDeadline, Math.max(this.heardAt, now) + this.probeInterval));
  }

  private reconnect(cause: string): void {
    this.isConnected = false;
    this.goAway(new Error(cause));
    this.connection.reconnect();
  }

  private comeUp(): void {
    this.heardAt = this.clock.now();
    this.change("up");
    this.owner.onUp();
  }

  private goAway(cause: unknown, status: "away" | "closed" = "away"): void {
    this.probeSentAt = undefined;
    if (this.status === status) return;
    this.change(status);
    this.owner.onAway(cause, status);
  }

  private change(status: EngineStatus): void {
    this.status = status;
    this.since = Date.now();
  }
}
