/** The connection of a node to a broker. */

import { microtask } from "../../adapters/shared/timers.ts";
import { codedError } from "../../error-codes.ts";
import type { BackplaneConnection, BackplaneLink } from "../backplane.ts";
import {
  BatchWriter,
  type FromBroker,
  forEachMessage,
  MAX_BATCH,
  type Port,
  type PortEvents,
  type ToBroker,
  VERSION,
} from "./broker-messages.ts";
import { WantedChannels } from "./wanted-channels.ts";

/** The largest message: it is copied several times on its way, so the limit is far below that of the platform. */
const MAX_BYTES = 16 * 1024 * 1024;

type Settled = (ok: boolean) => void;

export class BrokerConnection implements BackplaneConnection {
  readonly maxBytes: number = MAX_BYTES;
  private readonly link: BackplaneLink;
  private readonly port: Port<ToBroker>;
  /**
   * - joining: the broker has not answered
   * - subscribing: it has, and has not confirmed all wanted channels
   * - gone: the broker will not come back, but the `PubSub` has not called `close()`
   */
  private state: "joining" | "subscribing" | "up" | "gone" | "closed" = "joining";

  private readonly channels = new WantedChannels(() => this.confirmed());
  /** The messages that the broker has to confirm, with their numbers. */
  private unconfirmed: { readonly id: number; readonly resolve: () => void }[] = [];
  private lastId = 0;

  private readonly writer = new BatchWriter();
  private collected: Settled[] = [];
  /** Of batches that were sent, and that the other side has not taken. */
  private readonly unsettled = new Set<readonly Settled[]>();

  /** @param open opens the port to the broker, which calls the events that it is given */
  constructor(link: BackplaneLink, open: (events: PortEvents<FromBroker>) => Port<ToBroker>) {
    this.link = link;
    this.port = open({ message: (message) => this.receive(message), closed: (cause) => this.gone(cause) });
    this.join();
  }

  publish(channel: string, bytes: Uint8Array, settled: Settled): void {
    if (this.state !== "up") {
      microtask(() => settled(false));
      return;
    }
    if (this.writer.isEmpty) microtask(() => this.flushMessages());
    this.writer.add(channel, bytes);
    this.collected.push(settled);
    if (this.writer.size >= MAX_BATCH) this.flushMessages();
  }

  subscribe(channels: readonly string[]): Promise<void> {
    return this.channels.subscribe(channels);
  }

  unsubscribe(channels: readonly string[]): void {
    this.channels.unsubscribe(channels);
  }

  reconnect(): void {
    if (!this.isReachable) return;
    this.flushMessages();
    this.join();
  }

  async close(): Promise<void> {
    if (this.state === "closed") return;
    const wasReachable = this.isReachable;
    if (wasReachable) this.flushMessages();
    this.state = "closed";
    if (wasReachable) this.port.send({ kind: "leave" });
    this.port.close();
    this.end();
    this.channels.close();
  }

  /** Introduces the node to the broker, which forgets what it knew of it. */
  private join(): void {
    this.state = "joining";
    this.channels.disconnected();
    this.unconfirmed = [];
    this.port.send({ kind: "join", version: VERSION, node: this.link.node, binary: new Uint8Array(1) });
  }

  private get isReachable(): boolean {
    return this.state === "subscribing" || this.state === "up";
  }

  private get isEnded(): boolean {
    return this.state === "gone" || this.state === "closed";
  }

  private receive(message: FromBroker): void {
    if (this.isEnded) return;
    switch (message.kind) {
      case "welcome":
        if (this.state !== "joining") return;
        this.state = "subscribing";
        this.channels.connected((add, remove) => this.sendInterest(add, remove));
        return;
      case "refused": {
        const versions = `version ${message.version}, this process ${VERSION}`;
        this.gone(
          codedError(
            "WEBSOCK_ENGINE_AWAY",
            `the broker has another version of the package: it speaks ${versions} of the protocol`,
          ),
        );
        return;
      }
      case "confirmed":
        while (this.unconfirmed.length > 0 && this.unconfirmed[0]!.id <= message.id)
          this.unconfirmed.shift()!.resolve();
        return;
      case "lost":
        if (this.state !== "up") return;
        this.link.away(
          codedError("WEBSOCK_ENGINE_AWAY", "this node was too slow, and the broker has dropped messages"),
        );
        if (!this.isEnded) this.link.up();
        return;
      case "messages":
        forEachMessage(message, (channel, bytes) => {
          if (this.channels.has(channel)) this.link.receive(channel, bytes);
        });
    }
  }

  /** Resolves when the broker has confirmed the message; it remains pending if the connection ends before. */
  private sendInterest(add: readonly string[], remove: readonly string[]): Promise<void> {
    const id = ++this.lastId;
    const confirmation = new Promise<void>((resolve) => this.unconfirmed.push({ id, resolve }));
    this.port.send({ kind: "interest", id, add, remove });
    return confirmation;
  }

  private confirmed(): void {
    if (this.state !== "subscribing") return;
    this.state = "up";
    this.link.up();
  }

  private gone(cause: Error): void {
    if (this.isEnded) return;
    this.state = "gone";
    this.port.close();
    this.link.away(cause, true);
    this.end();
  }

  private end(): void {
    this.channels.disconnected();
    this.unconfirmed = [];
    const batches = [...this.unsettled, this.collected];
    this.unsettled.clear();
    this.collected = [];
    for (const batch of batches) for (const settled of batch) settled(false);
  }

  private flushMessages(): void {
    if (this.writer.isEmpty) return;
    const batch = this.collected;
    const message = this.writer.take();
    this.collected = [];
    if (this.isEnded) return;
    this.unsettled.add(batch);
    this.port.send(message, (ok) => {
      if (this.unsettled.delete(batch)) for (const settled of batch) settled(ok);
    });
  }
}
