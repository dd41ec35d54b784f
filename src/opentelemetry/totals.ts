/** Sums of the counts of connections. */
import { type ConnectionCounts, DURATION_BOUNDS, type Tally, type Traffic } from "../session/observed/counts.ts";

const KINDS = ["text", "binary", "ping", "pong", "close"] as const;
type Kind = (typeof KINDS)[number];

/** The sums for one direction. `undefined` where no host has shown it. */
class TrafficTotals {
  readonly kinds: Partial<Record<Kind, { messages: number; bytes: number }>> = {};
  frames: number | undefined = undefined;
  compressedBytes: number | undefined = undefined;

  add(traffic: Traffic | TrafficTotals): void {
    for (const kind of KINDS) {
      const tally: Tally | { messages: number; bytes: number } | undefined =
        traffic instanceof TrafficTotals ? traffic.kinds[kind] : traffic[kind];
      if (tally === undefined) continue;
      const sum = (this.kinds[kind] ??= { messages: 0, bytes: 0 });
      sum.messages += tally.messages;
      sum.bytes += tally.bytes;
    }
    if (traffic.frames !== undefined) this.frames = (this.frames ?? 0) + traffic.frames;
    if (traffic.compressedBytes !== undefined)
      this.compressedBytes = (this.compressedBytes ?? 0) + traffic.compressedBytes;
  }
}

export class Totals {
  readonly received = new TrafficTotals();
  readonly sent = new TrafficTotals();
  readonly callbacks = {
    errors: 0,
    /** In milliseconds. */
    total: 0,
    durations: Array<number>(DURATION_BOUNDS.length + 1).fill(0),
  };

  add({ received, sent, callbacks }: ConnectionCounts | Totals): void {
    this.received.add(received);
    this.sent.add(sent);
    this.callbacks.errors += callbacks.errors;
    this.callbacks.total += callbacks.total;
    const { durations } = this.callbacks;
    for (let i = 0; i < durations.length; i++) durations[i]! += callbacks.durations[i]!;
  }
}
