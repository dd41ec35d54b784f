/** What an attack acts on: the server and its clients. */
import { once } from "node:events";
import type { Duplex } from "node:stream";
import type { MeasuredServer } from "../support/measured-server.ts";
import { type Headers, RawClient } from "../support/raw-client.ts";
import { frame, TEXT } from "../support/raw-frames.ts";
import type { AttackTransport, Costs, Entrance, Knocked } from "./attack.ts";

export const MiB = 1024 * 1024;

export type Client = RawClient<Duplex>;

export class Field {
  /** The costs that the attack measures itself, besides those that are always measured. */
  readonly costs: { -readonly [Name in keyof Costs]?: Costs[Name] } = {};
  readonly over: AttackTransport["name"];
  private readonly server: MeasuredServer;
  private readonly entrance: Entrance;
  private readonly dialed: RawClient[] = [];

  constructor(server: MeasuredServer, transport: AttackTransport) {
    this.over = transport.name;
    this.server = server;
    this.entrance = transport.enter(server.port);
  }

  /** Opens a WebSocket with the handler of this name. */
  async connect(handler: string, options: object = {}, headers: Headers = {}): Promise<Client> {
    const target = `/ws/${handler}?options=${encodeURIComponent(JSON.stringify(options))}`;
    const { client, answer } = await this.knock(target, headers);
    const answered = await answer();
    if (answered !== "open") throw new Error(`the server did not open a WebSocket: ${answered}`);
    return client;
  }

  /** Sends an opening handshake, which may be refused. */
  knock(target: string, headers: Headers = {}, behind?: Uint8Array): Promise<Knocked> {
    return this.entrance.knock(target, headers, behind);
  }

  /** Opens a TCP connection, over which the attack sends what it wants. */
  async dial(): Promise<RawClient> {
    const client = await RawClient.open(this.server.port);
    this.dialed.push(client);
    return client;
  }

  /** Calls `make` for many clients concurrently, but for so few that the listen backlog does not overflow. */
  async many<T>(count: number, make: (index: number) => Promise<T>): Promise<T[]> {
    const made: T[] = [];
    for (let i = 0; i < count; i += 100) {
      made.push(...(await Promise.all(Array.from({ length: Math.min(100, count - i) }, (_, k) => make(i + k)))));
    }
    return made;
  }

  /** Destroys all connections that are still open. */
  leave(): void {
    for (const { socket } of this.dialed.splice(0)) socket.destroy();
    this.entrance.leave();
  }

  // --- the server's side

  /** Advances the clock of the sessions, which otherwise stands still. */
  advance(ms: number): Promise<void> {
    return this.server.ask("advance", ms);
  }

  /** Resolves when the event `what` has happened `count` times on the server. */
  reaches(what: string, count: number): Promise<void> {
    return this.server.ask("reaches", what, count);
  }

  /**
   * Waits until the server has stopped reading from its clients, and measures the memory in use.
   *
   * @throws Error if the server has read the whole flood instead
   */
  async heldBack(flooding: Promise<void>): Promise<void> {
    const taken = await Promise.race([this.server.ask("heldBack").then(() => false), flooding.then(() => true)]);
    await this.weigh();
    if (taken) throw new Error(`the server has read the whole flood, and holds ${this.costs.heldMiB} MiB`);
  }

  /** Resolves when `count` close frames have arrived on connections whose callbacks never settle. */
  closing(count: number): Promise<void> {
    return this.server.ask("closing", count);
  }

  openGate(): Promise<void> {
    return this.server.ask("open");
  }

  shutDown(): Promise<void> {
    return this.server.ask("shutDown");
  }

  /** Measures the memory in use now, and records it if it is the largest so far. */
  async weigh(): Promise<void> {
    this.costs.heldMiB = Math.max(this.costs.heldMiB ?? 0, await this.server.ask<number>("heldMiB"));
  }

  /** The least CPU time in ms that the server needed for one of `goes` runs; for the first, if it took a second. */
  async time(goes: number, run: () => Promise<unknown>): Promise<number> {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < goes && (i === 0 || least < 1000); i++) {
      const before = await this.server.ask<number>("cpuMs");
      await run();
      least = Math.min(least, (await this.server.ask<number>("cpuMs")) - before);
    }
    return least;
  }
}

/**
 * Sends `chunk` repeatedly, as fast as the socket accepts it, until `size` bytes are sent, the connection is closed, or
 * `enough` settles.
 */
export const flood = async (
  { socket }: Client,
  chunk: Uint8Array,
  size: number,
  enough: Promise<unknown> = new Promise(() => {}),
): Promise<void> => {
  let stopped = false;
  const stop = Promise.race([enough, new Promise((resolve) => socket.once("close", resolve))]).then(() => {
    stopped = true;
  });
  for (let sent = 0; sent < size && socket.writable && !stopped; sent += chunk.length) {
    if (!socket.write(chunk)) await Promise.race([stop, once(socket, "drain").catch(() => undefined)]);
  }
};

/** The bytes, `count` times. */
export const times = (count: number, bytes: Uint8Array): Buffer => Buffer.alloc(bytes.length * count, bytes);

/** Checks that the server still echoes a client's messages. */
export const isHealthy = async (client: Client, word = "healthy"): Promise<void> => {
  client.send(frame(TEXT, word));
  const answer = await client.text();
  if (answer !== word) throw new Error(`the server echoed ${answer}`);
};
