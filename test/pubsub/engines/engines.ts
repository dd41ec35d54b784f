/** Real engines, and nodes that they connect, with each client. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { Redis } from "ioredis";
import { afterEach, expect } from "vitest";
import { type Gap, PubSub, type PubSubEvent, type PubSubOptions, type SubscribeOptions } from "websock-js/pubsub";
import { natsBackplane } from "websock-js/pubsub/nats";
import { redisBackplane } from "websock-js/pubsub/redis";
import { text } from "../../../src/message.ts";
import type { Backplane } from "../../../src/pubsub/backplane.ts";
import { tokenOf } from "../../../src/pubsub/backplanes/nats/subject.ts";
import type { BackplaneStats } from "../../../src/pubsub/nodes/stats.ts";
import { haveNatsServer, startNatsServer } from "../../support/nats-server.ts";
import { haveRedis, startRedis } from "../../support/redis-server.ts";
import { startProxy, type TcpProxy } from "../../support/tcp-proxy.ts";
import { CLIENTS as REDIS_CLIENTS } from "../backplanes/redis-clients.ts";
import { join, type Member } from "../members.ts";

export type ClientName = "redis" | "ioredis" | "iovalkey" | "nats";

const hasRedis = haveRedis();
const hasNats = haveNatsServer();

/** The clients of Redis whose engine is installed. */
export const REDIS: readonly ClientName[] = hasRedis ? ["redis", "ioredis", "iovalkey"] : [];
export const NATS: readonly ClientName[] = hasNats ? ["nats"] : [];
export const CLIENTS = [...REDIS, ...NATS];

/** The default times of `PubSub`, divided by 20. */
export const TIMES = { linger: 100, probe: 750, beat: 250, down: 1_500 };

/** No deadline is missed by more, in milliseconds: the system clock looks at its deadlines every 200 ms. */
export const LATE = 400;

export const PREFIX = "engines";

const cleanups: (() => unknown)[] = [];

/** Runs after the test; the last one first. */
export const cleanUp = (run: () => unknown): void => void cleanups.push(run);

/** To be called once in each file. */
export const cleanUpAfterEach = (): void => {
  afterEach(async () => {
    for (const run of cleanups.splice(0).reverse()) await run();
  });
};

/** Resolves when a condition holds. */
export const until = async (condition: () => unknown): Promise<void> => {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 2));
};

export interface Engine {
  readonly port: number;
  /** Kills it. `start` starts it again on the same port. */
  kill9(): Promise<void>;
  start(): Promise<void>;
  /** Freezes it: its connections remain open, and nothing is answered. */
  pause(): void;
  resume(): void;
  /** How many connections have subscribed to a channel. */
  subscribers(channel: string): Promise<number>;
  /** Publishes as any program could that has access to the engine. Resolves when the engine has accepted it. */
  publish(channel: string, bytes: Uint8Array): Promise<void>;
  /** Resolves with the next bytes that are published to a channel. The promise in the result is that one. */
  next(channel: string): Promise<{ readonly bytes: Promise<Uint8Array> }>;
}

export interface EngineOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** Lines of the configuration file. */
  readonly config?: readonly string[];
}

export const startRedisEngine = async ({
  config = [],
  ...options
}: EngineOptions = {}): Promise<Engine & { command(...args: string[]): Promise<string> }> => {
  const server = await startRedis({ config, ...options });
  cleanUp(server.stop);
  const open = (): Redis => {
    const client = new Redis(server.port);
    cleanUp(() => client.disconnect());
    return client;
  };
  let publisher: Redis | undefined;
  return {
    ...server,
    start: server.restart,
    subscribers: async (channel) => {
      const reply = await server.command("PUBSUB", "NUMSUB", `${PREFIX}:${channel}`);
      return Number(/:(\d+)\r\n$/.exec(reply)?.[1]);
    },
    publish: async (channel, bytes) => {
      publisher ??= open();
      await publisher.publish(`${PREFIX}:${channel}`, Buffer.from(bytes));
    },
    next: async (channel) => {
      const client = open();
      const bytes = new Promise<Uint8Array>((resolve) =>
        client.once("messageBuffer", (_, message) => resolve(message)),
      );
      await client.subscribe(`${PREFIX}:${channel}`);
      return { bytes };
    },
  };
};

export const startNatsEngine = async ({ config = [], ...options }: EngineOptions = {}): Promise<Engine> => {
  const server = await startNatsServer({ config: config.join("\n"), ...options });
  cleanUp(server.stop);
  const subjectOf = (channel: string): string => `${tokenOf(PREFIX)}.${tokenOf(channel)}`;
  const open = async () => {
    const client = await connect({ servers: server.url });
    cleanUp(() => client.close());
    return client;
  };
  let publisher: NatsConnection | undefined;
  return {
    ...server,
    subscribers: async (channel) =>
      (await server.subjects()).filter((subject) => subject === subjectOf(channel)).length,
    publish: async (channel, bytes) => {
      publisher ??= await open();
      publisher.publish(subjectOf(channel), bytes);
      await publisher.flush();
    },
    next: async (channel) => {
      const client = await open();
      const bytes = new Promise<Uint8Array>((resolve) =>
        client.subscribe(subjectOf(channel), { callback: (_, { data }) => resolve(data) }),
      );
      await client.flush();
      return { bytes };
    },
  };
};

export const startEngine = (name: ClientName, options: EngineOptions = {}): Promise<Engine> =>
  name === "nats" ? startNatsEngine(options) : startRedisEngine(options);

export const proxyTo = async ({ port }: { readonly port: number }): Promise<TcpProxy> => {
  const proxy = await startProxy(port);
  cleanUp(proxy.stop);
  return proxy;
};

/** A client that the application owns. */
export interface AppClient {
  backplane(prefix?: string): Backplane;
  /** Uses the client as the application would. */
  ping(): Promise<unknown>;
  readonly nats: NatsConnection | undefined;
}

/** Opens a client. It is closed after the test. */
export const openClient = async (name: ClientName, port: number): Promise<AppClient> => {
  if (name === "nats") {
    const settings = { maxReconnectAttempts: -1, reconnectTimeWait: 50, pingInterval: 10_000 };
    const connection = await connect({ servers: `127.0.0.1:${port}`, ...settings });
    cleanUp(() => connection.close());
    return {
      backplane: (prefix = PREFIX) => natsBackplane({ connection, prefix }),
      ping: () => connection.flush(),
      nats: connection,
    };
  }
  const { client, open, ping, close } = REDIS_CLIENTS[name]!({ port });
  open();
  cleanUp(close);
  return { backplane: (prefix = PREFIX) => redisBackplane({ client, prefix }), ping, nats: undefined };
};

/** A node, and what it has reported. */
export class TestNode {
  readonly app: AppClient;
  readonly events: PubSubEvent[] = [];
  readonly pubsub: PubSub;

  constructor(app: AppClient, { prefix, ...options }: NodeOptions = {}) {
    this.app = app;
    this.pubsub = new PubSub({
      ...options,
      backplane: app.backplane(prefix),
      onEvent: (event) => this.events.push(event),
    });
    cleanUp(() => this.pubsub.close());
  }

  get backplane(): BackplaneStats {
    return this.pubsub.stats.backplane!;
  }

  /** How often an event of this type was reported. */
  count(type: PubSubEvent["type"]): number {
    return this.events.filter((event) => event.type === type).length;
  }

  is(status: "up" | "away" | "closed"): Promise<void> {
    return until(() => this.pubsub.status === status);
  }

  publish(content: string, topic = "room"): boolean {
    return this.pubsub.topic(topic).publish(text(content));
  }

  /** A member to which everything that other nodes publish from now on is delivered. */
  async join(topics: readonly string[] = ["room"], options: SubscribeOptions<string> = {}): Promise<Member> {
    const member = await join(this.pubsub, topics, options);
    for (const topic of topics) expect(await this.pubsub.topic<string>(topic).subscribe(member.self).ready).toBe(true);
    return member;
  }
}

interface NodeOptions extends Omit<PubSubOptions, "backplane" | "onEvent"> {
  readonly prefix?: string;
}

/** Starts nodes, each with a client of its own, and waits until they know each other. */
export const startNodes = async (
  name: ClientName,
  ports: readonly number[],
  options: NodeOptions = {},
): Promise<TestNode[]> => {
  const clients = await Promise.all(ports.map((port) => openClient(name, port)));
  const nodes = clients.map((client) => new TestNode(client, options));
  await settled(nodes);
  return nodes;
};

/** The nodes know each other, and nothing is on its way. */
export const settled = (nodes: readonly TestNode[]): Promise<void> =>
  until(() =>
    nodes.every(
      ({ pubsub, backplane }) =>
        pubsub.status === "up" && backplane.nodes === nodes.length && backplane.unacknowledgedBytes === 0,
    ),
  );

/** What {@link join}ed members push for a gap. */
export const announce = ({ cause, missed }: Gap): string => `${cause} ${missed}`;
