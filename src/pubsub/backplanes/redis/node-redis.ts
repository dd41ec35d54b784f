/** The ports for the clients of node-redis. */
import { Buffer } from "node:buffer";
import { systemTimers } from "../../../adapters/shared/timers.ts";
import { type Emitter, listen } from "./emitter.ts";
import {
  choose,
  LONGEST_DELAY,
  plainView,
  type RedisNode,
  type RedisPort,
  type Subscriber,
  type SubscriberEvents,
  type WatchEvents,
} from "./port.ts";

type Command = readonly (string | Buffer)[];

interface CommandOptions {
  readonly timeout: undefined;
}

/** `createClient` */
export interface Client extends Emitter {
  readonly isOpen: boolean;
  readonly isReady: boolean;
  readonly options?: { readonly socket?: { readonly reconnectStrategy?: unknown } };
  connect(): Promise<unknown>;
  destroy(): void;
  duplicate(overrides: object): Client;
  sendCommand(args: Command, options: CommandOptions): Promise<unknown>;
  subscribe(channels: string[], listener: (message: Buffer, channel: Buffer) => void, buffers: true): Promise<unknown>;
  unsubscribe(
    channels: string[],
    listener: (message: Buffer, channel: Buffer) => void,
    buffers: true,
  ): Promise<unknown>;
}

interface ClusterNode {
  /** Exists once the cluster has connected to the node. */
  readonly client?: Client;
}

/** `createCluster` */
export interface Cluster extends Emitter {
  readonly isOpen: boolean;
  readonly masters: readonly ClusterNode[];
  readonly replicas: readonly ClusterNode[];
  nodeClient(node: ClusterNode): Promise<Client>;
}

/** `createSentinel` */
export interface Sentinel extends Emitter {
  readonly isOpen: boolean;
  readonly isReady: boolean;
  _execute<T>(isReadonly: boolean, run: (client: Client) => Promise<T>): Promise<T>;
}

const ADVICE = "set socket.reconnectStrategy: (retries) => Math.min(50 * retries, 1000)";

/**
 * By default, node-redis makes an `AbortSignal.timeout` for each command, which takes ten times as long as the rest: 17
 * instead of 1.9 µs.
 */
const NO_TIMEOUT: CommandOptions = { timeout: undefined };

const noop = (): void => undefined;

/** A connection of a client, for subscriptions alone. */
const openSubscriber = (client: Client, { message, lost }: SubscriberEvents): Subscriber => {
  const own = client.duplicate({
    socket: { ...client.options?.socket, reconnectStrategy: false },
    // These are for the connection of the application's commands.
    clientSideCache: undefined,
    emitInvalidate: undefined,
    maintNotifications: "disabled",
  });
  let [connected, ended] = [false, false];
  const destroy = (): void => {
    try {
      own.destroy();
    } catch {
      // It was closed already.
    }
  };
  listen(own, {
    error: (error: unknown) => lost(error),
    end: () => lost(new Error("the connection to Redis is lost")),
    connect: () => {
      connected = true;
      if (ended) destroy();
    },
  });
  const listener = (bytes: Buffer, channel: Buffer): void => {
    if (!ended) message(channel.toString(), plainView(bytes));
  };
  return {
    ready: own.connect(),
    subscribe: (channels) => own.subscribe(channels, listener, true),
    unsubscribe: (channels) => own.unsubscribe(channels, listener, true),
    end: () => {
      ended = true;
      // Before it is connected, `destroy` would leave a connection behind: the socket is not known to the client yet.
      if (connected) destroy();
    },
  };
};

class Node implements RedisNode {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  get ready(): boolean {
    return this.#client.isReady;
  }

  publish(channel: string, bytes: Uint8Array): Promise<unknown> {
    const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return this.#client.sendCommand(["PUBLISH", channel, message], NO_TIMEOUT);
  }

  watch({ changed, weak }: WatchEvents): () => void {
    let cause: unknown;
    let failed = 0;
    return listen(this.#client, {
      // Without a listener, it would end the process.
      error: (error: unknown) => {
        cause = error;
        failed = systemTimers.now();
        changed(error);
      },
      ready: () => {
        cause = undefined;
        changed();
      },
      reconnecting: () => {
        const delay = Math.round(systemTimers.now() - failed);
        if (cause !== undefined && delay > LONGEST_DELAY) {
          weak(`the client waits for ${delay} ms before it connects to Redis again: ${ADVICE}`);
        }
        changed(cause);
      },
      end: () => changed(cause ?? new Error("the client was closed")),
    });
  }

  open(events: SubscriberEvents): Subscriber {
    return openSubscriber(this.#client, events);
  }
}

/** The objects that represent clients. */
const createNodes = (): ((client: Client) => Node) => {
  const nodes = new WeakMap<Client, Node>();
  return (client) => {
    const node = nodes.get(client) ?? new Node(client);
    nodes.set(client, node);
    return node;
  };
};

const weaknessOf = (strategy: unknown): string | undefined => {
  if (strategy === false) return `the client does not connect to Redis again when it is disconnected: ${ADVICE}`;
  if (typeof strategy !== "number" || strategy <= LONGEST_DELAY) return undefined;
  return `the client waits for ${strategy} ms before it connects to Redis again: ${ADVICE}`;
};

/** The port of a client of one server. */
export const clientPort = (client: Client): RedisPort => {
  const node = new Node(client);
  return {
    get closed() {
      return !client.isOpen;
    },
    get weakness() {
      return weaknessOf(client.options?.socket?.reconnectStrategy);
    },
    node: () => node,
    watch: () => noop,
  };
};

/** The port of a client of a cluster. */
export const clusterPort = (cluster: Cluster): RedisPort => {
  const nodeOf = createNodes();
  return {
    get closed() {
      return !cluster.isOpen;
    },
    weakness: undefined,
    node: (except) => {
      const clients = [...cluster.masters, ...cluster.replicas].flatMap((node) => {
        // With the option `minimizeConnections`, clients are made when they are needed.
        if (node.client === undefined && cluster.isOpen) cluster.nodeClient(node).catch(noop);
        return node.client ?? [];
      });
      return choose(clients.map(nodeOf), except);
    },
    watch: ({ changed }) => listen(cluster, { error: (error: unknown) => changed(error) }),
  };
};

/** The port of a client that sentinels tell which server is the primary. */
export const sentinelPort = (sentinel: Sentinel): RedisPort => {
  const nodeOf = createNodes();
  let primary: Client | undefined;
  let asked = false;
  /** The client has no property for its connection to the primary. */
  const ask = (): void => {
    if (asked || !sentinel.isReady) return;
    asked = true;
    sentinel
      ._execute(false, async (client) => {
        primary = client;
      })
      .catch(noop)
      .finally(() => {
        asked = false;
      });
  };
  return {
    get closed() {
      return !sentinel.isOpen;
    },
    weakness: undefined,
    node: () => {
      if (primary?.isReady !== true) ask();
      return primary === undefined ? undefined : nodeOf(primary);
    },
    watch: ({ changed }) =>
      listen(sentinel, {
        error: (error: unknown) => changed(error),
        end: () => changed(new Error("the client was closed")),
        ready: () => changed(),
        // Another server is the primary now: it is asked for again.
        "topology-change": () => {
          primary = undefined;
          ask();
        },
      }),
  };
};
