/** What is published on one node reaches the members on others: once, completely, and nobody else (PUBSUB.md §4). */
import { afterEach, describe, expect, test, vi } from "vitest";
import { text } from "../../../src/message.ts";
import { failOnUncaught } from "../../support/uncaught.ts";
import { join, tick } from "../members.ts";
import {
  announce,
  CLIENTS,
  cleanUpAfterEach,
  NATS,
  openClient,
  PREFIX,
  proxyTo,
  REDIS,
  settled,
  startEngine,
  startNodes,
  startRedisEngine,
  TestNode,
  TIMES,
  until,
} from "./engines.ts";

failOnUncaught();
cleanUpAfterEach();
afterEach(() => vi.restoreAllMocks());

/** No beats are counted during a test. */
const SILENT = { beat: 60_000, down: 120_000, probe: 60_000 };

describe.each(REDIS)("%s", (name) => {
  test("1: what the client sends again after a lost connection is dropped", async () => {
    const redis = await startEngine(name);
    const proxy = await proxyTo(redis);
    const [publisher, receiver] = await startNodes(name, [proxy.port, redis.port], SILENT);
    const member = await receiver!.join(["room"], { onGap: announce });
    publisher!.publish("1");
    await until(() => member.texts().length === 1 && publisher!.backplane.unacknowledgedBytes === 0);
    proxy.swallow(true);
    for (const number of ["2", "3", "4"]) {
      expect(publisher!.publish(number)).toBe(true);
      await tick();
    }
    await until(() => member.texts().length === 4);
    proxy.swallow(false);
    proxy.cut();
    await publisher!.is("away");
    await settled([publisher!, receiver!]);
    publisher!.publish("5");
    publisher!.publish("6");
    await until(() => member.texts().includes("6"));
    expect(member.texts()).toEqual(["1", "2", "3", "4", "5", "6"]);
    // node-redis rejects what was not answered instead.
    expect(receiver!.backplane.duplicates).toBe(name === "redis" ? 0 : 3);
    expect(receiver!.backplane.missed).toBe(0);
    expect(publisher!.backplane.rejected).toBe(3);
  });
});

describe.each(CLIENTS)("%s", (name) => {
  test("6: `ready` is pending until the engine has confirmed", async () => {
    const engine = await startEngine(name);
    const proxy = await proxyTo(engine);
    const [publisher, receiver] = await startNodes(name, [engine.port, proxy.port], SILENT);
    proxy.delay(500);
    const member = await join(receiver!.pubsub, ["room"]);
    let isReady: boolean | undefined;
    const ready = receiver!.pubsub
      .topic<string>("room")
      .subscribe(member.self)
      .ready.then((value) => (isReady = value));
    await until(async () => (await engine.subscribers("t:room")) === 1);
    expect(isReady).toBeUndefined();
    expect(await ready).toBe(true);
    publisher!.publish("after");
    await until(() => member.texts().length > 0);
    expect(member.texts()).toEqual(["after"]);
  });

  test("6: nothing is lost that is published elsewhere after `ready`", async () => {
    const engine = await startEngine(name);
    const [publisher, receiver] = await startNodes(name, [engine.port, engine.port], SILENT);
    const member = await join(receiver!.pubsub, []);
    const COUNT = 1_000;
    for (let i = 0; i < COUNT; i++) {
      expect(await receiver!.pubsub.topic<string>(`room ${i}`).subscribe(member.self).ready).toBe(true);
      expect(publisher!.publish(String(i), `room ${i}`)).toBe(true);
    }
    await until(() => member.texts().length === COUNT);
    expect(member.texts()).toEqual(Array.from({ length: COUNT }, (_, i) => String(i)));
  });

  test("9: nodes without members of a topic receive nothing of it", async () => {
    const { port, subscribers } = await startEngine(name);
    const nodes = await startNodes(name, [port, port, port, port], { ...SILENT, linger: TIMES.linger });
    const [one, ...others] = nodes as [TestNode, ...TestNode[]];
    const member = await one.join();
    expect(await subscribers("t:room")).toBe(1);
    const before = nodes.map(({ backplane }) => backplane.receivedEnvelopes);
    for (let i = 0; i < 100; i++) {
      for (const node of nodes) node.publish("x");
      await tick();
    }
    await until(() => member.texts().length === 400);
    await settled(nodes);
    // What comes after these was published before them.
    for (const node of others) await node.join(["barrier"]);
    for (const node of nodes) node.publish("end", "barrier");
    await until(() => others.every(({ backplane }, i) => backplane.receivedEnvelopes >= before[i + 1]! + 3));
    expect(others.map(({ backplane }, i) => backplane.receivedEnvelopes - before[i + 1]!)).toEqual([3, 3, 3]);
    expect(one.backplane.receivedEnvelopes - before[0]!).toBe(300);
    expect(one.backplane.channels).toBe(3);
    one.pubsub.topic("room").unsubscribe(member.self);
    expect(await subscribers("t:room")).toBe(1);
    await until(async () => (await subscribers("t:room")) === 0);
    expect(one.backplane.channels).toBe(2);
  });

  test("9: members who come and go cost at most one subscription in each linger time", async () => {
    const { port } = await startEngine(name);
    const LINGER = 2_000;
    const [node] = await startNodes(name, [port], { ...SILENT, linger: LINGER });
    const { self } = await join(node!.pubsub, []);
    const topic = node!.pubsub.topic<string>("room");
    const before = node!.backplane.subscribed;
    const started = performance.now();
    for (let i = 0; i < 10_000; i++) {
      topic.subscribe(self);
      topic.unsubscribe(self);
      if (i % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 8));
    }
    const lingers = (performance.now() - started) / LINGER;
    expect(node!.backplane.subscribed - before).toBeGreaterThanOrEqual(1);
    expect(node!.backplane.subscribed - before).toBeLessThanOrEqual(1 + lingers);
  });

  test("13: topics may have any name, and none is mistaken for another one", async () => {
    const { port } = await startEngine(name);
    const [publisher, receiver] = await startNodes(name, [port, port], SILENT);
    const topics = [
      ...["*", ">", "a.*", "a.b", "a..b", "a.>", "a", ".", "..", "a?", "[ab]", "a*", "t:a", "a:b"],
      ...[" ", "a b", "\r\n", "\n", "a\r\nPING\r\n", "\0", "a\0", "a\0b", "__proto__", "constructor", "all", "n:a"],
      ...["é", "e\u0301", "🙂", "\ud83d", "\ude42", "\ude42\ud83d", "\ufffd", "u:d83d", "a=2Eb", "~a"],
      ...["a".repeat(512), `${"a".repeat(511)}b`, "🙂".repeat(256), "\u{ffff}".repeat(512)],
    ];
    const members = await Promise.all(topics.map((topic) => receiver!.join([topic])));
    // Nobody has subscribed to these: they must not match any of the others.
    const foreign = ["b", "a.c", "a?b", "ab", "aa", "A", "a.b.c", "\ud83e", "~b", "a=2E", `${"a".repeat(511)}c`];
    for (const topic of foreign) expect(publisher!.publish("wrong", topic)).toBe(true);
    for (const [i, topic] of topics.entries()) expect(publisher!.publish(`${i}`, topic)).toBe(true);
    for (const topic of topics) expect(publisher!.publish("end", topic)).toBe(true);
    await until(() => members.every((member) => member.texts().includes("end")));
    expect(members.map((member) => member.texts())).toEqual(topics.map((_, i) => [`${i}`, "end"]));
    for (const topic of ["", "a".repeat(513), "a".repeat(5_000)])
      expect(() => receiver!.pubsub.topic(topic)).toThrow(RangeError);
    expect(publisher!.count("away") + receiver!.count("away")).toBe(0);
    expect(receiver!.backplane.malformed).toBe(0);
  });

  test("16: two applications with different prefixes do not reach each other", async () => {
    const { port } = await startEngine(name);
    const [a, b] = await startNodes(name, [port, port], { ...SILENT, prefix: "a" });
    const [c] = await startNodes(name, [port], { ...SILENT, prefix: "a.b" });
    const [inA, inC] = [await b!.join(), await c!.join()];
    c!.publish("from c");
    a!.publish("from a");
    c!.pubsub.topic("room").stop("from c");
    a!.publish("end");
    await until(() => inA.texts().includes("end"));
    expect(inA.texts()).toEqual(["from a", "end"]);
    expect((await inC.client.ended).reason).toEqual({ error: "from c" });
    expect(inC.texts()).toEqual(["from c"]);
    expect([a, b, c].map((node) => node!.backplane.nodes)).toEqual([2, 2, 1]);
  });

  test("16: two PubSubs in one process, with one client, are two nodes", async () => {
    const { port } = await startEngine(name);
    const app = await openClient(name, port);
    const nodes = [new TestNode(app, SILENT), new TestNode(app, SILENT)];
    await settled(nodes);
    const [a, b] = nodes as [TestNode, TestNode];
    expect(a.pubsub.node).not.toBe(b.pubsub.node);
    const [inA, inB] = [await a.join(), await b.join()];
    for (let i = 0; i < 10; i++) {
      a.publish(`a${i}`);
      b.publish(`b${i}`);
    }
    await until(() => inA.texts().length >= 20 && inB.texts().length >= 20);
    await settled(nodes);
    for (const member of [inA, inB])
      for (const from of ["a", "b"])
        expect(member.texts().filter((content) => content.startsWith(from))).toEqual(
          Array.from({ length: 10 }, (_, i) => `${from}${i}`),
        );
    await a.pubsub.close();
    expect(b.publish("alone")).toBe(true);
    await until(() => inB.texts().includes("alone"));
    await until(() => b.backplane.nodes === 1);
    await app.ping();
  });

  test("26: the engine gets one publish for each topic and event-loop tick", async () => {
    const { port } = await startEngine(name);
    const [publisher, receiver] = await startNodes(name, [port, port], SILENT);
    const member = await receiver!.join(["a", "b", "c"]);
    const before = [publisher!.backplane.sentEnvelopes, receiver!.backplane.receivedEnvelopes];
    for (let turn = 0; turn < 5; turn++) {
      for (let i = 0; i < 20; i++) for (const topic of ["a", "b", "c"]) publisher!.publish("x", topic);
      await tick();
    }
    await until(() => member.texts().length === 300);
    expect(publisher!.backplane.sentEnvelopes - before[0]!).toBe(15);
    expect(receiver!.backplane.receivedEnvelopes - before[1]!).toBe(15);
  });
});

describe.skipIf(REDIS.length === 0)("Redis", () => {
  test("16: databases do not separate nodes", async () => {
    const redis = await startRedisEngine();
    const { Redis } = await import("ioredis");
    const { redisBackplane } = await import("websock-js/pubsub/redis");
    const clients = [0, 3].map((db) => new Redis(redis.port, { db }));
    const nodes = clients.map((client) => {
      const ping = (): Promise<unknown> => client.ping();
      const app = { backplane: (prefix = PREFIX) => redisBackplane({ client, prefix }), ping, nats: undefined };
      return new TestNode(app, SILENT);
    });
    await settled(nodes);
    const member = await nodes[1]!.join();
    nodes[0]!.publish("hello");
    await until(() => member.texts().length > 0);
    expect(member.texts()).toEqual(["hello"]);
    for (const { pubsub } of nodes) await pubsub.close();
    for (const client of clients) client.disconnect();
  });

  test("9, 26: the server has executed one SUBSCRIBE for a room, and one PUBLISH for each tick", async () => {
    const redis = await startRedisEngine();
    const calls = async (command: string): Promise<number> => {
      const reply = await redis.command("INFO", "commandstats");
      return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(reply)?.[1] ?? 0);
    };
    const [node] = await startNodes("redis", [redis.port], SILENT);
    await settled([node!]);
    const before = [await calls("subscribe"), await calls("publish")];
    const member = await node!.join();
    const other = await node!.join();
    for (const { self } of [member, other]) node!.pubsub.topic("room").unsubscribe(self);
    await node!.join();
    for (let i = 0; i < 50; i++) node!.publish("x");
    await settled([node!]);
    expect([await calls("subscribe"), await calls("publish")]).toEqual([before[0]! + 1, before[1]! + 1]);
  });

  test("26: publishing with node-redis makes no timeouts", async () => {
    const redis = await startRedisEngine();
    const [node] = await startNodes("redis", [redis.port], SILENT);
    const timeout = vi.spyOn(AbortSignal, "timeout");
    await node!.app.ping();
    // What the client does by default, so that this test would notice if it did it another way.
    expect(timeout).toHaveBeenCalledTimes(1);
    for (let i = 0; i < 20; i++) {
      node!.publish("x");
      await tick();
    }
    await settled([node!]);
    expect(timeout).toHaveBeenCalledTimes(1);
  });
});

describe.skipIf(NATS.length === 0)("NATS", () => {
  test("9: the client receives no messages of topics without members here", async () => {
    const { port } = await startEngine("nats");
    const [publisher, receiver] = await startNodes("nats", [port, port], SILENT);
    const { inMsgs } = receiver!.app.nats!.stats();
    for (let i = 0; i < 100; i++) {
      publisher!.pubsub.topic("room").publish([text("a"), text("b")]);
      await tick();
    }
    await settled([publisher!, receiver!]);
    await receiver!.app.ping();
    expect(receiver!.app.nats!.stats().inMsgs).toBe(inMsgs);
  });
});
