/** Server processes on one engine, and many clients of them. */
import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { fileURLToPath } from "node:url";
import type { PubSubEvent, PubSubOptions, PubSubStats } from "websock-js/pubsub";

export type Client = "redis" | "ioredis" | "iovalkey" | "nats" | "cluster";

export interface NodeState {
  readonly status: string;
  readonly stats: PubSubStats;
  /** What the first member was told of. */
  readonly gaps: { readonly known: number; readonly unknown: number };
  readonly events: readonly (PubSubEvent & { readonly at: number })[];
  /** The longest time between two event-loop ticks, in milliseconds. */
  readonly longestBlock: number;
  readonly rss: number;
}

interface Answer {
  readonly id?: number;
  readonly worker?: number;
  readonly pid?: number;
  readonly result?: unknown;
  readonly error?: string;
  readonly listening?: number;
  readonly node?: string;
}

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

let ids = 0;

/** One server process. */
export class ServerProcess {
  readonly process: ChildProcess;
  port = 0;
  node = "";
  pid: number;
  /** Its index among the workers of a primary. */
  private readonly worker: number | undefined;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  readonly listening: Promise<void>;

  constructor(process: ChildProcess, worker?: number) {
    this.process = process;
    this.pid = process.pid!;
    this.worker = worker;
    this.listening = new Promise((resolve, reject) => {
      process.once("exit", (code) => reject(new Error(`the server has ended with ${code}`)));
      process.on("message", (answer: Answer) => {
        if (answer.worker !== worker) return;
        if (answer.listening !== undefined) {
          this.port = answer.listening;
          this.node = answer.node!;
          this.pid = answer.pid ?? this.pid;
          resolve();
        }
        this.waiting.get(answer.id!)?.(answer);
        this.waiting.delete(answer.id!);
      });
    });
  }

  async command<T>(command: string, args: object = {}): Promise<T> {
    const id = ++ids;
    const answered = new Promise<Answer>((resolve) => this.waiting.set(id, resolve));
    this.process.send({ worker: this.worker, id, command, ...args });
    const { result, error } = await answered;
    if (error !== undefined) throw new Error(error);
    return result as T;
  }

  state(): Promise<NodeState> {
    return this.command("state");
  }

  kill(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }
}

/** Waits until a condition holds. */
export const until = async <T>(look: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> => {
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

/** Starts `count` server processes, and waits until they can reach each other. */
export const startServers = async (
  count: number,
  client: Client,
  url: string | undefined,
  options: PubSubOptions = {},
): Promise<ServerProcess[]> => {
  const config = JSON.stringify({ client, url, options });
  const execArgv = ["--unhandled-rejections=strict"];
  let servers: ServerProcess[];
  if (client === "cluster") {
    const primary = fork(file("primary.mjs"), [config, String(count)], { execArgv });
    primary.setMaxListeners(100);
    servers = Array.from({ length: count }, (_, i) => new ServerProcess(primary, i));
  } else {
    servers = Array.from({ length: count }, () => new ServerProcess(fork(file("node.mjs"), [config], { execArgv })));
  }
  await Promise.all(servers.map(({ listening }) => listening));
  await Promise.all(
    servers.map((server) => until(async () => (await server.state()).stats.backplane?.nodes === count)),
  );
  return servers;
};

export const stopServers = async (servers: readonly ServerProcess[]): Promise<void> => {
  for (const process of new Set(servers.map((server) => server.process))) {
    if (process.exitCode !== null || process.signalCode !== null) continue;
    process.kill("SIGKILL");
    await once(process, "exit");
  }
};

/** A client that checks what it receives: from each node numbers in order, each once. */
export class CheckingClient {
  /** The last number from each node. */
  readonly last = new Map<string, number>();
  /** The numbers that were not received, by node. */
  readonly missing = new Map<string, number>();
  received = 0;
  problem: string | undefined = undefined;
  isOpen = true;
  readonly socket: net.Socket;
  private rest: Buffer = Buffer.alloc(0);
  private isHandshakeRead = false;
  private readonly onWelcome: () => void;

  private constructor(socket: net.Socket, onWelcome: () => void) {
    this.socket = socket;
    this.onWelcome = onWelcome;
    socket.on("data", (chunk) => this.onData(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.isOpen = false;
    });
  }

  static async open(port: number, query = "", index = 0): Promise<CheckingClient> {
    // Several addresses: one has fewer ports than a test has clients.
    const socket = net.connect({ port, host: "127.0.0.1", localAddress: `127.0.0.${2 + (index % 8)}` });
    await once(socket, "connect");
    const key = randomBytes(16).toString("base64");
    socket.write(
      `GET /?${query} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    let onWelcome!: () => void;
    const welcome = new Promise<void>((resolve) => {
      onWelcome = resolve;
    });
    const client = new CheckingClient(socket, onWelcome);
    await welcome;
    return client;
  }

  private onData(chunk: Buffer): void {
    let bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    if (!this.isHandshakeRead) {
      const end = bytes.indexOf("\r\n\r\n");
      if (end < 0) {
        this.rest = bytes;
        return;
      }
      if (!bytes.toString("latin1", 0, 12).endsWith("101")) this.problem = bytes.toString("latin1", 0, 100);
      this.isHandshakeRead = true;
      bytes = bytes.subarray(end + 4);
    }
    let at = 0;
    while (at + 10 <= bytes.length || at + 2 <= bytes.length) {
      const short = bytes[at + 1]!;
      const head = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (at + head > bytes.length) break;
      const size =
        short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short;
      if (at + head + size > bytes.length) break;
      if (bytes[at] === 0x81) this.onText(bytes.toString("latin1", at + head, at + head + Math.min(size, 60)));
      at += head + size;
    }
    this.rest = bytes.subarray(at);
  }

  private onText(text: string): void {
    if (text.startsWith("welcome")) {
      this.onWelcome();
      return;
    }
    const node = text.slice(0, 36);
    const number = Number.parseInt(text.slice(37), 10);
    const last = this.last.get(node) ?? 0;
    if (number <= last) this.problem ??= `${number} after ${last}`;
    if (number > last + 1) this.missing.set(node, (this.missing.get(node) ?? 0) + number - last - 1);
    this.last.set(node, number);
    this.received++;
  }
}

/** Opens `count` clients, in turn at each of the servers. */
export const openClients = async (
  servers: readonly ServerProcess[],
  count: number,
  query = "",
): Promise<CheckingClient[]> => {
  const clients: CheckingClient[] = [];
  const AT_ONCE = 200;
  for (let i = 0; i < count; i += AT_ONCE) {
    const indices = Array.from({ length: Math.min(AT_ONCE, count - i) }, (_, n) => i + n);
    const open = (n: number): Promise<CheckingClient> =>
      CheckingClient.open(servers[n % servers.length]!.port, query, n);
    clients.push(...(await Promise.all(indices.map(open))));
  }
  return clients;
};

export const closeClients = (clients: readonly CheckingClient[]): void => {
  for (const { socket } of clients) socket.destroy();
};
