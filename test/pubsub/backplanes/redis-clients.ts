/** The clients that the Redis backplane is tested with. */
import * as ioredis from "ioredis";
import { Redis as IOValkey, type RedisOptions as IOValkeyOptions } from "iovalkey";
import { createClient } from "redis";
import type { RedisBackplaneOptions } from "websock-js/pubsub/redis";

export interface TestClient {
  readonly client: RedisBackplaneOptions["client"];
  /** Starts to connect. It does not reject, and does not wait. */
  open(): void;
  connect(): Promise<unknown>;
  /** Sends a command, which needs the application's client to work. */
  ping(): Promise<unknown>;
  /** Closes it, as the application would. */
  close(): void;
  /** The number of listeners for all events that the backplane could listen for. */
  listeners(): number;
}

export interface TestClientOptions {
  readonly port: number;
  readonly password?: string;
  /** Without it, nothing listens for the client's errors. */
  readonly silent?: boolean;
  /** The delay between attempts to connect. Default: 50 ms. `false`: none are made. `"default"`: the client's own. */
  readonly retry?: number | false | "default" | (() => number);
}

interface Emitter {
  eventNames(): (string | symbol)[];
  listenerCount(event: string | symbol): number;
}

const countListeners = (emitter: Emitter): number =>
  emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0);

const nodeRedis = ({ port, password, silent, retry = 50 }: TestClientOptions): TestClient => {
  const client = createClient({
    socket: { host: "127.0.0.1", port, ...(retry === "default" ? {} : { reconnectStrategy: retry }) },
    ...(password === undefined ? {} : { password }),
  });
  if (silent !== true) client.on("error", () => undefined);
  return {
    client,
    open: () => void client.connect().catch(() => undefined),
    connect: () => client.connect(),
    ping: () => client.ping(),
    close: () => client.destroy(),
    listeners: () => countListeners(client),
  };
};

interface IORedisOptions {
  readonly host: string;
  readonly port: number;
  readonly password?: string;
  readonly lazyConnect: true;
  readonly keyPrefix: string;
  readonly retryStrategy?: (() => number) | null;
}

const like =
  (create: (options: IORedisOptions) => ioredis.Redis | IOValkey) =>
  ({ port, password, silent, retry = 50 }: TestClientOptions): TestClient => {
    const client = create({
      host: "127.0.0.1",
      port,
      lazyConnect: true,
      // It does not concern channels.
      keyPrefix: "keys:",
      ...(retry === "default" ? {} : { retryStrategy: typeof retry === "number" ? () => retry : retry || null }),
      ...(password === undefined ? {} : { password }),
    });
    if (silent !== true) client.on("error", () => undefined);
    return {
      client,
      open: () => void client.connect().catch(() => undefined),
      connect: () => client.connect(),
      ping: () => client.ping(),
      close: () => client.disconnect(),
      listeners: () => countListeners(client),
    };
  };

export const CLIENTS: Readonly<Record<string, (options: TestClientOptions) => TestClient>> = {
  redis: nodeRedis,
  ioredis: like((options) => new ioredis.Redis(options)),
  iovalkey: like((options) => new IOValkey(options as IOValkeyOptions)),
};
