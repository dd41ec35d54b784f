/** What takes the Redis backplane long: very many channels, and servers that answer nothing. */
import { afterEach, describe, expect, test } from "vitest";
import { redisBackplane } from "websock-js/pubsub/redis";
import { watchTicks } from "../../support/longest-tick.ts";
import { haveRedis, startRedis } from "../../support/redis-server.ts";
import { startProxy } from "../../support/tcp-proxy.ts";
import { failOnUncaught } from "../../support/uncaught.ts";
import { publish, RecordingLink } from "./recording-link.ts";
import { CLIENTS, type TestClientOptions } from "./redis-clients.ts";

failOnUncaught();

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

describe.skipIf(!haveRedis()).each(Object.keys(CLIENTS))("%s", (name) => {
  const connect = (port: number, retry: TestClientOptions["retry"] = 50) => {
    const app = CLIENTS[name]!({ port, retry });
    cleanups.push(app.close);
    app.open();
    const link = new RecordingLink();
    const connection = redisBackplane({ client: app.client, prefix: "long" }).connect(link);
    cleanups.push(() => connection.close());
    return { link, connection };
  };

  test("100 000 channels are confirmed within five seconds after the server is back", {
    timeout: 120_000,
  }, async () => {
    const redis = await startRedis();
    cleanups.push(redis.stop);
    const { link, connection } = connect(redis.port);
    const channels = Array.from({ length: 100_000 }, (_, i) => `t:room:${i}`);
    const first = performance.now();
    await connection.subscribe(channels);
    const subscribed = Math.round(performance.now() - first);
    await link.until(() => link.status === "up");
    await redis.kill9();
    await link.until(() => link.status === "away");
    await redis.restart();
    const ticks = watchTicks();
    const started = performance.now();
    const before = process.cpuUsage();
    await link.until(() => link.status === "up");
    const back = Math.round(performance.now() - started);
    const { user, system } = process.cpuUsage(before);
    const cpu = Math.round((user + system) / 1_000);
    const longest = ticks();
    expect(await redis.command("PUBSUB", "NUMSUB", "long:t:room:0", "long:t:room:99999")).toMatch(/:1\r\n.*:1\r\n$/s);
    expect(await publish(connection, channels.at(-1)!, "hello")).toBe(true);
    await link.until(() => link.received.length === 1);
    console.log(
      `${name}: subscribed in ${subscribed} ms, again in ${back} ms (${cpu} ms of CPU); longest tick ${longest} ms of CPU`,
    );
    expect(longest).toBeLessThan(50);
    // On a machine that has a core to spare, this is also the time that it takes.
    expect(cpu).toBeLessThan(5_000);
  });

  test("a server that does not answer while it connects is given up after ten seconds", {
    timeout: 60_000,
  }, async () => {
    const redis = await startRedis();
    cleanups.push(redis.stop);
    const proxy = await startProxy(redis.port);
    cleanups.push(proxy.stop);
    const { link, connection } = connect(proxy.port);
    await connection.subscribe(["x"]);
    // Only the new connection is held: the client that was handed in stays connected.
    const { accepted } = proxy;
    proxy.hold(true);
    connection.reconnect();
    while (proxy.accepted === accepted) await new Promise(setImmediate);
    proxy.hold(false);
    await link.until(() => link.ups === 2);
    expect(await publish(connection, "x", "hello")).toBe(true);
    await link.until(() => link.received.length === 1);
  });

  test("a function of the application that waits too long is reported when it has done so", {
    timeout: 60_000,
  }, async () => {
    const redis = await startRedis();
    cleanups.push(redis.stop);
    const { link } = connect(redis.port, () => 3_000);
    await link.until(() => link.status === "up");
    expect(link.warnings).toEqual([]);
    await redis.kill9();
    await link.until(() => link.warnings.length > 0);
    expect(link.warnings[0]).toMatch(/waits for 30?\d\d ms before it connects to Redis again: set .*Math\.min\(50 \*/);
    await redis.restart();
    await link.until(() => link.status === "up");
  });
});
