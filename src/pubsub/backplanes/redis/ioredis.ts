/** The ports for the clients of ioredis and iovalkey. */
import { Buffer } from "node:buffer";
import { later } from "../../../adapters/shared/timers.ts";
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

type RetryStrategy = (times: number) => unknown;

interface Options {
  readonly retryStrategy?: RetryStrategy | null;
}

/** `Redis`: one server, with or without sentinels; or a node of a `Cluster`. */
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

const CLOSED = "the client was closed";

const noop = (): void => undefined;

/**
 * Connects a client with the option `lazyConnect`, as its first command would. It is done in the next tick: the
 * application may call `connect`, which would reject.
 */
const connectLazy = (client: Redis | Cluster): void =>
  later(() => {
    if (client.status === "wait") client.connect().catch(noop);
  });

const watch = (client: Redis | Cluster, advice: string, { changed, weak }: WatchEvents): (() => void) => {
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
    close: () => changed(cause ?? new Error(client.status === "end" ? CLOSED : "the connection to Redis is lost")),
    end: () => changed(cause ?? new Error(CLOSED)),
    reconnecting: (delay: unknown) => {
      if (typeof delay !== "number" || delay <= LONGEST_DELAY) return;
      weak(`the client waits for ${delay} ms before it connects to Redis again: ${advice}`);
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
    close: () => lost(cause ?? new Error("the connection to Redis is lost")),
    end: () => lost(cause ?? new Error("the connection to Redis is lost")),
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

class Node implements RedisNode {
  readonly #client: Redis;

  constructor(client: Redis) {
    this.#client = client;
  }

  get ready(): boolean {
    return this.#client.status === "ready";
  }

  publish(channel: string, bytes: Uint8Array): Promise<unknown> {
    return this.#client.publish(channel, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }

  watch(events: WatchEvents): () => void {
    connectLazy(this.#client);
    return watch(this.#client, ADVICE, events);
  }

  open(events: SubscriberEvents): Subscriber {
    return openSubscriber(this.#client, events);
  }
}

const weaknessOf = (strategy: unknown, advice: string): string | undefined =>
  typeof strategy === "function"
    ? undefined
    : `the client does not connect to Redis again when it is disconnected: ${advice}`;

/** The strategy that a client has by default may be called to learn its delays; the application's may not. */
const weaknessOfDefault = (client: Redis): string | undefined => {
  const { retryStrategy } = client.options;
  // It does not connect.
  const { options } = client.duplicate({ retryStrategy: undefined, lazyConnect: true });
  if (typeof retryStrategy !== "function" || retryStrategy !== options.retryStrategy) return undefined;
  const delay = retryStrategy(100);
  if (typeof delay !== "number" || delay <= LONGEST_DELAY) return undefined;
  return `the client waits for up to ${delay} ms before it connects to Redis again: ${ADVICE}`;
};

/** The port of a `Redis`. */
export const redisPort = (client: Redis): RedisPort => {
  const node = new Node(client);
  return {
    get closed() {
      return client.status === "end";
    },
    get weakness() {
      return weaknessOf(client.options.retryStrategy, ADVICE) ?? weaknessOfDefault(client);
    },
    node: () => node,
    watch: () => noop,
  };
};

/** The port of a `Cluster`. */
export const clusterPort = (cluster: Cluster): RedisPort => {
  const nodes = new WeakMap<Redis, Node>();
  const nodeOf = (client: Redis): Node => {
    const node = nodes.get(client) ?? new Node(client);
    nodes.set(client, node);
    return node;
  };
  return {
    get closed() {
      return cluster.status === "end";
    },
    get weakness() {
      return weaknessOf(cluster.options.clusterRetryStrategy, CLUSTER_ADVICE);
    },
    node: (except) => {
      const known = cluster
        .nodes("all")
        .filter(({ status }) => status !== "end")
        .map(nodeOf);
      return choose(known, except);
    },
    watch: (events) => {
      connectLazy(cluster);
      return watch(cluster, CLUSTER_ADVICE, events);
    },
  };
};
