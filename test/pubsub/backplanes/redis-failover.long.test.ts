/** The backplane for Redis with a cluster and with sentinels: a server is killed, and another one takes its place. */
import { Cluster, Redis } from "ioredis";
import { createCluster, createSentinel } from "redis";
import { afterEach, describe, expect, test } from "vitest";
import { type RedisBackplaneOptions, redisBackplane } from "websock-js/pubsub/redis";
import type { BackplaneConnection } from "../../../src/pubsub/backplane.ts";
import {
  type RedisCluster,
  type RedisSentinels,
  startRedisCluster,
  startRedisSentinels,
} from "../../support/redis-failover.ts";
import { haveRedis, type RedisServer } from "../../support/redis-server.ts";
import { failOnUncaught } from "../../support/uncaught.ts";
import { publish, RecordingLink } from "./recording-link.ts";

const have = haveRedis();

failOnUncaught();

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const retry = (times: number): number => Math.min(50 * times, 1000);
const noop = (): void => undefined;

interface App {
  readonly client: RedisBackplaneOptions["client"];
  close(): unknown;
}

const CLUSTERS: Readonly<Record<string, (servers: RedisCluster) => App>> = {
  redis: ({ primaries }) => {
    const client = createCluster({
      rootNodes: primaries.map(({ url }) => ({ url })),
      defaults: { socket: { reconnectStrategy: retry } },
    });
    client.connect().catch(noop);
    return { client, close: () => client.destroy() };
  },
  "redis with minimizeConnections and useReplicas": ({ primaries }) => {
    const client = createCluster({
      rootNodes: primaries.map(({ url }) => ({ url })),
      defaults: { socket: { reconnectStrategy: retry } },
      minimizeConnections: true,
      useReplicas: true,
    });
    client.connect().catch(noop);
    return { client, close: () => client.destroy() };
  },
  ioredis: ({ primaries }) => {
    const client = new Cluster(
      primaries.map(({ port }) => ({ host: "127.0.0.1", port })),
      { clusterRetryStrategy: retry },
    );
    return { client, close: () => client.disconnect() };
  },
  "ioredis with lazyConnect": ({ primaries }) => {
    const client = new Cluster(
      primaries.map(({ port }) => ({ host: "127.0.0.1", port })),
      { clusterRetryStrategy: retry, lazyConnect: true },
    );
    return { client, close: () => client.disconnect() };
  },
};

const SENTINELS: Readonly<Record<string, (servers: RedisSentinels) => App>> = {
  redis: ({ name, sentinels }) => {
    const client = createSentinel({
      name,
      sentinelRootNodes: sentinels.map(({ port }) => ({ host: "127.0.0.1", port })),
      nodeClientOptions: { socket: { reconnectStrategy: retry } },
      sentinelClientOptions: { socket: { reconnectStrategy: retry } },
    });
    client.connect().catch(noop);
    return { client, close: () => client.destroy() };
  },
  ioredis: ({ name, sentinels }) => {
    const client = new Redis({
      name,
      sentinels: sentinels.map(({ port }) => ({ host: "127.0.0.1", port })),
      retryStrategy: retry,
    });
    return { client, close: () => client.disconnect() };
  },
};

interface Node {
  readonly link: RecordingLink;
  readonly connection: BackplaneConnection;
  readonly name: string;
}

const connect = async ({ client, close }: App, name: string): Promise<Node> => {
  const link = new RecordingLink();
  const connection = redisBackplane({ client, prefix: "failover" }).connect(link);
  cleanups.push(async () => {
    await connection.close();
    await close();
  });
  await Promise.all([connection.subscribe(["all", name]), link.until(() => link.status === "up")]);
  return { link, connection, name };
};

/** Publishes on each node until it arrives at both: after a failover, it may take a few attempts. */
const connected = async (nodes: readonly Node[]): Promise<void> => {
  for (const { link, connection, name } of nodes) {
    for (let attempt = 0; ; attempt++) {
      await link.until(() => link.status === "up");
      const message = `${name} ${attempt}`;
      if (!(await publish(connection, "all", message))) continue;
      const arrived = (): boolean => nodes.every((node) => node.link.received.some(([, text]) => text === message));
      await Promise.race([...nodes.map((node) => node.link.until(arrived)), link.until(() => link.status !== "up")]);
      if (arrived()) break;
    }
  }
};

/** The servers that a channel is subscribed on. */
const subscribedOn = async (servers: readonly RedisServer[], channel: string): Promise<RedisServer[]> => {
  const replies = await Promise.all(servers.map((server) => server.command("PUBSUB", "NUMSUB", channel)));
  return servers.filter((_, index) => replies[index]!.endsWith(":1\r\n"));
};

describe.skipIf(!have).each(Object.keys(CLUSTERS))("a cluster, %s", (name) => {
  const start = async () => {
    const cluster = await startRedisCluster();
    cleanups.push(cluster.stop);
    const nodes = await Promise.all(["a", "b"].map((node) => connect(CLUSTERS[name]!(cluster), node)));
    return { cluster, nodes, servers: [...cluster.primaries, cluster.replica] };
  };

  test("messages of one node arrive in order", { timeout: 60_000 }, async () => {
    const { nodes } = await start();
    await connected(nodes);
    const [a, b] = nodes as [Node, Node];
    const messages = Array.from({ length: 2_000 }, (_, i) => `numbered ${i}`);
    const accepted = await Promise.all(messages.map((message) => publish(a.connection, "all", message)));
    expect(accepted.every((ok) => ok)).toBe(true);
    const received = (): string[] => b.link.received.flatMap(([, text]) => (text.startsWith("numbered") ? text : []));
    await b.link.until(() => received().length === messages.length);
    expect(received()).toEqual(messages);
  });

  test("a primary is killed, and its replica takes its place", { timeout: 60_000 }, async () => {
    const { nodes, cluster } = await start();
    await connected(nodes);
    await cluster.primaries[0]!.kill9();
    await cluster.failedOver();
    await connected(nodes);
    await cluster.primaries[0]!.restart();
    await connected(nodes);
  });

  test("the server that a node is subscribed on is killed", { timeout: 60_000 }, async () => {
    const { nodes, servers } = await start();
    await connected(nodes);
    const [a] = nodes as [Node];
    const [server] = await subscribedOn(servers, "failover:a");
    const { ups } = a.link;
    await server!.kill9();
    await a.link.until(() => a.link.ups > ups);
    expect(
      await subscribedOn(
        servers.filter((one) => one.running),
        "failover:a",
      ),
    ).toHaveLength(1);
    await connected(nodes);
  });

  test("reconnect uses another server", { timeout: 60_000 }, async () => {
    const { nodes, servers } = await start();
    const [a] = nodes as [Node];
    for (let i = 0; i < 5; i++) {
      const [before] = await subscribedOn(servers, "failover:a");
      const { ups } = a.link;
      a.connection.reconnect();
      await a.link.until(() => a.link.ups > ups);
      const [after] = (await subscribedOn(servers, "failover:a")).filter((server) => server !== before);
      expect(after).toBeDefined();
      await connected(nodes);
    }
  });

  test("all servers are killed, and started again", { timeout: 60_000 }, async () => {
    const { nodes, servers } = await start();
    await connected(nodes);
    await Promise.all(servers.map((server) => server.kill9()));
    for (const { link } of nodes) await link.until(() => link.status === "away");
    await Promise.all(servers.map((server) => server.restart()));
    await connected(nodes);
  });

  test("the application closes its client", { timeout: 60_000 }, async () => {
    const cluster = await startRedisCluster();
    cleanups.push(cluster.stop);
    const app = CLUSTERS[name]!(cluster);
    const { link } = await connect({ ...app, close: noop }, "a");
    await app.close();
    await link.until(() => link.status === "forever");
  });
});

describe.skipIf(!have).each(Object.keys(SENTINELS))("sentinels, %s", (name) => {
  test("the primary is killed, and its replica takes its place", { timeout: 60_000 }, async () => {
    const servers = await startRedisSentinels();
    cleanups.push(servers.stop);
    const nodes = await Promise.all(["a", "b"].map((node) => connect(SENTINELS[name]!(servers), node)));
    await connected(nodes);
    await servers.primary.kill9();
    for (const { link } of nodes) await link.until(() => link.status === "away");
    await servers.failedOver();
    const started = performance.now();
    await connected(nodes);
    console.log(`${name}: back ${Math.round(performance.now() - started)} ms after the failover`);
    expect(await subscribedOn([servers.replica], "failover:a")).toHaveLength(1);
    // It is made a replica.
    await servers.primary.restart();
    await connected(nodes);
  });

  test("the application closes its client", { timeout: 60_000 }, async () => {
    const servers = await startRedisSentinels();
    cleanups.push(servers.stop);
    const app = SENTINELS[name]!(servers);
    const { link } = await connect({ ...app, close: noop }, "a");
    await app.close();
    await link.until(() => link.status === "forever");
  });
});
