/** The example `resume` as two server processes on one engine, and clients that resume as its page does. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats, type NatsConnection } from "@nats-io/transport-node";
import { createClient } from "redis";
import { expect } from "vitest";
import { WebSocket } from "ws";
import { haveNatsServer, startNatsServer } from "../support/nats-server.ts";
import { haveRedis, startRedis } from "../support/redis-server.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

interface Entry {
  readonly id: string;
  readonly data: string;
}

export interface Engine {
  readonly environment: Record<string, string>;
  /** The data of all entries, in their order. */
  stored(): Promise<string[]>;
  /** Appends an entry without a signal. */
  append(data: string): Promise<void>;
  /** Removes all entries except the newest ones. */
  trim(kept: number): Promise<void>;
  /** Kills the engine, and starts it again without data. */
  lose(): Promise<void>;
  stop(): Promise<void>;
}

const startRedisEngine = async (): Promise<Engine> => {
  const server = await startRedis();
  const key = "resume:lobby";
  return {
    environment: { ENGINE: "redis", REDIS_URL: server.url },
    stored: async () => {
      const client = await createClient({ url: server.url }).connect();
      const entries = (await client.xRange(key, "-", "+")) ?? [];
      client.destroy();
      return entries.map(({ message }) => message.data!);
    },
    append: async (data) => void (await server.command("XADD", key, "*", "data", data)),
    trim: async (kept) => void (await server.command("XTRIM", key, "MAXLEN", String(kept))),
    lose: () => server.restart(),
    stop: () => server.stop(),
  };
};

const startJetStreamEngine = async (): Promise<Engine> => {
  const folder = await mkdtemp(join(tmpdir(), "websock-js-resume-"));
  const server = await startNatsServer({ config: `jetstream { store_dir: ${JSON.stringify(folder)} }` });
  const connected = async <T>(act: (connection: NatsConnection) => Promise<T>): Promise<T> => {
    const connection = await connectNats({ servers: server.url });
    try {
      return await act(connection);
    } finally {
      await connection.close();
    }
  };
  return {
    environment: { ENGINE: "jetstream", NATS_URL: server.url },
    stored: () =>
      connected(async (connection) => {
        const { state } = await (await jetstreamManager(connection)).streams.info("resume");
        const consumer = await jetstream(connection).consumers.get("resume");
        const data: string[] = [];
        // Of all subjects of the stream: it must contain nothing else than messages of the room.
        for await (const message of await consumer.fetch({ max_messages: state.messages })) data.push(message.string());
        return data;
      }),
    append: (data) =>
      connected(async (connection) => void (await jetstream(connection).publish("resume.rooms.lobby", data))),
    trim: (keep) =>
      connected(
        async (connection) => void (await (await jetstreamManager(connection)).streams.purge("resume", { keep })),
      ),
    lose: async () => {
      await server.kill9();
      await rm(folder, { recursive: true });
      await server.start();
    },
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
};

export const ENGINES = [
  { engine: "Redis", have: haveRedis, start: startRedisEngine },
  { engine: "JetStream", have: haveNatsServer, start: startJetStreamEngine },
] as const;

/** Compiles the example. The package itself is built before all tests. */
export const compileExample = async (): Promise<void> => {
  await promisify(execFile)(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "examples/resume"], {
    cwd: root,
  });
};

export interface Node {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts one server process, and waits until it listens. */
const startNode = async ({ environment }: Engine): Promise<Node> => {
  const child = spawn(process.execPath, ["examples/resume/dist/server.js"], {
    cwd: root,
    env: { ...process.env, ...environment, PORT: "0" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const atExit = (): void => void child.kill("SIGKILL");
  process.once("exit", atExit);
  const ended = once(child, "exit");
  for await (const line of createInterface(child.stdout)) {
    const url = /http:\S+/.exec(line)?.[0];
    if (url === undefined) continue;
    return {
      url,
      stop: async () => {
        process.off("exit", atExit);
        child.kill("SIGKILL");
        await ended;
      },
    };
  }
  throw new Error("the server ended without listening");
};

export const startNodes = (engine: Engine): Promise<readonly [Node, Node]> =>
  Promise.all([startNode(engine), startNode(engine)]);

/** A client that connects to the other node when its connection has ended, and continues after what it has received. */
export class Resuming {
  readonly received: Entry[] = [];
  resyncs = 0;
  connections = 0;
  private last: string | undefined;
  private socket: WebSocket | undefined;
  private isReady = false;
  private readonly nodes: readonly Node[];
  private readonly waiting = new Set<() => void>();

  constructor(...nodes: readonly Node[]) {
    this.nodes = nodes;
    this.connect();
  }

  connect(): void {
    const url = new URL("/room", this.nodes[this.connections++ % this.nodes.length]!.url);
    url.protocol = "ws:";
    if (this.last !== undefined) url.searchParams.set("last", this.last);
    const socket = new WebSocket(url);
    this.socket = socket;
    socket.on("error", () => undefined);
    socket.on("message", (data) => {
      if (this.socket === socket) this.receive(JSON.parse(String(data)));
    });
    socket.on("close", () => {
      if (this.socket === socket) this.connect();
    });
  }

  /** Disconnects. What was received and is not handled yet is lost. */
  kill(): void {
    this.socket?.terminate();
    this.socket = undefined;
    this.isReady = false;
  }

  send(message: object): void {
    this.socket?.send(JSON.stringify(message));
  }

  get ready(): Promise<void> {
    return this.until(() => this.isReady);
  }

  /** Resolves when this is true after a message. */
  until(isTrue: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!isTrue()) return;
        this.waiting.delete(check);
        resolve();
      };
      this.waiting.add(check);
      check();
    });
  }

  private receive({ type, id, data }: { type: string } & Entry): void {
    if (type === "ready") this.isReady = true;
    else if (type === "message") {
      this.received.push({ id, data });
      this.last = id;
    } else {
      expect(type).toBe("resync");
      this.resyncs++;
      this.received.length = 0;
      this.last = undefined;
    }
    for (const check of this.waiting) check();
  }
}

/** An integer from 0 to `below` - 1. */
const random = (below: number): number => Math.floor(below * Math.random());

/**
 * Kills clients at random while two others append numbered messages, one over each node. Each client must have received
 * all messages in the order of the store, and each one once.
 */
export const killAtRandom = async (
  engine: Engine,
  nodes: readonly [Node, Node],
  { messages, kills }: { readonly messages: number; readonly kills: number },
): Promise<void> => {
  const senders = nodes.map((node) => new Resuming(node));
  const clients = Array.from({ length: 4 }, () => new Resuming(...nodes));
  const all = [...senders, ...clients];
  await Promise.all(all.map(({ ready }) => ready));

  let killed = 0;
  const [steady] = senders;
  const killAndReconnect = async (client: Resuming): Promise<void> => {
    for (let i = 0; i < kills / clients.length; i++) {
      // At least one message, because a client without a last entry begins with the newest ones.
      const next = client.received.length + 1 + random((messages * clients.length) / kills / 2);
      await client.until(() => client.received.length >= Math.min(next, messages));
      client.kill();
      killed++;
      // Meanwhile, others go on.
      const seen = Math.min(steady!.received.length + random(20), messages);
      await steady!.until(() => steady!.received.length >= seen);
      client.connect();
      // Sometimes, it is killed again before it has read everything.
      if (random(2) === 0) await client.ready;
    }
  };
  const killing = clients.map(killAndReconnect);
  for (const [from, sender] of senders.entries())
    for (let n = 1; n <= messages / 2; n++) sender.send({ from: String(from), n, text: "" });
  await Promise.all(killing);
  await Promise.all(senders.map((sender) => sender.until(() => sender.received.length >= messages)));
  const { id } = steady!.received.at(-1)!;
  await Promise.all(all.map((client) => client.until(() => client.received.at(-1)?.id === id)));
  for (const client of all) client.kill();

  const stored = await engine.stored();
  for (const [from] of senders.entries()) {
    const numbers = stored.map((data) => JSON.parse(data)).filter((message) => message.from === String(from));
    expect(numbers.map(({ n }) => n)).toEqual(Array.from({ length: messages / 2 }, (_, i) => i + 1));
  }
  for (const { received, resyncs } of all) {
    expect(received.map(({ data }) => data)).toEqual(stored);
    expect(resyncs).toBe(0);
  }
  expect(killed).toBe(kills);
};
