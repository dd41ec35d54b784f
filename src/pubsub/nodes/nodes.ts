/** The other nodes of a `PubSub`: what is published here goes to them, and what they publish comes here. */
import type { IoData, Messages, OutMessage } from "../../message.ts";
import type { StopDetail } from "../../result.ts";
import type { Clock } from "../../session/clock.ts";
import { messageList } from "../../session/outgoing.ts";
import type { Backplane } from "../backplane.ts";
import type { Gap } from "../options.ts";
import { prefixed, type StopRequest, typeOf, type Version, writeProbe, writeStop, writeVersions } from "./bodies.ts";
import { MalformedError } from "./bytes.ts";
import { ALL_NODES, nodeChannel, topicChannel, topicOf } from "./channels.ts";
import { EngineConnection, type EngineConnectionOwner } from "./engine-connection.ts";
import { type EntryOptions, EntryType, type Envelope, isFrom, PLAIN, readEnvelope, uuidBytes } from "./envelope.ts";
import { Interest } from "./interest.ts";
import { LiveNodes, type LiveNodesOwner } from "./live-nodes.ts";
import { ReceivedNumbers, SentNumbers } from "./numbers.ts";
import { Outbox } from "./outbox.ts";
import { isSentAlike, type NodeEntry, readNodeEntry, readTopicEntry, type TopicEntry } from "./received.ts";
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

/** A presence on this node. It exchanges messages with the presences of the same name on other nodes. */
export interface PresenceReplica {
  /** How many changes this node has published. Each beat tells the others. */
  readonly version: number;
  /** @throws MalformedError for a message that no node has sent */
  onMessage(node: string, body: Uint8Array): void;
  /** A node is alive, and has published as many changes as `version` says. */
  onBeat(node: string, version: number): void;
  onNodeGone(node: string): void;
  /** The `PubSub` closes. */
  onClose(): void;
}

/** How long {@link Nodes.close} waits until the goodbye is settled, in milliseconds. */
const GOODBYE_TIMEOUT = 1_000;

export class Nodes implements EngineConnectionOwner, LiveNodesOwner {
  private readonly owner: NodesOwner;
  private readonly node: string;
  private readonly nodeBytes: Uint8Array;
  private readonly clock: Clock;
  private readonly connection: EngineConnection;
  private readonly outbox: Outbox;
  private readonly interest: Interest;
  private readonly liveNodes: LiveNodes;
  private readonly received = new ReceivedNumbers();
  private readonly replicas = new Map<string, PresenceReplica>();
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
    this.connection = new EngineConnection(backplane, this, { node, clock, probeInterval: probe, maxUnacknowledged });
    this.outbox = new Outbox(this.nodeBytes, this.connection, new SentNumbers(), clock);
    this.interest = new Interest(this.connection, clock, linger, (channel) =>
      this.received.leaveChannel(channel, clock.now()),
    );
    this.liveNodes = new LiveNodes(this, options);
    this.interest.hold(nodeChannel(node));
    this.interest.hold(ALL_NODES);
  }

  get status(): "up" | "away" | "closed" {
    return this.connection.status;
  }

  get isUp(): boolean {
    return this.connection.isUp;
  }

  get stats(): BackplaneStats {
    const { connection, outbox, interest, counters } = this;
    return {
      since: new Date(connection.since),
      nodes: [...this.liveNodes.nodes].length + 1,
      channels: interest.size,
      sentEnvelopes: outbox.envelopes,
      sentMessages: outbox.entries,
      sentBytes: outbox.bytes,
      receivedEnvelopes: counters.envelopes,
      receivedMessages: counters.entries,
      receivedBytes: counters.bytes,
      unacknowledgedBytes: connection.unsettled,
      rejected: connection.rejected,
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
      probes: connection.probes,
      probeRoundTrip: connection.roundTrip,
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
    // While the engine is away, an empty list does not reach other nodes, either.
    let sent = this.isUp;
    for (const message of messageList(messages))
      sent = this.outbox.add(channel, typeOf(message), message.data ?? "", options) && sent;
    return sent;
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
    return this.outbox.add(nodeChannel(node), type, prefixed(address, rest), PLAIN);
  }

  // --- nodes

  broadcastToNodes(info: IoData): boolean {
    return this.outbox.add(ALL_NODES, EntryType.info, info, PLAIN);
  }

  addReplica(name: string, replica: PresenceReplica): void {
    this.replicas.set(name, replica);
    // So that the replica learns of the other nodes immediately.
    if (this.isUp && !this.isClosed) this.sendBeat(EntryType.hello);
  }

  /** Resolves when what other nodes send to all nodes arrives here; with `false` if the engine is away. */
  readyForNodes(): Promise<boolean> {
    return this.interest.ready(ALL_NODES);
  }

  /** Sends a message of the presence `name` to one node, or to all. */
  sendToNodes(name: string, body: IoData, node?: string): boolean {
    const channel = node === undefined ? ALL_NODES : nodeChannel(node);
    return this.outbox.add(channel, EntryType.presence, prefixed(name, body), PLAIN);
  }

  sendBeat(type: EntryType = EntryType.beat, channel = ALL_NODES): void {
    const versions = Array.from(this.replicas, ([name, { version }]): Version => [name, version]);
    this.outbox.add(channel, type, writeVersions(versions), PLAIN);
  }

  onNodeGone(node: string): void {
    for (const replica of this.replicas.values()) replica.onNodeGone(node);
  }

  onNodeForgotten(node: string): void {
    this.received.forgetNode(node);
  }

  /** Says goodbye, and closes the connection to the engine. */
  async close(): Promise<void> {
    const { connection, outbox } = this;
    this.isClosed = true;
    this.liveNodes.close();
    this.interest.close();
    if (connection.isUp) {
      outbox.add(ALL_NODES, EntryType.goodbye, "", PLAIN);
      outbox.flush();
      if (connection.unsettled > 0) await this.settlement();
    }
    await connection.close();
  }

  private settlement(): Promise<void> {
    const { connection, clock } = this;
    return new Promise((resolve) => {
      const timeout = { slot: 0, tick: () => resolve() };
      clock.schedule(timeout, clock.now() + GOODBYE_TIMEOUT);
      connection.onSettled = () => {
        clock.cancel(timeout);
        resolve();
      };
    });
  }

  // --- what the connection reports. While this node says goodbye, it may still report something: nothing is done then

  probe(id: number): Uint8Array {
    return this.outbox.single(EntryType.probe, writeProbe(id));
  }

  onUp(): void {
    if (this.isClosed) return;
    this.liveNodes.start();
    this.sendBeat(EntryType.hello);
    this.owner.onUp();
  }

  onAway(cause: unknown, status: "away" | "closed"): void {
    if (this.isClosed) return;
    this.interest.onAway();
    this.liveNodes.pause();
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
  private onEnvelope(channel: string, envelope: Envelope, size: number): void {
    const { node, entries } = envelope;
    const topic = topicOf(channel);
    if (topic === undefined) {
      const received = entries.map(readNodeEntry);
      const duplicates = this.accept(channel, topic, envelope, size);
      for (const entry of received.slice(duplicates)) this.onNodeEntry(channel, node, entry);
    } else {
      const received = this.owner.hasMembers(topic) ? entries.map(readTopicEntry) : [];
      const duplicates = this.accept(channel, topic, envelope, size);
      this.passOn(topic, node, received.slice(duplicates));
    }
  }

  /**
   * Counts an envelope, and reports a gap before it.
   *
   * @returns how many entries at its start were received before
   */
  private accept(
    channel: string,
    topic: string | undefined,
    { node, epoch, first, lost, entries }: Envelope,
    size: number,
  ): number {
    const { counters } = this;
    counters.envelopes++;
    counters.entries += entries.length;
    counters.bytes += size;
    // A probe. This node is none of the others, and lost probes are nothing that was missed.
    if (node === this.node) return 0;
    this.liveNodes.heard(node);
    const { duplicates, missed } = this.received.accept(channel, node, epoch, first, entries.length, lost);
    counters.duplicates += duplicates;
    if (missed > 0) {
      counters.gaps++;
      counters.missed += missed;
      if (topic !== undefined) this.owner.onRemoteGap({ topic, cause: "publisher", missed, node });
    }
    return duplicates;
  }

  /** Passes on what was received in the channel of a topic, consecutive messages together. */
  private passOn(topic: string, node: string, received: readonly TopicEntry[]): void {
    const { owner } = this;
    // A listener may close this node.
    for (let i = 0; i < received.length && !this.isClosed; ) {
      const entry = received[i++]!;
      if (entry.type === "info") owner.broadcastHere(topic, entry.info, entry.options);
      if (entry.type === "unknown") {
        this.unknownVersion++;
        owner.onRemoteGap({ topic, cause: "publisher", missed: 1, node });
      }
      if (entry.type === "stop") owner.stopHere(topic, entry.request, entry.options);
      if (entry.type !== "message") continue;
      const messages = [entry.message];
      for (; i < received.length; i++) {
        const next = received[i]!;
        if (next.type !== "message" || !isSentAlike(entry.options, next.options)) break;
        messages.push(next.message);
      }
      owner.publishHere(topic, messages, entry.options);
    }
  }

  private onNodeEntry(channel: string, node: string, entry: NodeEntry): void {
    const { owner, liveNodes, replicas } = this;
    // A listener may have closed this node.
    if (this.isClosed) return;
    switch (entry.type) {
      case "info":
        if (channel === ALL_NODES) owner.onNodesInfo(entry.info, node);
        break;
      case "addressInfo":
        owner.sendHere(entry.address, entry.info);
        break;
      case "addressStop":
        owner.stopAddressHere(entry.address, entry.request);
        break;
      case "hello":
      case "beat":
        liveNodes.alive(node);
        // So that a node that has just started learns of this one at once. To it alone: when an engine comes back, all
        // nodes say hello. So does this one, if it is not up yet.
        if (entry.type === "hello" && this.isUp) this.sendBeat(EntryType.beat, nodeChannel(node));
        for (const [name, version] of entry.versions) replicas.get(name)?.onBeat(node, version);
        break;
      case "goodbye":
        liveNodes.markGone(node);
        break;
      case "probe":
        if (node === this.node) this.connection.probeReturned(entry.id);
        break;
      case "presence":
        // A message of a node that is gone may be late.
        if (liveNodes.has(node)) this.guard(() => replicas.get(entry.name)?.onMessage(node, entry.body));
    }
  }
}
