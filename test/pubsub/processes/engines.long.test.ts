/** Two and four server processes on real engines, with 10 000 clients and the default times. */
import { afterEach, describe, expect, test } from "vitest";
import { haveNatsServer, startNatsServer } from "../../support/nats-server.ts";
import { haveRedis, startRedis } from "../../support/redis-server.ts";
import {
  type CheckingClient,
  closeClients,
  openClients,
  type ServerProcess,
  startServers,
  stopServers,
} from "./nodes.ts";
import { type Engine, engineKilled, exactlyOnce, serverKilled } from "./scenarios.ts";

const DEFAULT_DOWN = 30_000;
const CLIENTS = 10_000;
/**
 * Four servers that publish to 10 000 clients each: 200 000 messages in a second are enough for one process to check.
 */
const LOAD = { every: 200, before: 5, meanwhile: 25 };

type Stoppable = Engine & { stop(): Promise<void> };

const redis = async (): Promise<Stoppable> => {
  const server = await startRedis();
  return Object.assign(server, { start: () => server.restart() });
};

const ENGINES = [
  ...(haveRedis() ? [["redis", redis] as const, ["ioredis", redis] as const, ["iovalkey", redis] as const] : []),
  ...(haveNatsServer() ? [["nats", startNatsServer] as const] : []),
];

describe.each(ENGINES)("%s", (client, start) => {
  let engine: Stoppable | undefined;
  let servers: ServerProcess[] = [];
  let clients: CheckingClient[] = [];

  afterEach(async () => {
    closeClients(clients);
    await stopServers(servers);
    await engine?.stop();
    [servers, clients, engine] = [[], [], undefined];
  }, 60_000);

  test.each([2, 4])(
    "%i processes, 10 000 clients: each message once, in order; an outage; a process that is killed",
    async (count) => {
      engine = await start();
      servers = await startServers(count, client, engine.url);
      clients = await openClients(servers, CLIENTS);
      await exactlyOnce(servers, clients, 100);
      const back = await engineKilled(servers, clients, engine, LOAD);
      console.log(
        `${client}, ${count} processes: messages between nodes ${back.toFixed(0)} ms after the engine's start`,
      );
      expect(back).toBeLessThan(5_000);
      await serverKilled(servers, DEFAULT_DOWN);
    },
    300_000,
  );
});
