/** Server processes on real engines. The same with 10 000 clients and longer outages: `engines.long.test.ts`. */
import { afterEach, describe, expect, test } from "vitest";
import { haveNatsServer, startNatsServer } from "../../support/nats-server.ts";
import { haveRedis, startRedis } from "../../support/redis-server.ts";
import {
  type CheckingClient,
  type Client,
  closeClients,
  openClients,
  type ServerProcess,
  startServers,
  stopServers,
} from "./nodes.ts";
import { type Engine, engineKilled, exactlyOnce, serverKilled } from "./scenarios.ts";

/** A tenth or less of the defaults. */
const TIMES = { linger: 200, probe: 1_500, beat: 500, down: 3_000 };
const CLIENTS = 200;
const LOAD = { every: 5, before: 20, meanwhile: 100 };

const redis = async (): Promise<Engine & { stop(): Promise<void> }> => {
  const server = await startRedis();
  return Object.assign(server, { start: () => server.restart() });
};

const hasRedis = haveRedis();
const hasNats = haveNatsServer();

const ENGINES: readonly [Client, (() => Promise<Engine & { stop(): Promise<void> }>) | undefined, boolean][] = [
  ["redis", redis, hasRedis],
  ["ioredis", redis, hasRedis],
  ["iovalkey", redis, hasRedis],
  ["nats", startNatsServer, hasNats],
  ["cluster", undefined, true],
];

describe.each(ENGINES.filter(([, , isInstalled]) => isInstalled))("%s", (client, start) => {
  let engine: (Engine & { stop(): Promise<void> }) | undefined;
  let servers: ServerProcess[] = [];
  let clients: CheckingClient[] = [];

  afterEach(async () => {
    closeClients(clients);
    await stopServers(servers);
    await engine?.stop();
    [servers, clients, engine] = [[], [], undefined];
  });

  test("two processes: each message once, in order; an outage of the engine; a process that is killed", async () => {
    engine = await start?.();
    servers = await startServers(2, client, engine?.url, TIMES);
    clients = await openClients(servers, CLIENTS);
    await exactlyOnce(servers, clients, 400);
    if (engine !== undefined) expect(await engineKilled(servers, clients, engine, LOAD)).toBeLessThan(5_000);
    await serverKilled(servers, TIMES.down);
  });
});
