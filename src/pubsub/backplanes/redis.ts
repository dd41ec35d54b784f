/** `websock-js/pubsub/redis`: messages between processes through Redis or Valkey. */
import { codedTypeError } from "../../error-codes.ts";
import { checkKeys, show } from "../../known-keys.ts";
import type { Backplane } from "../backplane.ts";
import { RedisConnection } from "./redis/connection.ts";
import type { RedisDriver } from "./redis/driver.ts";
import * as ioredis from "./redis/ioredis.ts";
import * as nodeRedis from "./redis/node-redis.ts";

/**
 * A client of node-redis ≥ 5 (the package `redis`): what `createClient`, `createCluster` or `createSentinel` returns.
 */
export interface NodeRedisClient {
  readonly isOpen: boolean;
  on(...args: never[]): unknown;
  off(...args: never[]): unknown;
  pSubscribe(...args: never[]): unknown;
}

/** A client of ioredis ≥ 5 or iovalkey: a `Redis`, also one with sentinels, or a `Cluster`. */
export interface IORedisClient {
  readonly status: string;
  duplicate(...args: never[]): unknown;
  on(...args: never[]): unknown;
  off(...args: never[]): unknown;
  psubscribe(...args: never[]): unknown;
}

/** Options of {@link redisBackplane}. */
export interface RedisBackplaneOptions {
  /**
   * The client that publishes. It may also be used for other commands. It is neither configured nor closed here. For
   * subscriptions, another connection is made with the client's options.
   *
   * Within a few seconds after Redis is back, messages flow again if the client connects again by itself without long
   * delays. For node-redis: `socket: { reconnectStrategy: (retries) => Math.min(50 * retries, 1000) }`; for ioredis and
   * iovalkey: `retryStrategy: (times) => Math.min(50 * times, 1000)`.
   */
  readonly client: NodeRedisClient | IORedisClient;
  /**
   * Separates this application from others on the same Redis, because databases do not separate channels: the names of
   * all channels begin with it and a colon. 1 to 200 characters except colons and
   * lone surrogates.
   */
  readonly prefix: string;
}

const KEYS: readonly (keyof RedisBackplaneOptions)[] = ["client", "prefix"];

/** Without colons, no channel of one application can be a channel of another one. Lone surrogates are not UTF-8. */
const PREFIX = /^[^:\p{Surrogate}]{1,200}$/u;

const has = (object: object, ...methods: string[]): boolean =>
  methods.every((method) => typeof (object as Record<string, unknown>)[method] === "function");

/** Recognizes the kind of a client by its methods. */
const driverOf = (client: unknown): RedisDriver => {
  if (typeof client === "object" && client !== null && has(client, "on", "off")) {
    if (has(client, "pSubscribe", "sendCommand")) {
      if (has(client, "nodeClient")) return nodeRedis.clusterDriver(client as nodeRedis.Cluster);
      if (has(client, "getSentinelNode", "_execute")) return nodeRedis.sentinelDriver(client as nodeRedis.Sentinel);
      if (has(client, "destroy", "duplicate")) return nodeRedis.clientDriver(client as nodeRedis.Client);
    }
    if (has(client, "psubscribe", "publish", "duplicate")) {
      if (has(client, "nodes")) return ioredis.clusterDriver(client as ioredis.Cluster);
      return ioredis.redisDriver(client as ioredis.Redis);
    }
  }
  throw codedTypeError(
    "WEBSOCK_INVALID_OPTION",
    `option "client" must be a client of redis (5 or later), ioredis (5 or later) or iovalkey, not ${show(client)}`,
  );
};

/**
 * Connects the `PubSub`s of several processes through Redis or Valkey: a single server, a cluster or sentinels.
 *
 * Messages are published with `PUBLISH` through the client that is passed. A second connection with the same options
 * subscribes to the channels of the topics that have members in this process. Whoever may publish to these channels can
 * send messages to all clients, and can close their connections.
 *
 * ```ts
 * import { createClient } from "redis";
 * import { PubSub } from "websock-js/pubsub";
 * import { redisBackplane } from "websock-js/pubsub/redis";
 *
 * const client = createClient({ url: "redis://localhost" });
 * client.on("error", console.error);
 * await client.connect();
 * const pubsub = new PubSub({ backplane: redisBackplane({ client, prefix: "chat" }) });
 * ```
 *
 * @throws TypeError for an unknown or invalid option
 */
export const redisBackplane = (options: RedisBackplaneOptions): Backplane => {
  if (typeof options !== "object" || options === null)
    throw codedTypeError("WEBSOCK_INVALID_OPTION", `options must be an object, not ${show(options)}`);
  checkKeys(options, KEYS);
  const { client, prefix } = options;
  if (typeof prefix !== "string" || !PREFIX.test(prefix)) {
    throw codedTypeError(
      "WEBSOCK_INVALID_OPTION",
      `option "prefix" must be a string of 1 to 200 characters except colons, without lone surrogates, not ${show(prefix)}`,
    );
  }
  driverOf(client);
  return { connect: (link) => new RedisConnection(link, driverOf(client), `${prefix}:`) };
};
