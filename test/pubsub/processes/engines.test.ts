/** Server processes on real engines. The same with 10 000 clients and longer outages: `engines.long.test.ts`. */
import { describe, expect, test } from "vitest";
import { haveNatsServer, startNatsServer } from "../../support/nats-server.ts";
import { haveRedis } from "../../support/redis-server.ts";
import { type Client, openClients, startServers } from "./nodes.ts";
import { type Engine, endAfterEach, engineKilled, exactlyOnce, serverKilled, startRedisEngine } from "./scenarios.ts";

/** A tenth or less of the defaults. */
const TIMES = { linger: 200, probe: 1_500, beat: 500, down: 3_000 };
const CLIENTS = 200;
const LOAD = { every: 5, before: 20, meanwhile: 100 };

const hasRedis = haveRedis();
const hasNats = haveNatsServer();

const ENGINES: readonly [Client, (() => Promise<Engine>) | undefined, boolean][] = [
  ["redis", startRedisEngine, hasRedis],
  ["nats", startNatsServer, hasNats],
  ["cluster", undefined, true],
];

describe.each(ENGINES.filter(([, , isInstalled]) => isInstalled))("%s", (client, start) => {
  const running = endAfterEach();

  test("two processes: each message once, in order; an outage of the engine; a process that is killed", async () => {
    const engine = (running.engine = await start?.());
    const servers = (running.servers = await startServers(2, client, engine?.url, TIMES));
    const clients = (running.clients = await openClients(servers, CLIENTS));
    await exactlyOnce(servers, clients, 400);
    if (engine !== undefined) expect(await engineKilled(servers, clients, engine, LOAD)).toBeLessThan(5_000);
    await serverKilled(servers, TIMES.down);
  });
});
