/** Where an attack takes place: the server, and the clients that it has to do with. */
import { once } from "node:events";
import type { Duplex } from "node:stream";
import type { MeasuredServer } from "../support/measured-server.ts";
import { type Headers, RawClient } from "../support/raw-client.ts";
import { frame, TEXT } from "../support/raw-frames.ts";
import type { AttackTransport, Costs, Entrance, Knocked } from "./attack.ts";

export const MiB = 1024 * 1024;

export type Client = RawClient<Duplex>;

export class Field {
  /** What the attack measures itself, besides what is always measured. */
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

  /** An open WebSocket that `handler` runs. */
  async connect(handler: string, options: object = {}, headers: Headers = {}): Promise<Client> {
    const target = `/ws/${handler}?options=${encodeURIComponent(JSON.stringify(options))}`;
    const { client, answer } = await this.knock(target, headers);
    const answered = await answer();
    if (answered !== "open") throw new Error(`the server did not open a WebSocket: ${answered}`);
    return client;
  }

  /** An opening handshake, whatever comes of it. */
  knock(target: string, headers: Headers = {}, behind?: Uint8Array): Promise<Knocked> {
    return this.entrance.knock(target, headers, behind);
  }

  /** Only a socket: what is said over it is the attack's own business. */
  async dial(): Promise<RawClient> {
    const client = await RawClient.open(this.server.port);
    this.dialed.push(client);
    return client;
  }

  /** Many at once, but not so many that the listening queue overflows. */
  async many<T>(count: number, make: (index: number) => Promise<T>): Promise<T[]> {
    const made: T[] = [];
    for (let i = 0; i < count; i += 100) {
      made.push(...(await Promise.all(Array.from({ length: Math.min(100, count - i) }, (_, k) => make(i + k)))));
    }
    return made;
  }

  /** Drops who is still there. */
  leave(): void {
    for (const { socket } of this.dialed.splice(0)) socket.destroy();
    this.entrance.leave();
  }

  // --- the server's side

  /** Lets time pass for the sessions: nothing else does. */
  advance(ms: number): Promise<void> {
    return this.server.ask("advance", ms);
  }

  /** Until something has happened so often on the server. */
  reaches(what: string, count: number): Promise<void> {
    return this.server.ask("reaches", what, count);
  }

  /**
   * Until the server reads nobody any more: the flood has become backpressure. Measures what is alive then.
   *
   * @throws Error if the server takes all of it instead
   */
  async heldBack(flooding: Promise<void>): Promise<void> {
    const taken = await Promise.race([this.server.ask("heldBack").then(() => false), flooding.then(() => true)]);
    await this.weigh();
    if (taken) throw new Error(`the server took all of it, and holds ${this.costs.heldMiB} MiB`);
  }

  /** Until so many close frames have arrived at handlers that never settle. */
  closing(count: number): Promise<void> {
    return this.server.ask("closing", count);
  }

  openGate(): Promise<void> {
    return this.server.ask("open");
  }

  shutDown(): Promise<void> {
    return this.server.ask("shutDown");
  }

  /** Measures what is alive now. */
  async weigh(): Promise<void> {
    this.costs.heldMiB = Math.max(this.costs.heldMiB ?? 0, await this.server.ask<number>("heldMiB"));
  }

  /** The least CPU time in ms that the server took for it, in a few goes; one that takes a second says enough. */
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
 * Sends `chunk` again and again, as fast as it is taken, until `octets` are sent, the connection is gone, or `enough`.
 */
export const flood = async (
  { socket }: Client,
  chunk: Uint8Array,
  octets: number,
  enough: Promise<unknown> = new Promise(() => {}),
): Promise<void> => {
  let stopped = false;
  const stop = Promise.race([enough, new Promise((resolve) => socket.once("close", resolve))]).then(() => {
    stopped = true;
  });
  for (let sent = 0; sent < octets && socket.writable && !stopped; sent += chunk.length) {
    if (!socket.write(chunk)) await Promise.race([stop, once(socket, "drain").catch(() => undefined)]);
  }
};

/** So many times the same octets. */
export const times = (count: number, bytes: Uint8Array): Buffer => Buffer.alloc(bytes.length * count, bytes);

/** The server lives, and serves others. */
export const isHealthy = async (client: Client, word = "healthy"): Promise<void> => {
  client.send(frame(TEXT, word));
  const answer = await client.text();
  if (answer !== word) throw new Error(`the server echoed ${answer}`);
};
