/** The drivers for the clients of node-redis. */
import type { Buffer } from "node:buffer";
import { systemTimers } from "../../../adapters/shared/timers.ts";
import { bufferView, plainView } from "../views.ts";
import {
  choose,
  clientClosed,
  connectionLost,
  LONGEST_DELAY,
  noop,
  noRetryWarning,
  type RedisDriver,
  type RedisServer,
  type Subscriber,
  type SubscriberEvents,
  serversByClient,
  slowRetryWarning,
  type WatchEvents,
} from "./driver.ts";
import { type Emitter, listen } from "./emitter.ts";

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
  /** Exists once the cluster has connected to this server. */
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
    end: () => lost(connectionLost()),
    connect: () => {
      connected = true;
      if (ended) destroy();
    },
  });
  const listener = (bytes: Buffer, channel: Buffer): void => {
    if (!ended) message(channel.toString(), plainView(bytes));
  };
  /**
   * Sends a command when the one before is confirmed. If a channel is removed before its subscription is confirmed, the
   * client regards itself as subscribed once the confirmation arrives, and does not send a later subscription to it.
   */
  let confirmed: Promise<unknown> = Promise.resolve();
  const next = (send: () => Promise<unknown>): Promise<unknown> => {
    confirmed = confirmed.then(send);
    return confirmed;
  };
  return {
    ready: own.connect(),
    subscribe: (channels) => next(() => own.subscribe(channels, listener, true)),
    unsubscribe: (channels) => next(() => own.unsubscribe(channels, listener, true)),
    end: () => {
      ended = true;
      // Before it is connected, `destroy` would leave a connection behind: the socket is not known to the client yet.
      if (connected) destroy();
    },
  };
};

class Server implements RedisServer {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  get ready(): boolean {
    return this.#client.isReady;
  }

  publish(channel: string, bytes: Uint8Array): Promise<unknown> {
    return this.#client.sendCommand(["PUBLISH", channel, bufferView(bytes)], NO_TIMEOUT);
  }

  watch({ changed, warn }: WatchEvents): () => void {
    let cause: unknown;
    let failedAt = 0;
    return listen(this.#client, {
      // Without a listener, it would end the process.
      error: (error: unknown) => {
        cause = error;
        failedAt = systemTimers.now();
        changed(error);
      },
      ready: () => {
        cause = undefined;
        changed();
      },
      reconnecting: () => {
        const delay = Math.round(systemTimers.now() - failedAt);
        if (cause !== undefined && delay > LONGEST_DELAY) warn(slowRetryWarning(delay, ADVICE));
        changed(cause);
      },
      end: () => changed(cause ?? clientClosed()),
    });
  }

  open(events: SubscriberEvents): Subscriber {
    return openSubscriber(this.#client, events);
  }
}

const warningOf = (strategy: unknown): string | undefined => {
  if (strategy === false) return noRetryWarning(ADVICE);
  return typeof strategy === "number" && strategy > LONGEST_DELAY ? slowRetryWarning(strategy, ADVICE) : undefined;
};

/** The driver of a client of one server. */
export const clientDriver = (client: Client): RedisDriver => {
  const server = new Server(client);
  return {
    get closed() {
      return !client.isOpen;
    },
    opensSilently: false,
    get settingsWarning() {
      return warningOf(client.options?.socket?.reconnectStrategy);
    },
    server: () => server,
    watch: () => noop,
  };
};

/** The driver of a client of a cluster. */
export const clusterDriver = (cluster: Cluster): RedisDriver => {
  const serverOf = serversByClient((client: Client) => new Server(client));
  return {
    get closed() {
      return !cluster.isOpen;
    },
    // Version 5.0 emits nothing when it connects.
    opensSilently: true,
    settingsWarning: undefined,
    server: (except) => {
      const clients = [...cluster.masters, ...cluster.replicas].flatMap((node) => {
        // With the option `minimizeConnections`, clients are made when they are needed.
        if (node.client === undefined && cluster.isOpen) cluster.nodeClient(node).catch(noop);
        return node.client ?? [];
      });
      return choose(clients.map(serverOf), except);
    },
    watch: ({ changed }) => listen(cluster, { error: (error: unknown) => changed(error) }),
  };
};

/** The driver of a client that sentinels tell which server is the primary. */
export const sentinelDriver = (sentinel: Sentinel): RedisDriver => {
  const serverOf = serversByClient((client: Client) => new Server(client));
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
    // Version 5 emits nothing when it connects.
    opensSilently: true,
    settingsWarning: undefined,
    server: () => {
      if (primary?.isReady !== true) ask();
      return primary === undefined ? undefined : serverOf(primary);
    },
    watch: ({ changed }) =>
      listen(sentinel, {
        error: (error: unknown) => changed(error),
        end: () => changed(clientClosed()),
        ready: () => changed(),
        // Another server is the primary now: it is asked for again.
        "topology-change": () => {
          primary = undefined;
          ask();
        },
      }),
  };
};
