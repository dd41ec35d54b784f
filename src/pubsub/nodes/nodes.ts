/** The other nodes of a `PubSub`: what is published here goes to them, and what they publish comes here. */
import type { IoData, Messages, OutMessage } from "../../message.ts";
import type { StopDetail } from "../../result.ts";
import type { Clock } from "../../session/clock.ts";
import type { Backplane } from "../backplane.ts";
import type { Gap } from "../options.ts";
import { listOf, readMessage, readStop, type StopRequest, typeOf, writeStop } from "./bodies.ts";
import { ByteReader, ByteWriter, MalformedError } from "./bytes.ts";
import { ALL_NODES, nodeChannel, topicChannel, topicOf } from "./channels.ts";
import { Engine, type EngineOwner } from "./engine.ts";
import {
  type Entry,
  type EntryOptions,
  EntryType,
  type Envelope,
  isFrom,
  PLAIN,
  readEnvelope,
  uuidBytes,
} from "./envelope.ts";
import { Interest } from "./interest.ts";
import { Membership, type MembershipOwner } from "./membership.ts";
import { ReceivedNumbers, SentNumbers } from "./numbers.ts";
import { Outbox } from "./outbox.ts";
import type { BackplaneStats } from "./stats.ts";

export interface NodesOptions {
  readonly node: string;
  readonly clock: Clock;
  readonly backplane: Backplane;
  readonly linger: number;
  readonly probe: number;
  readonly maxUnacknowledged: number;
  readonly beat: number;
  readonly down: number;
}

/** What other nodes ask this one to do. */
export interface NodesOwner {
  hasMembers(topic: string): boolean;
  publishHere(topic: string, messages: readonly OutMessage[], options: EntryOptions): void;
  broadcastHere(topic: string, info: Uint8Array, options: EntryOptions): void;
  stopHere(topic: string, request: StopRequest, options: EntryOptions): void;
  sendHere(address: string, info: Uint8Array): void;
  stopAddressHere(address: string, request: StopRequest): void;
  onNodesInfo(info: Uint8Array, node: string): void;
  /** Messages of another node are missing. */
  onRemoteGap(gap: Gap): void;
  onUp(): void;
  onAway(cause: unknown, status: "away" | "closed"): void;
  onWarning(message: string): void;
}

/** What presence needs: messages between nodes, and which of them are alive. */
export interface NodeListener {
  /** How many changes this node has published. Each beat tells the others. */
  readonly version: number;
  /** @throws MalformedError for a message that no node has sent */
  onMessage(node: string, body: Uint8Array): void;
  /** A node is alive, and has published so many changes. */
  onBeat(node: string, version: number): void;
  onNodeGone(node: string): void;
  /** The `PubSub` closes. */
  onClose(): void;
}

/** How long {@link Nodes.close} waits for the engine to take the goodbye, in milliseconds. */
const GOODBYE_TIMEOUT = 1_000;

export class Nodes implements EngineOwner, MembershipOwner {
  private readonly owner: NodesOwner;
  private readonly node: string;
  private readonly nodeBytes: Uint8Array;
  private readonly clock: Clock;
  private readonly engine: Engine;
  private readonly outbox: Outbox;
  private readonly interest: Interest;
  private readonly membership: Membership;
  private readonly received = new ReceivedNumbers();
  private readonly listeners = new Map<string, NodeListener>();
  private readonly counters = { envelopes: 0, entries: 0, bytes: 0, duplicates: 0, gaps: 0, missed: 0 };
  private echoes = 0;
  private malformed = 0;
  private unknownVersion = 0;
  private isClosed = false;

  constructor(owner: NodesOwner, options: NodesOptions) {
    const { node, clock, backplane, probe, maxUnacknowledged, linger } = options;
    this.owner = owner;
    this.node = node;
    this.nodeBytes = uuidBytes(node);
    this.clock = clock;
    this.engine = new Engine(backplane, this, { node, clock, probeInterval: probe, maxUnacknowledged });
    this.outbox = new Outbox(this.engine, new SentNumbers(), clock);
    this.interest = new Interest(this.engine, clock, linger, (channel) => this.received.forgetChannel(channel));
    this.membership = new Membership(this, options);
    this.interest.hold(nodeChannel(node));
    this.interest.hold(ALL_NODES);
  }

  get status(): "up" | "away" | "closed" {
    return this.engine.status;
  }

  get isUp(): boolean {
    return this.engine.isUp;
  }

  get stats(): BackplaneStats {
    const { engine, outbox, interest, counters } = this;
    return {
      since: new Date(engine.since),
      nodes: [...this.membership.nodes].length + 1,
      channels: interest.size,
      sentEnvelopes: outbox.envelopes,
      sentMessages: outbox.entries,
      sentBytes: outbox.bytes,
      receivedEnvelopes: counters.envelopes,
      receivedMessages: counters.entries,
      receivedBytes: counters.bytes,
      unacknowledgedBytes: engine.unacknowledgedBytes,
      rejected: engine.rejected,
      droppedAway: outbox.droppedAway,
      droppedTooLarge: outbox.droppedTooLarge,
      droppedBacklog: outbox.droppedBacklog,
      duplicates: counters.duplicates,
      gaps: counters.gaps,
      missed: counters.missed,
      echoes: this.echoes,
      malformed: this.malformed,
      unknownVersion: this.unknownVersion,
      subscribed: interest.subscribes,
      probes: engine.probes,
      probeRoundTrip: engine.roundTrip,
    };
  }

  // --- topics

  hold(topic: string): void {
    this.interest.hold(topicChannel(topic));
  }

  release(topic: string): void {
    this.interest.release(topicChannel(topic));
  }

  ready(topic: string): Promise<boolean> {
    return this.interest.ready(topicChannel(topic));
  }

  publish(topic: string, messages: Messages, options: EntryOptions): boolean {
    const channel = topicChannel(topic);
    let sent = true;
    for (const message of listOf(messages))
      sent = this.outbox.add(channel, typeOf(message), message.data ?? "", options) && sent;
    return sent && this.engine.isUp;
  }

  broadcast(topic: string, info: IoData, options: EntryOptions): boolean {
    return this.outbox.add(topicChannel(topic), EntryType.info, info, options);
  }

  stop(topic: string, reason: string, detail: StopDetail, options: EntryOptions): void {
    this.outbox.add(topicChannel(topic), EntryType.stop, writeStop(reason, detail), options);
  }

  // --- addresses

  sendTo(node: string, address: string, info: IoData): boolean {
    return this.addToAddress(node, address, EntryType.addressInfo, info);
  }

  stopAt(node: string, address: string, reason: string, detail: StopDetail): boolean {
    return this.addToAddress(node, address, EntryType.addressStop, writeStop(reason, detail));
  }

  private addToAddress(node: string, address: string, type: EntryType, rest: IoData): boolean {
    const writer = new ByteWriter();
    writer.sized(address);
    return this.outbox.add(nodeChannel(node), type, [writer.written, rest], PLAIN);
  }

  // --- nodes

  broadcastToNodes(info: IoData): boolean {
    return this.outbox.add(ALL_NODES, EntryType.info, info, PLAIN);
  }

  /** Adds a listener: to messages that other nodes send with this name. */
  listen(name: string, listener: NodeListener): void {
    this.listeners.set(name, listener);
    // So that the listener learns of the other nodes immediately.
    if (this.isUp && !this.isClosed) this.sendBeat(EntryType.hello);
  }

  /** Resolves when what other nodes send to all nodes arrives here; with `false` if the engine is away. */
  readyForNodes(): Promise<boolean> {
    return this.interest.ready(ALL_NODES);
  }

  /** Sends a message of the listener `name` to one node, or to all. */
  sendToNodes(name: string, body: IoData, node?: string): boolean {
    const writer = new ByteWriter();
    writer.sized(name);
    const channel = node === undefined ? ALL_NODES : nodeChannel(node);
    return this.outbox.add(channel, EntryType.presence, [writer.written, body], PLAIN);
  }

  sendBeat(type: EntryType = EntryType.beat, channel = ALL_NODES): void {
    const writer = new ByteWriter();
    for (const [name, { version }] of this.listeners) {
      writer.sized(name);
      writer.uint(version, 6);
    }
    this.outbox.add(channel, type, writer.written, PLAIN);
  }

  onNodeGone(node: string): void {
    for (const listener of this.listeners.values()) listener.onNodeGone(node);
  }

  onNodeForgotten(node: string): void {
    this.received.forgetNode(node);
  }

  /** Says goodbye, and closes the connection to the engine. */
  async close(): Promise<void> {
    const { engine, outbox } = this;
    this.isClosed = true;
    this.membership.close();
    this.interest.close();
    if (engine.isUp) {
      outbox.add(ALL_NODES, EntryType.goodbye, "", PLAIN);
      outbox.flush();
      if (engine.unacknowledgedBytes > 0) await this.acknowledgement();
    }
    await engine.close();
  }

  private acknowledgement(): Promise<void> {
    const { engine, clock } = this;
    return new Promise((resolve) => {
      const timeout = { slot: 0, tick: () => resolve() };
      clock.schedule(timeout, clock.now() + GOODBYE_TIMEOUT);
      engine.onAcknowledged = () => {
        clock.cancel(timeout);
        resolve();
      };
    });
  }

  // --- what the engine reports. While this node says goodbye, it may still report something: nothing is done then

  probe(id: number): Uint8Array {
    const writer = new ByteWriter();
    writer.uint(id, 4);
    return this.outbox.single(EntryType.probe, writer.written);
  }

  onUp(): void {
    if (this.isClosed) return;
    this.membership.start();
    this.sendBeat(EntryType.hello);
    this.owner.onUp();
  }

  onAway(cause: unknown, status: "away" | "closed"): void {
    if (this.isClosed) return;
    this.interest.onAway();
    this.owner.onAway(cause, status);
  }

  onWarning(message: string): void {
    if (!this.isClosed) this.owner.onWarning(message);
  }

  onReceived(channel: string, bytes: Uint8Array): void {
    // A message may arrive late, when its channel is not wanted any more: nothing must be remembered of it.
    if (this.isClosed || !this.interest.has(channel)) return;
    const isOwn = isFrom(this.nodeBytes, bytes);
    if (isOwn && channel !== nodeChannel(this.node)) {
      this.echoes++;
      return;
    }
    this.guard(() => {
      const envelope = readEnvelope(bytes);
      if (envelope === undefined) this.unknownVersion++;
      else this.onEnvelope(channel, envelope, bytes.length);
    });
  }

  /** Counts what no node has sent. */
  private guard(read: () => void): void {
    try {
      read();
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.malformed++;
    }
  }

  /** @throws MalformedError before anything of the envelope is delivered */
  private onEnvelope(channel: string, { node, epoch, first, entries }: Envelope, size: number): void {
    const topic = topicOf(channel);
    const received =
      topic === undefined
        ? entries.map((entry) => this.readNodeEntry(channel, node, entry))
        : this.owner.hasMembers(topic)
          ? entries.map((entry) => this.readTopicEntry(topic, entry))
          : [];
    const { counters } = this;
    counters.envelopes++;
    counters.entries += entries.length;
    counters.bytes += size;
    if (node === this.node) {
      // A probe. This node is none of the others, and lost probes are nothing that was missed.
      this.pass(topic, received);
      return;
    }
    this.membership.heard(node);
    const { duplicates, missed } = this.received.accept(channel, node, epoch, first, entries.length);
    counters.duplicates += duplicates;
    if (missed > 0) {
      counters.gaps++;
      counters.missed += missed;
      if (topic !== undefined) this.owner.onRemoteGap({ topic, cause: "publisher", missed, node });
    }
    this.pass(topic, received.slice(duplicates));
  }

  private readTopicEntry(topic: string, entry: Entry): Received {
    const { type, body } = entry;
    if (type <= EntryType.pong) return { entry, message: readMessage(type, body) };
    if (type === EntryType.info) return { entry, run: () => this.owner.broadcastHere(topic, body, entry) };
    if (type !== EntryType.stop) return { entry };
    const request = readStop(body);
    return { entry, run: () => this.owner.stopHere(topic, request, entry) };
  }

  /** An entry in the channel of this node, or of all nodes. */
  private readNodeEntry(channel: string, node: string, entry: Entry): Received {
    const reader = new ByteReader(entry.body);
    const { owner, membership } = this;
    const isForAll = channel === ALL_NODES;
    switch (entry.type) {
      case EntryType.probe: {
        const id = reader.uint(4);
        return { entry, run: () => node === this.node && this.engine.probeReturned(id) };
      }
      case EntryType.addressInfo: {
        const address = reader.sizedText();
        const info = reader.rest();
        return { entry, run: () => owner.sendHere(address, info) };
      }
      case EntryType.addressStop: {
        const address = reader.sizedText();
        const request = readStop(reader.rest());
        return { entry, run: () => owner.stopAddressHere(address, request) };
      }
      case EntryType.info:
        return { entry, run: () => isForAll && owner.onNodesInfo(entry.body, node) };
      case EntryType.presence: {
        const listener = this.listeners.get(reader.sizedText());
        const body = reader.rest();
        // A message of a node that is gone may be late.
        return {
          entry,
          run: () => membership.has(node) && this.guard(() => listener?.onMessage(node, body)),
        };
      }
      case EntryType.goodbye:
        return { entry, run: () => membership.goodbye(node) };
      case EntryType.hello:
      case EntryType.beat: {
        const versions: (readonly [NodeListener | undefined, number])[] = [];
        while (!reader.isAtEnd) versions.push([this.listeners.get(reader.sizedText()), reader.uint(6)]);
        return {
          entry,
          run: () => {
            membership.alive(node);
            // So that a node that has just started learns of this one at once. To it alone: when an engine comes back,
            // all nodes say hello.
            if (entry.type === EntryType.hello) this.sendBeat(EntryType.beat, nodeChannel(node));
            for (const [listener, version] of versions) listener?.onBeat(node, version);
          },
        };
      }
      default:
        return { entry };
    }
  }

  /** Passes on what was received, consecutive messages together. */
  private pass(topic: string | undefined, received: readonly Received[]): void {
    // A listener may close this node.
    for (let i = 0; i < received.length && !this.isClosed; ) {
      const { entry, message, run } = received[i++]!;
      run?.();
      if (message === undefined) continue;
      const messages = [message];
      for (; i < received.length; i++) {
        const { entry: next, message: more } = received[i]!;
        if (more === undefined || !isSentAlike(entry, next)) break;
        messages.push(more);
      }
      this.owner.publishHere(topic!, messages, entry);
    }
  }
}

/** What an entry is, once its body has been read: a message, or something to do. Neither, if its type is unknown. */
interface Received {
  readonly entry: Entry;
  readonly message?: OutMessage;
  readonly run?: () => unknown;
}

const isSentAlike = (a: EntryOptions, b: EntryOptions): boolean =>
  a.volatile === b.volatile && a.except.length + b.except.length === 0;
