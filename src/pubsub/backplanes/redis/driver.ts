/** What a backplane needs of a Redis client. `ioredis.ts` and `node-redis.ts` provide it for each kind of client. */
import { codedError } from "../../../error-codes.ts";

/** The client that was handed in. */
export interface RedisDriver {
  /** The client is not open: the application has closed it, or has not opened it yet, or it has given up. */
  readonly closed: boolean;
  /** The client may be opened without emitting an event. */
  readonly opensSilently: boolean;
  /** A warning about the client's settings, which says what to change. */
  readonly settingsWarning: string | undefined;
  /**
   * A connection of the client to one of its servers. A cluster has several: a random one is chosen, if possible
   * another one than `except`, and one that is ready.
   */
  server(except?: RedisServer): RedisServer | undefined;
  /** Watches what concerns all servers. Returns a function that removes all listeners. */
  watch(events: WatchEvents): () => void;
}

/** The client's connection to one server. The same connection is always represented by the same object. */
export interface RedisServer {
  /** Commands are sent to the engine, and not queued for a later connection. */
  readonly ready: boolean;
  /** It may throw. */
  publish(channel: string, bytes: Uint8Array): Promise<unknown>;
  /** Watches the connection. Returns a function that removes all listeners. */
  watch(events: WatchEvents): () => void;
  /** Opens another connection to this server, for subscriptions alone. It does not reconnect. It may throw. */
  open(events: SubscriberEvents): Subscriber;
}

export interface WatchEvents {
  /** `ready` or `closed` may have changed. */
  changed(cause?: unknown): void;
  /** Reports a warning about the client's settings, which says what to change. */
  warn(message: string): void;
}

export interface SubscriberEvents {
  message(channel: string, bytes: Uint8Array): void;
  /** The connection is lost, or could not be established. It may be called several times. */
  lost(cause: unknown): void;
}

/** A connection of the backplane's own. */
export interface Subscriber {
  /** Resolves when the connection is established, and rejects or stays pending if it is not. */
  readonly ready: Promise<unknown>;
  /** Resolves when the engine has confirmed all subscriptions. Commands are answered in the order of the calls. */
  subscribe(channels: string[]): Promise<unknown>;
  /** Resolves when the engine has confirmed. */
  unsubscribe(channels: string[]): Promise<unknown>;
  /** Destroys the connection. */
  end(): void;
}

/** A longer delay between two attempts to connect, in milliseconds, leads to a warning. */
export const LONGEST_DELAY = 2_500;

/** A warning about the delay between two attempts to connect, in milliseconds. */
export const slowRetryWarning = (delay: number | string, advice: string): string =>
  `the client waits for ${delay} ms before it connects to Redis again: ${advice}`;

/** A warning about a client that does not connect again. */
export const noRetryWarning = (advice: string): string =>
  `the client does not connect to Redis again when it is disconnected: ${advice}`;

/** A cause of `away`. */
export const clientClosed = (): Error => codedError("WEBSOCK_ENGINE_AWAY", "the client was closed");

/** A cause of `away`. */
export const connectionLost = (): Error => codedError("WEBSOCK_ENGINE_AWAY", "the connection to Redis is lost");

export const noop = (): void => undefined;

/** Returns a function that represents the same client always by the same object. */
export const serversByClient = <Client extends object>(
  create: (client: Client) => RedisServer,
): ((client: Client) => RedisServer) => {
  const servers = new WeakMap<Client, RedisServer>();
  return (client) => {
    const server = servers.get(client) ?? create(client);
    servers.set(client, server);
    return server;
  };
};

/** A random server, if possible another one than `except`, and one that is ready. */
export const choose = (servers: readonly RedisServer[], except: RedisServer | undefined): RedisServer | undefined => {
  const others = servers.filter((server) => server !== except);
  const candidates = [others.filter(({ ready }) => ready), others, servers];
  const best = candidates.find(({ length }) => length > 0) ?? [];
  return best[Math.floor(Math.random() * best.length)];
};
