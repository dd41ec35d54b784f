/**
 * The broker of `cluster` and `threads`: an engine in the process itself, to which nodes connect through ports.
 *
 * It knows which node has subscribed to which channels, and forwards a message to these nodes only. It runs in the
 * primary process, or in the thread that has created the `ThreadHub`.
 */

import { later } from "../../adapters/shared/timers.ts";
import { codedTypeError } from "../../error-codes.ts";
import { show } from "../../known-keys.ts";
import { nodeChannel } from "../nodes/channels.ts";
import {
  type Batch,
  BatchWriter,
  costOf,
  type FromBroker,
  forEachMessage,
  MAX_BATCH,
  type Port,
  type ToBroker,
  VERSION,
} from "./broker-messages.ts";

/** Options of a broker. */
export interface BrokerOptions {
  /**
   * How many bytes of messages may wait for one node that does not take them. What comes on top is dropped for this
   * node, which finds out: its topics report a gap. Default: 32 MiB, as in Redis.
   */
  readonly maxBacklog?: number;
}

const DEFAULT_MAX_BACKLOG = 32 * 1024 * 1024;

/** @throws TypeError for an invalid option */
export const checkedBacklog = ({ maxBacklog = DEFAULT_MAX_BACKLOG }: BrokerOptions): number => {
  if (typeof maxBacklog === "number" && maxBacklog >= 0) return maxBacklog;
  throw codedTypeError("WEBSOCK_INVALID_OPTION", `maxBacklog must be a number of bytes, not ${show(maxBacklog)}`);
};

/** So many channels of a node that is gone are forgotten in one event-loop tick. */
const SLICE = 10_000;

export class Broker {
  /** The peers that have subscribed to a channel. */
  private readonly interested = new Map<string, Set<Peer>>();
  private readonly maxBacklog: number;

  constructor(maxBacklog: number) {
    this.maxBacklog = maxBacklog;
  }

  /**
   * Serves a node that is at the other end of `port`. Its owner calls `receive` for each message, and `leave` at the
   * end.
   */
  connect(port: Port<FromBroker>): Peer {
    return new Peer(this, port, this.maxBacklog);
  }

  /** For peers: forwards messages to all others, and to the publisher itself only what it sends to its own channel. */
  forward(from: Peer, batch: Batch): void {
    forEachMessage(batch, (channel, bytes) => {
      const peers = this.interested.get(channel);
      if (peers === undefined) return;
      for (const peer of peers) if (peer !== from || channel === from.own) peer.deliver(channel, bytes);
    });
  }

  /** For peers. */
  add(channel: string, peer: Peer): void {
    const peers = this.interested.get(channel);
    if (peers === undefined) this.interested.set(channel, new Set([peer]));
    else peers.add(peer);
  }

  /** For peers. */
  remove(channel: string, peer: Peer): void {
    const peers = this.interested.get(channel);
    if (peers?.delete(peer) && peers.size === 0) this.interested.delete(channel);
  }
}

/** One node, seen by the broker. */
export class Peer {
  /** The node's own channel; `undefined` before it has joined. */
  own: string | undefined;
  private readonly channels = new Set<string>();
  private readonly writer = new BatchWriter();
  private readonly broker: Broker;
  private readonly port: Port<FromBroker>;
  private readonly maxBacklog: number;
  /** The size of what the node has not taken. */
  private backlog = 0;
  /** Whether messages were dropped since the backlog was empty. */
  private hasLost = false;

  constructor(broker: Broker, port: Port<FromBroker>, maxBacklog: number) {
    this.broker = broker;
    this.port = port;
    this.maxBacklog = maxBacklog;
  }

  receive(message: ToBroker): void {
    switch (message.kind) {
      case "join":
        this.own = undefined;
        this.forget(Number.POSITIVE_INFINITY);
        if (message.version !== VERSION) {
          this.port.send({ kind: "refused", version: VERSION });
          return;
        }
        this.own = nodeChannel(message.node);
        this.port.send({ kind: "welcome", binary: new Uint8Array(1) });
        return;
      case "interest":
        if (this.own === undefined) return;
        for (const channel of message.remove) {
          this.channels.delete(channel);
          this.broker.remove(channel, this);
        }
        for (const channel of message.add) {
          this.channels.add(channel);
          this.broker.add(channel, this);
        }
        this.port.send({ kind: "confirmed", id: message.id });
        return;
      case "messages":
        if (this.own !== undefined) this.broker.forward(this, message);
        return;
      case "leave":
        this.leave();
    }
  }

  /** The node is gone. */
  leave(): void {
    this.own = undefined;
    this.forgetSlice();
  }

  /** 100 000 channels at once would block the event loop for 60 ms. */
  private forgetSlice(): void {
    if (this.own !== undefined) return;
    this.forget(SLICE);
    if (this.channels.size > 0) later(() => this.forgetSlice());
  }

  /** Forgets what the node has subscribed to: so many channels at most. */
  private forget(count: number): void {
    let left = count;
    for (const channel of this.channels) {
      if (left-- === 0) return;
      this.channels.delete(channel);
      this.broker.remove(channel, this);
    }
  }

  /**
   * For the broker: sends a message at the end of the event-loop tick, together with what other batches contain for
   * this node, or when enough is collected.
   */
  deliver(channel: string, bytes: Uint8Array): void {
    if (this.own === undefined) return;
    const cost = costOf(channel, bytes);
    // A message that is larger than the limit gets through alone.
    if (this.hasLost || (this.backlog > 0 && this.backlog + cost > this.maxBacklog)) {
      this.hasLost = true;
      return;
    }
    this.backlog += cost;
    if (this.writer.isEmpty) later(() => this.flush());
    this.writer.add(channel, bytes);
    if (this.writer.size >= MAX_BATCH) this.flush();
  }

  private flush(): void {
    if (this.writer.isEmpty) return;
    const { size } = this.writer;
    this.port.send(this.writer.take(), () => this.taken(size));
  }

  private taken(size: number): void {
    this.backlog -= size;
    if (!this.hasLost || this.backlog > 0) return;
    this.hasLost = false;
    this.port.send({ kind: "lost" });
  }
}
