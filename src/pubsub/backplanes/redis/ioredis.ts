/** The drivers for the clients of ioredis and iovalkey. */
import type { Buffer } from "node:buffer";
import { later } from "../../../adapters/shared/timers.ts";
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

type RetryStrategy = (times: number) => unknown;

interface Options {
  readonly retryStrategy?: RetryStrategy | null;
}

/** `Redis`: one server, with or without sentinels; or a server of a `Cluster`. */
export interface Redis extends Emitter {
  readonly status: string;
  readonly options: Options;
  /** Exists while connected. */
  readonly stream?: { destroy(): void };
  connect(): Promise<unknown>;
  disconnect(): void;
  duplicate(override: object): Redis;
  publish(channel: string, message: Buffer): Promise<unknown>;
  subscribe(...channels: string[]): Promise<unknown>;
  unsubscribe(...channels: string[]): Promise<unknown>;
}

/** `Cluster` */
export interface Cluster extends Emitter {
  readonly status: string;
  readonly options: { readonly clusterRetryStrategy?: RetryStrategy | null };
  connect(): Promise<unknown>;
  nodes(role: "all" | "master"): Redis[];
}

const ADVICE = "set retryStrategy: (times) => Math.min(50 * times, 1000)";
const CLUSTER_ADVICE = "set clusterRetryStrategy: (times) => Math.min(50 * times, 1000)";

/**
 * Connects a client with the option `lazyConnect`, as its first command would. It is done in the next tick: the
 * application may call `connect`, which would reject.
 */
const connectLazy = (client: Redis | Cluster): void =>
  later(() => {
    if (client.status === "wait") client.connect().catch(noop);
  });

const watch = (client: Redis | Cluster, advice: string, { changed, warn }: WatchEvents): (() => void) => {
  let cause: unknown;
  return listen(client, {
    error: (error: unknown) => {
      cause = error;
      changed(error);
    },
    ready: () => {
      cause = undefined;
      changed();
    },
    // When it will not connect again, its status is "end" before "close" is emitted.
    close: () => changed(cause ?? (client.status === "end" ? clientClosed() : connectionLost())),
    end: () => changed(cause ?? clientClosed()),
    reconnecting: (delay: unknown) => {
      if (typeof delay === "number" && delay > LONGEST_DELAY) warn(slowRetryWarning(delay, advice));
    },
  });
};

/** A connection of a client, for subscriptions alone. */
const openSubscriber = (client: Redis, { message, lost }: SubscriberEvents): Subscriber => {
  const own = client.duplicate({
    lazyConnect: true,
    retryStrategy: null,
    sentinelRetryStrategy: null,
    reconnectOnError: null,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    enableAutoPipelining: false,
    commandTimeout: undefined,
    socketTimeout: undefined,
    monitor: false,
  });
  let cause: unknown;
  listen(own, {
    error: (error: unknown) => {
      cause = error;
    },
    close: () => lost(cause ?? connectionLost()),
    end: () => lost(cause ?? connectionLost()),
    messageBuffer: (channel: Buffer, bytes: Buffer) => message(channel.toString(), plainView(bytes)),
  });
  return {
    ready: own.connect().catch((error) => {
      throw cause ?? error;
    }),
    subscribe: (channels) => own.subscribe(...channels),
    unsubscribe: (channels) => own.unsubscribe(...channels),
    end: () => {
      // `disconnect` would start a timer of two seconds.
      if (own.status === "end") return;
      own.disconnect();
      // Otherwise it waits until the server has closed the connection, too.
      own.stream?.destroy();
    },
  };
};

class Server implements RedisServer {
  readonly #client: Redis;

  constructor(client: Redis) {
    this.#client = client;
  }

  get ready(): boolean {
    return this.#client.status === "ready";
  }

  publish(channel: string, bytes: Uint8Array): Promise<unknown> {
    return this.#client.publish(channel, bufferView(bytes));
  }

  watch(events: WatchEvents): () => void {
    connectLazy(this.#client);
    return watch(this.#client, ADVICE, events);
  }

  open(events: SubscriberEvents): Subscriber {
    return openSubscriber(this.#client, events);
  }
}

const warningOf = (strategy: unknown, advice: string): string | undefined =>
  typeof strategy === "function" ? undefined : noRetryWarning(advice);

/** The strategy that a client has by default may be called to learn its delays; the application's may not. */
const defaultWarning = (client: Redis): string | undefined => {
  const { retryStrategy } = client.options;
  // It does not connect.
  const { options } = client.duplicate({ retryStrategy: undefined, lazyConnect: true });
  if (typeof retryStrategy !== "function" || retryStrategy !== options.retryStrategy) return undefined;
  const delay = retryStrategy(100);
  if (typeof delay !== "number" || delay <= LONGEST_DELAY) return undefined;
  return slowRetryWarning(`up to ${delay}`, ADVICE);
};

/** The driver of a `Redis`. */
export const redisDriver = (client: Redis): RedisDriver => {
  const server = new Server(client);
  return {
    get closed() {
      return client.status === "end";
    },
    opensSilently: false,
    get settingsWarning() {
      return warningOf(client.options.retryStrategy, ADVICE) ?? defaultWarning(client);
    },
    server: () => server,
    watch: () => noop,
  };
};

/** The driver of a `Cluster`. */
export const clusterDriver = (cluster: Cluster): RedisDriver => {
  const serverOf = serversByClient((client: Redis) => new Server(client));
  return {
    get closed() {
      return cluster.status === "end";
    },
    opensSilently: false,
    get settingsWarning() {
      return warningOf(cluster.options.clusterRetryStrategy, CLUSTER_ADVICE);
    },
    server: (except) => {
      const clients = cluster.nodes("all").filter(({ status }) => status !== "end");
      return choose(clients.map(serverOf), except);
    },
    watch: (events) => {
      connectLazy(cluster);
      return watch(cluster, CLUSTER_ADVICE, events);
    },
  };
};
