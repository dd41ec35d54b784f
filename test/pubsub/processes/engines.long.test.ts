/** Two and four server processes on real engines, with 10 000 clients and the default times. */
import { describe, expect, test } from "vitest";
import { haveNatsServer, startNatsServer } from "../../support/nats-server.ts";
import { haveRedis } from "../../support/redis-server.ts";
import { openClients, startServers } from "./nodes.ts";
import { endAfterEach, engineKilled, exactlyOnce, serverKilled, startRedisEngine } from "./scenarios.ts";

const DEFAULT_DOWN = 30_000;
const CLIENTS = 10_000;
/**
 * Four servers that publish to 10 000 clients each: 200 000 messages in a second are enough for one process to check.
 */
const LOAD = { every: 200, before: 5, meanwhile: 25 };

const ENGINES = [
  ...(haveRedis()
    ? [
        ["redis", startRedisEngine] as const,
        ["ioredis", startRedisEngine] as const,
        ["iovalkey", startRedisEngine] as const,
      ]
    : []),
  ...(haveNatsServer() ? [["nats", startNatsServer] as const] : []),
];

describe.each(ENGINES)("%s", (client, start) => {
  const running = endAfterEach(60_000);

  test.each([2, 4])(
    "%i processes, 10 000 clients: each message once, in order; an outage; a process that is killed",
    async (count) => {
      const engine = (running.engine = await start());
      const servers = (running.servers = await startServers(count, client, engine.url));
      const clients = (running.clients = await openClients(servers, CLIENTS));
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
