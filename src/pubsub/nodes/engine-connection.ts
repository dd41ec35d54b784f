/**
 * The connection to the engine, which is up or away.
 *
 * A client of an engine may look healthy and deliver nothing: the engine is frozen, or the client is attached to a
 * server that gets no messages. So the connection counts as up only once a message to the node's own channel has come
 * back (a probe), and as away when nothing is settled any more, or when a probe is lost. While it is away, nothing is
 * published but probes, and nothing is kept for later: a client would keep without limit what it is given, and send it
 * later.
 *
 * All times are active ones. When the process was suspended, or its event loop blocked, the answers of the engine may
 * have arrived without having been read: that is no reason to count it as away.
 */
import { codedError } from "../../error-codes.ts";
import { type Clock, NEVER, type Timed } from "../../session/clock.ts";
import type { Backplane, BackplaneConnection, BackplaneLink } from "../backplane.ts";
import { nodeChannel } from "./channels.ts";

export type ConnectionStatus = "up" | "away" | "closed";

/** What a publish takes in memory besides its bytes, about, until it is settled. */
const OVERHEAD = 512;

export interface EngineConnectionOptions {
  readonly node: string;
  readonly clock: Clock;
  /**
   * In milliseconds: how long nothing is received before a probe is sent, and how long the node then waits for it to
   * return.
   */
  readonly probeInterval: number;
  readonly maxUnacknowledged: number;
}

/** What the connection needs of its node. */
export interface EngineConnectionOwner {
  onUp(): void;
  onAway(cause: unknown, status: "away" | "closed"): void;
  onWarning(message: string): void;
  onReceived(channel: string, bytes: Uint8Array): void;
  /** The bytes of a probe. */
  probe(id: number): Uint8Array;
}

export class EngineConnection implements BackplaneLink, Timed {
  status: ConnectionStatus = "away";
  /** Since when the status has been what it is, in milliseconds since 1970. */
  since = Date.now();
  slot = 0;
  probes = 0;
  /** The bytes that were published and are not settled. */
  unsettled = 0;
  private unsettledCount = 0;
  /** How many publishes have failed, as far as that is known. */
  rejected = 0;
  /** How long the last probe took, in milliseconds. */
  roundTrip: number | undefined = undefined;
  /** Is called when everything that was published is settled. */
  onSettled: (() => void) | undefined = undefined;
  readonly node: string;
  private readonly owner: EngineConnectionOwner;
  private readonly ownChannel: string;
  private readonly clock: Clock;
  private readonly probeInterval: number;
  private readonly maxUnacknowledged: number;
  private readonly connection: BackplaneConnection;
  /** The backplane says that it is connected. */
  private isConnected = false;
  private isClosed = false;
  /** What the owner knows. That it cannot connect at the start is news, too, although the status does not change. */
  private reported: ConnectionStatus | undefined = undefined;
  /** When something was last settled, or began to wait for that on the present connection. */
  private settledAt = 0;
  private heardAt = 0;
  private probeSentAt: number | undefined = undefined;

  constructor(
    backplane: Backplane,
    owner: EngineConnectionOwner,
    { node, clock, probeInterval, maxUnacknowledged }: EngineConnectionOptions,
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

  /**
   * Whether more may be published, if `bytes` in `count` envelopes are about to be. The limits may be exceeded by one
   * message, so that a large one is not dropped because a small one is unsettled.
   */
  hasRoomAfter(bytes: number, count: number): boolean {
    const unsettled = this.unsettled + bytes;
    const overhead = (this.unsettledCount + count) * OVERHEAD;
    const { maxUnacknowledged = Number.POSITIVE_INFINITY } = this.connection;
    return unsettled < maxUnacknowledged && unsettled + overhead < this.maxUnacknowledged;
  }

  /** @param onLost is called if the engine has not accepted it, as far as that is known */
  publish(channel: string, bytes: Uint8Array, onLost?: () => void): void {
    const { clock } = this;
    if (this.unsettled === 0) this.settledAt = clock.activeNow();
    this.unsettled += bytes.length;
    this.unsettledCount++;
    let isSettled = false;
    const settled = (ok: boolean): void => {
      if (isSettled) return;
      isSettled = true;
      this.unsettled -= bytes.length;
      this.unsettledCount--;
      this.settledAt = clock.activeNow();
      if (!ok) {
        this.rejected++;
        onLost?.();
      }
      if (this.unsettled > 0) return;
      this.onSettled?.();
      if (this.isConnected && !this.isUp) this.verify();
    };
    try {
      this.connection.publish(channel, bytes, settled);
    } catch {
      // A publisher must not get an exception of a client.
      settled(false);
    }
  }

  subscribe(channel: string): Promise<void> {
    return this.connection.subscribe([channel]);
  }

  unsubscribe(channels: readonly string[]): void {
    this.connection.unsubscribe(channels);
  }

  close(): Promise<void> {
    this.isClosed = true;
    this.isConnected = false;
    this.change("closed");
    this.clock.cancel(this);
    return this.connection.close();
  }

  // --- what the backplane reports

  receive(channel: string, bytes: Uint8Array): void {
    if (this.isClosed) return;
    this.heardAt = this.clock.activeNow();
    this.owner.onReceived(channel, bytes);
  }

  up(): void {
    if (this.isClosed) return;
    // Connected again without having said that it was not: what was published in between is lost nevertheless.
    if (this.isUp) this.goAway(codedError("WEBSOCK_ENGINE_AWAY", "the client has connected again"));
    this.isConnected = true;
    this.probeSentAt = undefined;
    // What an earlier connection has not settled says nothing about this one: it gets the whole interval.
    this.settledAt = this.clock.activeNow();
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
    this.probeSentAt = this.clock.activeNow();
    this.publish(this.ownChannel, this.owner.probe(++this.probes));
  }

  /** A probe has come back. Earlier ones may come back late: they prove nothing. */
  probeReturned(id: number): void {
    if (id !== this.probes || this.probeSentAt === undefined) return;
    this.roundTrip = this.clock.activeNow() - this.probeSentAt;
    this.probeSentAt = undefined;
    if (!this.isUp) this.comeUp();
    this.schedule();
  }

  tick(): void {
    if (!this.isConnected) return;
    const now = this.clock.activeNow();
    if (now >= this.probeDeadline) this.reconnect("a probe did not come back");
    else if (now >= this.settlementDeadline) this.reconnect("the engine acknowledges nothing");
    else if (now >= this.silenceDeadline) this.sendProbe();
    this.schedule();
  }

  private get probeDeadline(): number {
    return this.probeSentAt === undefined ? NEVER : this.probeSentAt + this.probeInterval;
  }

  private get settlementDeadline(): number {
    return this.unsettled === 0 ? NEVER : this.settledAt + this.probeInterval;
  }

  /** When a probe is due, because nothing was received. */
  private get silenceDeadline(): number {
    return this.isUp && this.probeSentAt === undefined ? this.heardAt + this.probeInterval : NEVER;
  }

  /** A tick is due at the latest one interval from now, because a publish does not schedule any. */
  private schedule(): void {
    if (!this.isConnected) return;
    const { clock, probeInterval } = this;
    const now = clock.activeNow();
    const wait = Math.min(this.probeDeadline, this.settlementDeadline, this.silenceDeadline) - now;
    clock.schedule(this, clock.now() + Math.min(wait, probeInterval));
  }

  private reconnect(cause: string): void {
    this.isConnected = false;
    this.goAway(codedError("WEBSOCK_ENGINE_AWAY", cause));
    this.connection.reconnect();
  }

  private comeUp(): void {
    this.heardAt = this.clock.activeNow();
    this.change("up");
    this.owner.onUp();
  }

  private goAway(cause: unknown, status: "away" | "closed" = "away"): void {
    this.probeSentAt = undefined;
    // A client that was closed may say later that it is not connected.
    if (this.reported === "closed" || this.reported === status) return;
    this.change(status);
    this.owner.onAway(cause, status);
  }

  private change(status: ConnectionStatus): void {
    this.reported = status;
    if (this.status === status) return;
    this.status = status;
    this.since = Date.now();
  }
}
