/** What server processes on one engine must do, for few clients and for many. */
import { afterEach, expect } from "vitest";
import { startRedis } from "../../support/redis-server.ts";
import { type CheckingClient, closeClients, openClients, type ServerProcess, stopServers, until } from "./nodes.ts";

export interface Engine {
  readonly url: string;
  kill9(): Promise<void>;
  /** Starts the engine again on the same port. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export const startRedisEngine = async (): Promise<Engine> => {
  const server = await startRedis();
  return Object.assign(server, { start: () => server.restart() });
};

/** What a test has started. It is ended after the test. */
export interface Running {
  engine: Engine | undefined;
  servers: ServerProcess[];
  clients: CheckingClient[];
}

export const endAfterEach = (timeout?: number): Running => {
  const running: Running = { engine: undefined, servers: [], clients: [] };
  afterEach(async () => {
    closeClients(running.clients);
    await stopServers(running.servers);
    await running.engine?.stop();
    Object.assign(running, { engine: undefined, servers: [], clients: [] });
  }, timeout);
  return running;
};

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, one) => total + one, 0);

/** No client has received something twice, or in the wrong order. */
const expectOrder = (clients: readonly CheckingClient[]): void => {
  expect(clients.map(({ problem }) => problem).filter((problem) => problem !== undefined)).toEqual([]);
  expect(clients.filter(({ isOpen }) => !isOpen)).toEqual([]);
};

/** All servers publish at the same time: each client receives everything once, in the order of each server. */
export const exactlyOnce = async (
  servers: readonly ServerProcess[],
  clients: readonly CheckingClient[],
  count: number,
): Promise<void> => {
  const accepted = await Promise.all(
    servers.map((server) => server.command<number>("publish", { from: 1, count, perTick: 20 })),
  );
  expect(accepted).toEqual(servers.map(() => count));
  await until(() => clients.every(({ received }) => received >= servers.length * count));
  expectOrder(clients);
  for (const { missing, last, received } of clients) {
    expect(missing.size).toBe(0);
    expect(received).toBe(servers.length * count);
    expect([...last.values()]).toEqual(servers.map(() => count));
  }
  for (const server of servers) {
    const { backplane } = (await server.state()).stats;
    expect(backplane).toMatchObject({ duplicates: 0, missed: 0, droppedAway: 0, droppedBacklog: 0, malformed: 0 });
    // One envelope for what was published in an event-loop tick, and some for beats.
    expect(backplane!.sentEnvelopes).toBeLessThan(count / 20 + 50);
  }
};

/** How much each server publishes, in messages. */
export interface Load {
  /** The interval in milliseconds. */
  readonly every: number;
  /** How many messages each server receives from each other one, before the engine is killed. */
  readonly before: number;
  /** How many messages it publishes before the engine is started again. */
  readonly meanwhile: number;
}

/**
 * The engine is killed under load, and started again.
 *
 * @returns how long after its start each server has received from another one again, in milliseconds
 */
export const engineKilled = async (
  servers: readonly ServerProcess[],
  clients: readonly CheckingClient[],
  engine: Engine,
  load: Load,
): Promise<number> => {
  const clientOf = (index: number): CheckingClient => clients[index]!;
  const receivedFrom = (client: CheckingClient, server: ServerProcess): number => client.last.get(server.node) ?? 0;
  for (const client of clients) client.last.clear();
  for (const server of servers) await server.command("start", { ms: load.every });
  await until(() =>
    servers.every((_, i) => servers.every((server) => receivedFrom(clientOf(i), server) > load.before)),
  );

  const before = await Promise.all(servers.map((server) => server.state()));
  await engine.kill9();
  await until(async () => (await Promise.all(servers.map((s) => s.state()))).every(({ status }) => status === "away"));
  // Local delivery goes on.
  const local = servers.map((server, i) => receivedFrom(clientOf(i), server));
  await until(() => servers.every((server, i) => receivedFrom(clientOf(i), server) > local[i]! + load.meanwhile));
  const remote = servers.map((_, i) => servers.map((server) => receivedFrom(clientOf(i), server)));

  const started = performance.now();
  await engine.start();
  await until(() =>
    servers.every((_, i) =>
      servers.every((server, n) => i === n || receivedFrom(clientOf(i), server) > remote[i]![n]!),
    ),
  );
  const back = performance.now() - started;

  const last = await Promise.all(servers.map((server) => server.command<number>("halt")));
  await until(() => clients.every((client) => servers.every((server, n) => receivedFrom(client, server) === last[n])));
  expectOrder(clients);
  const after = await Promise.all(servers.map((server) => server.state()));
  for (const [i, server] of servers.entries()) {
    const { missing } = clientOf(i);
    expect(missing.get(server.node)).toBeUndefined();
    // The first member was told how much is missing, exactly; and once that something may be.
    expect(after[i]!.gaps.known - before[i]!.gaps.known).toBe(sum(missing.values()));
    expect(after[i]!.gaps.unknown - before[i]!.gaps.unknown).toBe(1);
    expect(sum(missing.values())).toBeGreaterThan(0);
    expect(after[i]!.stats.backplane!.unacknowledgedBytes).toBe(0);
    expect(after[i]!.rss - before[i]!.rss).toBeLessThan(64 * 1024 * 1024);
  }
  for (const { missing } of clients) missing.clear();
  return back;
};

/** A server is killed: the others go on, and the people of its connections leave. */
export const serverKilled = async (servers: readonly ServerProcess[], down: number): Promise<void> => {
  const [killed, ...others] = servers as readonly [ServerProcess, ...ServerProcess[]];
  const clients: CheckingClient[] = [];
  for (const [i, server] of servers.entries()) {
    clients.push(...(await openClients([server], 2, `room=presence&user=user${i}`)));
  }
  const present = (server: ServerProcess): Promise<string[]> => server.command("present", { room: "presence" });
  const everybody = servers.map((_, i) => `user${i}`);
  await until(async () =>
    (await Promise.all(servers.map(present))).every((users) => users.join() === everybody.join()),
  );
  killed.kill("SIGKILL");
  const at = performance.now();
  await until(async () =>
    (await Promise.all(others.map(present))).every((users) => users.join() === everybody.slice(1).join()),
  );
  // The clock is late by up to 400 ms, and a node is looked after at each beat.
  expect(performance.now() - at).toBeLessThan(down + 2_000);
  const from = clients.slice(2);
  const received = from.map((client) => client.received);
  await others[0]!.command("publish", { room: "presence", from: 1, count: 10 });
  await until(() => from.every((client, i) => client.received === received[i]! + 10));
  for (const { socket } of clients) socket.destroy();
};
