/** The backplane for Redis, with each client, against a real server. */
import { afterEach, describe, expect, test } from "vitest";
import { redisBackplane } from "websock-js/pubsub/redis";
import type { BackplaneConnection } from "../../../src/pubsub/backplane.ts";
import { freePort, haveRedis, type RedisServer, startRedis } from "../../support/redis-server.ts";
import { startProxy, type TcpProxy } from "../../support/tcp-proxy.ts";
import { failOnUncaught } from "../../support/uncaught.ts";
import { until } from "../engines/engines.ts";
import { publish, RecordingLink } from "./recording-link.ts";
import { CLIENTS, type TestClient, type TestClientOptions } from "./redis-clients.ts";

const have = haveRedis();

failOnUncaught();

interface Node {
  readonly link: RecordingLink;
  readonly connection: BackplaneConnection;
  readonly app: TestClient;
}

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const server = async (options: Parameters<typeof startRedis>[0] = {}): Promise<RedisServer> => {
  const redis = await startRedis(options);
  cleanups.push(redis.stop);
  return redis;
};

const proxyTo = async (redis: RedisServer): Promise<TcpProxy> => {
  const proxy = await startProxy(redis.port);
  cleanups.push(proxy.stop);
  return proxy;
};

describe.skipIf(!have).each(Object.keys(CLIENTS))("%s", (name) => {
  const connect = (options: TestClientOptions, prefix = "test"): Node => {
    const app = CLIENTS[name]!(options);
    const link = new RecordingLink();
    app.open();
    const connection = redisBackplane({ client: app.client, prefix }).connect(link);
    cleanups.push(async () => {
      await connection.close();
      try {
        app.close();
      } catch {
        // The test has closed it.
      }
    });
    return { app, link, connection };
  };

  /** A node that is up, and has subscribed. */
  const up = async (options: TestClientOptions, channels: readonly string[] = [], prefix?: string): Promise<Node> => {
    const node = connect(options, prefix);
    await Promise.all([node.connection.subscribe(channels), node.link.until(() => node.link.status === "up")]);
    return node;
  };

  test("a message reaches the nodes that have subscribed, its publisher included", async () => {
    const { port } = await server();
    const [a, b, c] = await Promise.all([up({ port }, ["t:x", "n:a"]), up({ port }, ["t:x"]), up({ port }, ["t:y"])]);
    expect(await publish(a.connection, "t:x", "one")).toBe(true);
    expect(await publish(a.connection, "n:a", "probe")).toBe(true);
    await a.link.until(() => a.link.received.length === 2);
    await b.link.until(() => b.link.received.length === 1);
    expect(a.link.received).toEqual([
      ["t:x", "one"],
      ["n:a", "probe"],
    ]);
    expect(b.link.received).toEqual([["t:x", "one"]]);
    expect(c.link.received).toEqual([]);
    expect(a.link.warnings).toEqual([]);
  });

  test("channels are added and removed, also in one tick", async () => {
    const { port } = await server();
    const { connection, link } = await up({ port }, ["a"]);
    const added = connection.subscribe(["b", "c"]);
    connection.unsubscribe(["b"]);
    connection.unsubscribe(["a"]);
    const again = connection.subscribe(["a"]);
    await Promise.all([added, again]);
    connection.unsubscribe(["c"]);
    await connection.subscribe(["d"]);
    for (const channel of ["a", "b", "c", "d"]) expect(await publish(connection, channel, channel)).toBe(true);
    await link.until(() => link.received.length === 2);
    expect(link.received).toEqual([
      ["a", "a"],
      ["d", "d"],
    ]);
    await connection.subscribe([]);
  });

  test("the last of many changes counts", async () => {
    const redis = await server();
    const { connection } = await up({ port: redis.port });
    let last = Promise.resolve();
    for (let i = 0; i < 200; i++) {
      last = connection.subscribe(["odd", `all:${i}`]);
      if (i % 2 === 1) connection.unsubscribe(["odd", `all:${i}`]);
      if (i % 5 === 0) await new Promise(setImmediate);
      if (i % 50 === 0) await last;
    }
    await connection.subscribe(["odd"]);
    const reply = await redis.command("PUBSUB", "CHANNELS");
    const even = Array.from({ length: 100 }, (_, i) => `test:all:${2 * i}`);
    expect((reply.match(/test:\S+/g) ?? []).sort()).toEqual([...even, "test:odd"].sort());
  });

  test("channels may have any name", async () => {
    const { port } = await server();
    const names = [
      "with space",
      "with\r\nline end",
      "with\0NUL",
      "*",
      ">",
      "a.*",
      "a?[b]",
      "__proto__",
      "constructor",
      "é",
      "e\u0301",
      "🙂",
      "t:\u{10ffff}",
      "a".repeat(2000),
      "🙂".repeat(1000),
    ];
    const { connection, link } = await up({ port }, [...names, "a.b", "ab"]);
    for (const channel of names) expect(await publish(connection, channel, channel)).toBe(true);
    await link.until(() => link.received.length >= names.length);
    expect(link.received).toEqual(names.map((channel) => [channel, channel]));
  });

  test("bytes arrive as they were published, as a plain Uint8Array", async () => {
    const { port } = await server();
    const { connection, link } = await up({ port }, ["x"]);
    const sizes = [0, 1, 255, 65_536, 1_000_003];
    const seen: Uint8Array[] = [];
    link.onReceive = (_, bytes) => seen.push(bytes);
    for (const size of sizes) {
      // A view into a larger buffer.
      const bytes = new Uint8Array(size + 20).map((_, i) => (i * 7) % 256).subarray(10, size + 10);
      await new Promise((settled) => connection.publish("x", bytes, settled));
    }
    await link.until(() => link.received.length === sizes.length);
    seen.forEach((bytes, index) => {
      expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype);
      expect(bytes.length).toBe(sizes[index]);
      expect(bytes.every((byte, i) => byte === ((i + 10) * 7) % 256)).toBe(true);
    });
  });

  test("prefixes separate applications, databases do not matter", async () => {
    const { port } = await server();
    const [a, b] = await Promise.all([up({ port }, ["all"], "a"), up({ port }, ["all"], "b")]);
    expect(await publish(a.connection, "all", "for a")).toBe(true);
    expect(await publish(b.connection, "all", "for b")).toBe(true);
    await Promise.all([a, b].map(({ link }) => link.until(() => link.received.length > 0)));
    expect(a.link.received).toEqual([["all", "for a"]]);
    expect(b.link.received).toEqual([["all", "for b"]]);
  });

  test("it connects when the server is there", async () => {
    const port = await freePort();
    const { connection, link } = connect({ port });
    const subscribed = connection.subscribe(["x"]);
    await link.until(() => link.status === "away");
    expect(String(link.causes[0])).toMatch(/ECONNREFUSED/);
    await server({ port });
    await subscribed;
    await link.until(() => link.status === "up");
    expect(await publish(connection, "x", "hello")).toBe(true);
    await link.until(() => link.received.length === 1);
    expect(link.causes).toHaveLength(1);
  });

  test("the server is killed and started again", async () => {
    const redis = await server();
    const { connection, link } = await up({ port: redis.port, silent: true }, ["x", "gone"]);
    await redis.kill9();
    await link.until(() => link.status === "away");
    connection.unsubscribe(["gone"]);
    let subscribed = false;
    const more = connection.subscribe(["more"]).then(() => {
      subscribed = true;
    });
    await new Promise(setImmediate);
    expect(subscribed).toBe(false);
    // The link does not publish while it is away. If it did, nothing would be kept for later.
    expect(await publish(connection, "x", "too late")).toBe(false);
    const started = performance.now();
    await redis.restart();
    await link.until(() => link.status === "up");
    expect(performance.now() - started).toBeLessThan(5000);
    await more;
    for (const channel of ["gone", "x", "more"]) expect(await publish(connection, channel, channel)).toBe(true);
    await link.until(() => link.received.length === 2);
    expect(link.received).toEqual([
      ["x", "x"],
      ["more", "more"],
    ]);
    expect(link.ups).toBe(2);
    expect(link.causes).toHaveLength(1);
  });

  test("a wrong password is reported, and can be corrected on the server", async () => {
    const redis = await server({ config: ["requirepass right"] });
    const { link } = connect({ port: redis.port, password: "wrong", silent: name === "redis" });
    await link.until(() => link.causes.length > 0);
    expect(String(link.causes[0])).toMatch(/WRONGPASS/);
    expect(link.status).toBe("away");
  });

  test("the application closes its client, and opens it again", async () => {
    const { port } = await server();
    const { app, connection, link } = await up({ port }, ["x"]);
    app.close();
    await link.until(() => link.status === "forever");
    expect(link.causes.at(-1)).toBeInstanceOf(Error);
    expect(await publish(connection, "x", "lost")).toBe(false);
    app.open();
    await link.until(() => link.status === "up");
    expect(await publish(connection, "x", "hello")).toBe(true);
    await link.until(() => link.received.length === 1);
  });

  test("a client that does not connect again is away forever, and was reported", async () => {
    const redis = await server();
    const { link } = await up({ port: redis.port, retry: false });
    expect(link.warnings).toHaveLength(1);
    expect(link.warnings[0]).toMatch(/does not connect to Redis again.*Math\.min\(50 \*/);
    await redis.kill9();
    await link.until(() => link.status === "forever");
  });

  test("slow attempts to connect are reported once, with what to set", async () => {
    const redis = await server();
    const { link } = await up({ port: redis.port, retry: "default" });
    // ioredis 6 waits for up to five seconds.
    const expected = name === "ioredis" ? [/waits for up to 5\d\d\d ms .* Math\.min\(50 \* times, 1000\)/] : [];
    expect(link.warnings).toEqual(expected.map((message) => expect.stringMatching(message)));
    await redis.kill9();
    await link.until(() => link.status === "away");
    await redis.restart();
    await link.until(() => link.status === "up");
    expect(link.warnings).toHaveLength(expected.length);
  });

  test("subscribe is pending until the server has confirmed", async () => {
    const redis = await server();
    const proxy = await proxyTo(redis);
    const { connection } = await up({ port: proxy.port }, ["first"]);
    proxy.delay(500);
    const sent = proxy.sent(/test:second/);
    let confirmed = false;
    const subscribed = connection.subscribe(["second"]).then(() => {
      confirmed = true;
    });
    await sent;
    // The server knows the channel, but its reply is on its way.
    while (!(await redis.command("PUBSUB", "NUMSUB", "test:second")).includes(":1\r\n"))
      await new Promise(setImmediate);
    expect(confirmed).toBe(false);
    // A channel that was already asked for is not confirmed earlier.
    let again = false;
    const second = connection.subscribe(["second"]).then(() => {
      again = true;
    });
    await new Promise(setImmediate);
    expect(again).toBe(false);
    await Promise.all([subscribed, second]);
  });

  test("a channel that is removed before it was confirmed, and then added again, is subscribed", async () => {
    const redis = await server();
    const proxy = await proxyTo(redis);
    const { connection } = await up({ port: proxy.port });
    proxy.delay(200);
    const subscribers = (count: number): Promise<void> =>
      until(async () => (await redis.command("PUBSUB", "NUMSUB", "test:x")).includes(`:${count}\r\n`));
    const confirmed = connection.subscribe(["x"]);
    await subscribers(1);
    connection.unsubscribe(["x"]);
    // A client that sends this at once receives the two replies one after the other.
    await Promise.race([confirmed, subscribers(0)]);
    await confirmed;
    await connection.subscribe(["x"]);
    proxy.delay(0);
    await connection.subscribe([]);
    await subscribers(1);
  });

  test("up is told when all subscriptions are confirmed", async () => {
    const redis = await server();
    const proxy = await proxyTo(redis);
    const channels = Array.from({ length: 2_000 }, (_, i) => `channel ${i}`);
    const { link, connection } = connect({ port: proxy.port });
    await connection.subscribe(channels);
    proxy.cut();
    await link.until(() => link.status === "away");
    await link.until(() => link.status === "up");
    const reply = await redis.command("PUBSUB", "CHANNELS");
    expect(reply.match(/test:channel/g)).toHaveLength(2_000);
  });

  test("a publish whose reply is lost is settled once, as failed", async () => {
    const redis = await server();
    const proxy = await proxyTo(redis);
    const other = await up({ port: redis.port }, ["x"]);
    const { link, connection } = await up({ port: proxy.port });
    proxy.swallow(true);
    const settled = Promise.all(["1", "2", "3"].map((message) => publish(connection, "x", message)));
    await other.link.until(() => other.link.received.length === 3);
    proxy.swallow(false);
    proxy.cut();
    expect(await settled).toEqual([false, false, false]);
    await link.until(() => link.status === "up" && link.causes.length === 1);
    expect(await publish(connection, "x", "4")).toBe(true);
    // ioredis and iovalkey send again what was not answered: the PubSub drops duplicates.
    await other.link.until(() => other.link.received.some(([, message]) => message === "4"));
  });

  test("a publish that is pending is settled by close", async () => {
    const proxy = await proxyTo(await server());
    const { connection } = await up({ port: proxy.port });
    proxy.swallow(true);
    const settled = publish(connection, "x", "1");
    await connection.close();
    expect(await settled).toBe(false);
    // Nothing throws afterwards.
    expect(await publish(connection, "x", "2")).toBe(false);
    await connection.subscribe(["y"]);
    connection.unsubscribe(["y"]);
    connection.reconnect();
    await connection.close();
  });

  test("reconnect gives up what is unsettled: the connection may be half-open", async () => {
    const redis = await server();
    const proxy = await proxyTo(redis);
    const { link, connection, app } = await up({ port: proxy.port }, ["x"]);
    proxy.delay(300);
    const settlements = [publish(connection, "x", "1"), publish(connection, "x", "2")];
    // It is answered after them: what comes later is ignored, and `publish` allows no second settlement.
    const later = app.ping();
    let answered = false;
    void later.then(() => {
      answered = true;
    });
    connection.reconnect();
    expect(await Promise.all(settlements)).toEqual([false, false]);
    expect(answered).toBe(false);
    await later;
    await link.until(() => link.ups === 2);
    expect(await publish(connection, "x", "3")).toBe(true);
  });

  test("reconnect moves the subscriptions to a new connection", async () => {
    const [one, two] = [await server(), await server()];
    const proxy = await proxyTo(one);
    const { link, connection } = await up({ port: proxy.port }, ["x"]);
    const { accepted } = proxy;
    proxy.upstream(two.port);
    connection.reconnect();
    await link.until(() => link.ups === 2);
    expect(proxy.accepted).toBe(accepted + 1);
    expect(await two.command("PUBSUB", "NUMSUB", "test:x")).toMatch(/:1\r\n$/);
    expect(await one.command("PUBSUB", "NUMSUB", "test:x")).toMatch(/:0\r\n$/);
    // The link knows that it was away.
    expect(link.causes).toEqual([]);
  });

  test("close removes all listeners and connections, and leaves the client", async () => {
    const redis = await server();
    const app = CLIENTS[name]!({ port: redis.port });
    cleanups.push(app.close);
    app.open();
    await app.ping();
    const before = app.listeners();
    const link = new RecordingLink();
    const connection = redisBackplane({ client: app.client, prefix: "test" }).connect(link);
    await connection.subscribe(["x"]);
    await link.until(() => link.status === "up");
    expect(app.listeners()).toBeGreaterThan(before);
    await connection.close();
    expect(app.listeners()).toBe(before);
    while (!(await redis.command("PUBSUB", "NUMSUB", "test:x")).includes(":0\r\n")) await new Promise(setImmediate);
    expect(await app.ping()).toBe("PONG");
    expect(link.causes).toEqual([]);
  });
});

test.skipIf(!have).each(["ioredis", "iovalkey"])(
  "%s with lazyConnect is connected, unless the application does",
  async (name) => {
    const { port } = await server();
    for (const open of [false, true]) {
      const app = CLIENTS[name]!({ port });
      const link = new RecordingLink();
      const connection = redisBackplane({ client: app.client, prefix: "test" }).connect(link);
      cleanups.push(connection.close.bind(connection), app.close);
      if (open) await app.connect();
      await link.until(() => link.status === "up");
    }
  },
);

describe("options", () => {
  const client = CLIENTS.ioredis!({ port: 1 }).client;

  test.each([
    ["none", undefined, /options must be an object/],
    ["misspelt", { client, prefix: "a", prefx: "b" }, /unknown option "prefx"/],
    [
      "no prefix",
      { client },
      /option "prefix" must be a string of 1 to 200 characters except colons, without lone surrogates, not undefined/,
    ],
    ["empty prefix", { client, prefix: "" }, /prefix/],
    ["a colon", { client, prefix: "a:b" }, /prefix/],
    ["a lone surrogate", { client, prefix: "\ud800" }, /prefix/],
    ["a long prefix", { client, prefix: "a".repeat(201) }, /prefix/],
    [
      "no client",
      { prefix: "a" },
      /option "client" must be a client of redis \(5 or later\), ioredis \(5 or later\) or iovalkey, not/,
    ],
    ["another object", { client: new Map(), prefix: "a" }, /not a Map/],
    ["half a client", { client: { on() {}, off() {}, duplicate() {}, pSubscribe() {} }, prefix: "a" }, /not an object/],
  ])("%s", (_, options, message) => {
    expect(() => redisBackplane(options as never)).toThrow(message);
    expect(() => redisBackplane(options as never)).toThrow(TypeError);
  });
});
