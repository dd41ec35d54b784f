/** Redis Cluster, and Redis with sentinels: real servers on free ports of this machine. */
import { freePort, type RedisServer, startRedis } from "./redis-server.ts";

const SLOTS = 16_384;

/** Repeats a command until its reply is like this. A sentinel disconnects all clients of a server that it promotes. */
const untilReply = async (server: RedisServer, like: RegExp, ...command: readonly string[]): Promise<string> => {
  for (;;) {
    const reply = await server.command(...command).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ECONNRESET") throw error;
      return "";
    });
    if (like.test(reply)) return reply;
    await new Promise(setImmediate);
  }
};

/** A reply of a kind that has one text. */
const textOf = (reply: string): string => reply.split("\r\n")[1] ?? "";

export interface Servers {
  stop(): Promise<void>;
}

export interface RedisCluster extends Servers {
  readonly primaries: readonly RedisServer[];
  /** The replica of the first primary. */
  readonly replica: RedisServer;
  /** Resolves when the replica has become a primary, and all primaries that run know it. */
  failedOver(): Promise<void>;
}

/** Starts three primaries, and a replica of the first one. */
export const startRedisCluster = async (): Promise<RedisCluster> => {
  const start = async (): Promise<[RedisServer, bus: number]> => {
    const bus = await freePort();
    const config = ["cluster-enabled yes", `cluster-port ${bus}`, "cluster-node-timeout 1000"];
    // Delays of the replica before it asks for votes are part of the protocol.
    return [await startRedis({ config: [...config, "cluster-replica-validity-factor 0"] }), bus];
  };
  const started = await Promise.all([start(), start(), start(), start()]);
  const servers = started.map(([server]) => server);
  const [first] = servers;
  const replica = servers[3]!;
  const primaries = servers.slice(0, 3);
  for (const [index, primary] of primaries.entries()) {
    const [from, to] = [index, index + 1].map((part) => Math.floor((part * SLOTS) / 3));
    await primary.command("CLUSTER", "ADDSLOTSRANGE", String(from), String(to! - 1));
    await primary.command("CLUSTER", "SET-CONFIG-EPOCH", String(index + 1));
  }
  for (const [server, bus] of started.slice(1)) {
    await first!.command("CLUSTER", "MEET", "127.0.0.1", String(server.port), String(bus));
  }
  await Promise.all(servers.map((server) => untilReply(server, /cluster_known_nodes:4/, "CLUSTER", "INFO")));
  const id = textOf(await first!.command("CLUSTER", "MYID"));
  await untilReply(replica, /^\+OK/, "CLUSTER", "REPLICATE", id);
  await untilReply(replica, /master_link_status:up/, "INFO", "replication");
  await Promise.all(servers.map((server) => untilReply(server, /cluster_state:ok/, "CLUSTER", "INFO")));
  await Promise.all(primaries.map((server) => untilReply(server, /slave/, "CLUSTER", "NODES")));
  const replicaId = textOf(await replica.command("CLUSTER", "MYID"));
  return {
    primaries,
    replica,
    failedOver: async () => {
      const promoted = new RegExp(`^${replicaId} \\S+ (myself,)?master`, "m");
      const running = servers.filter((server) => server.running);
      await Promise.all(running.map((server) => untilReply(server, promoted, "CLUSTER", "NODES")));
    },
    stop: async () => void (await Promise.all(servers.map((server) => server.stop()))),
  };
};

export interface RedisSentinels extends Servers {
  /** What the servers are called. */
  readonly name: string;
  readonly primary: RedisServer;
  readonly replica: RedisServer;
  readonly sentinels: readonly RedisServer[];
  /** Resolves when the replica has become the primary. */
  failedOver(): Promise<void>;
}

/** Starts a primary with a replica, and three sentinels that watch them. */
export const startRedisSentinels = async (): Promise<RedisSentinels> => {
  const name = "main";
  const primary = await startRedis();
  const replica = await startRedis({ config: [`replicaof 127.0.0.1 ${primary.port}`, "repl-diskless-sync-delay 0"] });
  await untilReply(replica, /master_link_status:up/, "INFO", "replication");
  const config = [
    `sentinel monitor ${name} 127.0.0.1 ${primary.port} 2`,
    `sentinel down-after-milliseconds ${name} 500`,
    `sentinel failover-timeout ${name} 3000`,
  ];
  const start = (): Promise<RedisServer> => startRedis({ sentinel: true, config });
  const sentinels = await Promise.all([start(), start(), start()]);
  await Promise.all(sentinels.map((one) => untilReply(one, /sentinels=3/, "INFO", "sentinel")));
  await Promise.all(sentinels.map((one) => untilReply(one, /slaves=1/, "INFO", "sentinel")));
  return {
    name,
    primary,
    replica,
    sentinels,
    failedOver: async () => void (await untilReply(replica, /role:master/, "INFO", "replication")),
    stop: async () => {
      // Sentinels first, or they would elect a new primary.
      await Promise.all(sentinels.map((one) => one.stop()));
      await Promise.all([primary.stop(), replica.stop()]);
    },
  };
};
