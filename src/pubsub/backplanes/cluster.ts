/**
 * `websock-js/pubsub/cluster`: a backplane between the workers of `node:cluster`, through their primary process. No
 * engine is needed.
 */

import { Buffer } from "node:buffer";
import cluster, { type Worker } from "node:cluster";
import process from "node:process";
import { later } from "../../adapters/shared/timers.ts";
import { codedError } from "../../error-codes.ts";
import { checkKeys } from "../../known-keys.ts";
import type { Backplane, BackplaneLink } from "../backplane.ts";
import { Broker, type BrokerOptions, checkedBacklog, type Peer } from "./broker.ts";
import { BrokerConnection } from "./broker-connection.ts";
import type { FromBroker, Port, PortEvents, ToBroker } from "./broker-messages.ts";
import { Timer } from "./timer.ts";
import { bufferView } from "./views.ts";

export type { BrokerOptions } from "./broker.ts";

/** Of the primary process. */
let broker: Broker | undefined;

/**
 * Lets the workers of this process use {@link clusterBackplane}. Call it once in the primary process, before or after
 * the workers are forked. Both values of the option `serialization` of `cluster.setupPrimary` work: `"advanced"` takes
 * less CPU where much is published in an event-loop tick, `"json"`, the default, where little is.
 *
 * ```ts
 * import cluster from "node:cluster";
 * import { clusterBackplane, setupPrimary } from "websock-js/pubsub/cluster";
 *
 * if (cluster.isPrimary) {
 *   cluster.setupPrimary({ serialization: "advanced" });
 *   setupPrimary();
 *   for (let i = 0; i < availableParallelism(); i++) cluster.fork();
 * } else {
 *   const pubsub = new PubSub({ backplane: clusterBackplane() });
 * }
 * ```
 *
 * Workers and primary exchange messages with the single key `"websock-js"`. Other listeners for the event `message` of
 * a worker or a process should ignore them, as they are ignored if they come from elsewhere.
 *
 * @param options how much may wait for a worker that reads slowly
 * @throws TypeError for an unknown or invalid option
 * @throws Error in a worker, and if it was called before
 */
export const setupPrimary = (options: BrokerOptions = {}): void => {
  checkKeys(options, ["maxBacklog"]);
  const maxBacklog = checkedBacklog(options);
  if (!cluster.isPrimary)
    throw codedError("WEBSOCK_BACKPLANE_SETUP", "setupPrimary() was called in a worker of node:cluster");
  if (broker !== undefined) throw codedError("WEBSOCK_BACKPLANE_SETUP", "setupPrimary() was called before");
  const created = new Broker(maxBacklog);
  broker = created;

  /** The peers of each worker, by their nodes: each `PubSub` of a worker is one. */
  const workers = new Map<number, Map<string, Peer>>();
  cluster.on("message", (worker, wrapped: unknown) => {
    const message = unwrap<ToBroker>(wrapped);
    if (message?.content === undefined) return;
    const { node, content } = message;
    let peers = workers.get(worker.id);
    let peer = peers?.get(node);
    if (content.kind === "join" && peer === undefined) {
      peer = created.connect(new WorkerPort(worker, node, content));
      if (peers === undefined) workers.set(worker.id, (peers = new Map()));
      peers.set(node, peer);
    }
    peer?.receive(content);
    if (content.kind === "leave") peers?.delete(node);
  });
  const forget = ({ id }: Worker): void => {
    for (const peer of workers.get(id)?.values() ?? []) peer.leave();
    workers.delete(id);
  };
  cluster.on("disconnect", forget);
  cluster.on("exit", forget);
  for (const worker of Object.values(cluster.workers ?? {})) {
    if (worker?.isConnected()) worker.send({ [MARK]: {} }, () => undefined);
  }
};

/**
 * Creates the backplane of a worker of `node:cluster`, or of the primary process itself if that takes part.
 *
 * Call {@link setupPrimary} in the primary process. A process that has another manager as its primary, such as one in
 * the cluster mode of PM2, cannot use it.
 *
 * ```ts
 * const pubsub = new PubSub({ backplane: clusterBackplane() });
 * ```
 *
 * @throws Error in a process that is no worker of `node:cluster`, and in a primary process before `setupPrimary()`
 */
export const clusterBackplane = (): Backplane => {
  if (cluster.isWorker && typeof process.send === "function") {
    return { connect: (link) => new BrokerConnection(link, (events) => new PrimaryPort(link, events)) };
  }
  if (broker === undefined) {
    throw codedError(
      "WEBSOCK_BACKPLANE_SETUP",
      "this process is no worker of node:cluster; in the primary process, call setupPrimary() before",
    );
  }
  const local = broker;
  return { connect: (link) => new BrokerConnection(link, (events) => new LocalPort(local, events)) };
};

/** The only key of our messages. */
const MARK = "websock-js";

interface Wrapped<Message> {
  /** Which `PubSub` of the worker it is from or for. */
  readonly node: string;
  readonly content: Message;
}

/** The primary process asks all nodes of a worker to join. */
interface JoinRequest {
  readonly node?: undefined;
  readonly content?: undefined;
}

const unwrap = <Message>(value: unknown): Wrapped<Message> | JoinRequest | undefined => {
  if (!isObject(value) || !isObject(value[MARK])) return undefined;
  const { node, content } = value[MARK];
  if (node === undefined) return {};
  if (typeof node !== "string" || !isObject(content)) return undefined;
  if (content.kind !== "messages" || typeof content.bytes !== "string") return { node, content: content as Message };
  // Not the memory that Buffer shares among small buffers.
  const bytes = new Uint8Array(Buffer.from(content.bytes, "base64"));
  return { node, content: { ...content, bytes } as Message };
};

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

/** @param isBinary whether bytes arrive as such; with the default serialization, JSON, they do not */
const wrap = (node: string, content: FromBroker | ToBroker, isBinary: boolean): object => {
  if (isBinary || content.kind !== "messages") return { [MARK]: { node, content } };
  return { [MARK]: { node, content: { ...content, bytes: bufferView(content.bytes).toString("base64") } } };
};

/** From the primary process to one node of a worker. */
class WorkerPort implements Port<FromBroker> {
  private readonly worker: Worker;
  private readonly node: string;
  private readonly isBinary: boolean;

  constructor(worker: Worker, node: string, { binary }: { readonly binary: unknown }) {
    this.worker = worker;
    this.node = node;
    this.isBinary = binary instanceof Uint8Array;
  }

  send(message: FromBroker, taken?: (ok: boolean) => void): void {
    if (!this.worker.isConnected()) return;
    // Without a callback, an error would be emitted by the worker.
    this.worker.send(wrap(this.node, message, this.isBinary), (error: Error | null) => taken?.(!error));
  }

  close(): void {}
}

/** How long the primary process may take to answer before a warning. */
const ANSWER_MS = 10_000;

/** From a node of a worker to the primary process. */
class PrimaryPort implements Port<ToBroker> {
  private readonly node: string;
  private readonly events: PortEvents<FromBroker>;
  private readonly unanswered = new Timer();
  /** The message that the primary process has not answered. */
  private joining: ToBroker | undefined;
  private isBinary = false;

  constructor(link: BackplaneLink, events: PortEvents<FromBroker>) {
    this.node = link.node;
    this.events = events;
    process.on("message", this.onMessage);
    process.on("disconnect", this.onDisconnect);
    if (!process.connected) later(this.onDisconnect);
    const warn = (): void => link.warn("the primary process does not answer: it has to call setupPrimary()");
    this.unanswered.start(warn, ANSWER_MS);
  }

  send(message: ToBroker, taken?: (ok: boolean) => void): void {
    if (message.kind === "join") this.joining = message;
    if (!process.connected) return;
    // Without a callback, an error would be emitted by the process. It is called when the operating system has taken
    // the message: not while the primary process is too busy to read.
    process.send!(wrap(this.node, message, this.isBinary), undefined, undefined, (error) => taken?.(!error));
  }

  close(): void {
    this.unanswered.stop();
    process.off("message", this.onMessage);
    process.off("disconnect", this.onDisconnect);
  }

  private readonly onMessage = (value: unknown): void => {
    const message = unwrap<FromBroker>(value);
    if (message === undefined) return;
    const { node, content } = message;
    if (content === undefined) {
      // setupPrimary() was called after this process was forked.
      if (this.joining !== undefined) this.send(this.joining);
    } else if (node === this.node) {
      if (content.kind === "welcome") this.answered(content);
      this.events.message(content);
    }
  };

  private answered({ binary }: { readonly binary: unknown }): void {
    this.unanswered.stop();
    this.joining = undefined;
    this.isBinary = binary instanceof Uint8Array;
  }

  private readonly onDisconnect = (): void => {
    this.events.closed(codedError("WEBSOCK_ENGINE_AWAY", "the IPC channel to the primary process is closed"));
  };
}

/** From a node of the primary process to the broker, which is there too. */
class LocalPort implements Port<ToBroker> {
  private readonly peer: Peer;

  constructor(broker: Broker, events: PortEvents<FromBroker>) {
    this.peer = broker.connect({
      send: (message, taken) =>
        later(() => {
          taken?.(true);
          events.message(message);
        }),
      close: () => undefined,
    });
  }

  send(message: ToBroker, taken?: (ok: boolean) => void): void {
    later(() => {
      taken?.(true);
      this.peer.receive(message);
    });
  }

  close(): void {}
}
