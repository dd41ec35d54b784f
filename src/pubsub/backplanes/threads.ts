/**
 * `websock-js/pubsub/threads`: a backplane between the threads of a process, over the `MessagePort`s of
 * `node:worker_threads`. No engine is needed.
 */

import { MessageChannel, MessagePort } from "node:worker_threads";
import { later } from "../../adapters/shared/timers.ts";
import { codedError, codedTypeError } from "../../error-codes.ts";
import { checkKeys, show } from "../../known-keys.ts";
import type { Backplane } from "../backplane.ts";
import { Broker, type BrokerOptions, checkedBacklog } from "./broker.ts";
import { BrokerConnection } from "./broker-connection.ts";
import type { FromBroker, Port, PortEvents, ToBroker } from "./broker-messages.ts";

export type { BrokerOptions } from "./broker.ts";

/**
 * Connects the threads of a process. Create one, usually in the main thread, and a port for each `PubSub`.
 *
 * ```ts
 * // main thread
 * const hub = new ThreadHub();
 * for (let i = 0; i < 4; i++) {
 *   const port = hub.connect();
 *   new Worker(new URL("./worker.js", import.meta.url), { workerData: { port }, transferList: [port] });
 * }
 * const pubsub = new PubSub({ backplane: threadsBackplane(hub.connect()) }); // if it takes part itself
 * ```
 *
 * ```ts
 * // worker.js
 * const pubsub = new PubSub({ backplane: threadsBackplane(workerData.port) });
 * ```
 *
 * A thread that ends is forgotten. Neither the hub nor its ports keep the process alive.
 */
export class ThreadHub {
  private readonly broker: Broker;
  private readonly ports = new Set<Port<FromBroker>>();

  /** @throws TypeError for an unknown or invalid option */
  constructor(options: BrokerOptions = {}) {
    checkKeys(options, ["maxBacklog"]);
    this.broker = new Broker(checkedBacklog(options));
  }

  /**
   * Creates the port of one `PubSub`, to be passed to {@link threadsBackplane}, in this thread or in another one, to
   * which it is transferred.
   */
  connect(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    const port: Port<FromBroker> = new ThreadPort<ToBroker, FromBroker>(port1, {
      message: (message) => peer.receive(message),
      closed: () => {
        peer.leave();
        this.ports.delete(port);
      },
    });
    const peer = this.broker.connect(port);
    this.ports.add(port);
    return port2;
  }

  /** Closes all ports: the nodes are away forever. */
  close(): void {
    for (const port of this.ports) port.close();
  }
}

/**
 * Creates the backplane of a thread.
 *
 * ```ts
 * const pubsub = new PubSub({ backplane: threadsBackplane(workerData.port) });
 * ```
 *
 * @param port what `connect()` of a {@link ThreadHub} has returned. It serves one `PubSub`, which closes it at its end
 * @throws TypeError if it is no `MessagePort`
 */
export const threadsBackplane = (port: MessagePort): Backplane => {
  if (!(port instanceof MessagePort)) {
    throw codedTypeError(
      "WEBSOCK_INVALID_ARGUMENT",
      `threadsBackplane() needs a MessagePort, created by connect() of a ThreadHub, not ${show(port)}`,
    );
  }
  let isUsed = false;
  return {
    connect: (link) => {
      if (isUsed)
        throw codedError(
          "WEBSOCK_BACKPLANE_SETUP",
          "a port serves one PubSub: create one for each with connect() of the ThreadHub",
        );
      isUsed = true;
      return new BrokerConnection(link, (events) => new ThreadPort<FromBroker, ToBroker>(port, events));
    },
  };
};

/** Tells the other side how many batches were taken: a port itself does not tell whether its messages were received. */
interface Taken {
  readonly kind: "taken";
  readonly count: number;
}

type Message = FromBroker | ToBroker;

class ThreadPort<In extends Message, Out extends Message> implements Port<Out> {
  private readonly port: MessagePort;
  private readonly events: PortEvents<In>;
  /** Of the batches that the other side has not taken. */
  private readonly sent: (((ok: boolean) => void) | undefined)[] = [];
  /** The batches of this event-loop tick. */
  private taken = 0;
  private isClosed = false;

  constructor(port: MessagePort, events: PortEvents<In>) {
    this.port = port;
    this.events = events;
    port.on("message", this.onMessage);
    port.on("close", this.onClose);
    // A listener for messages keeps the thread alive, unless this is called after it was added.
    port.unref();
  }

  send(message: Out, taken?: (ok: boolean) => void): void {
    if (this.isClosed) return;
    if (message.kind !== "messages") {
      this.port.postMessage(message);
      return;
    }
    this.sent.push(taken);
    this.port.postMessage(message, [message.bytes.buffer as ArrayBuffer]);
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.port.off("message", this.onMessage);
    this.port.close();
  }

  private readonly onMessage = (message: In | Taken): void => {
    switch (message.kind) {
      case "taken":
        for (const taken of this.sent.splice(0, message.count)) taken?.(true);
        return;
      case "messages":
        if (this.taken++ === 0) later(() => this.acknowledge());
    }
    this.events.message(message);
  };

  private acknowledge(): void {
    const count = this.taken;
    this.taken = 0;
    if (!this.isClosed) this.port.postMessage({ kind: "taken", count } satisfies Taken);
  }

  private readonly onClose = (): void => {
    this.isClosed = true;
    this.port.off("message", this.onMessage);
    this.port.off("close", this.onClose);
    this.events.closed(
      codedError("WEBSOCK_ENGINE_AWAY", "the port is closed: the thread of the hub has ended, or the hub was closed"),
    );
  };
}
