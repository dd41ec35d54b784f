/** Engines that are killed, frozen, too slow, or the wrong ones; and messages that they do not take (PUBSUB.md §4). */
import { describe, expect, test } from "vitest";
import { text } from "../../../src/message.ts";
import { failOnUncaught } from "../../support/uncaught.ts";
import { tick } from "../members.ts";
import { startChild } from "./child.ts";
import {
  announce,
  CLIENTS,
  cleanUpAfterEach,
  LATE,
  NATS,
  openClient,
  proxyTo,
  REDIS,
  settled,
  startEngine,
  startNodes,
  TestNode,
  TIMES,
  until,
} from "./engines.ts";
import { frozenEngine, staleFlood } from "./scenarios.ts";

failOnUncaught();
cleanUpAfterEach();

const MEGABYTE = 1024 * 1024;

describe.each(CLIENTS)("%s", (name) => {
  test("2: nothing that is published while the engine is away arrives later", () =>
    staleFlood(name, { linger: TIMES.linger }, { count: 35, every: 10 }));

  test("3: a subscriber that the engine has disconnected is told of a gap, although no message follows", async () => {
    const { port, subscribers } = await startEngine(name, {
      config:
        name === "nats"
          ? ['write_deadline: "500ms"', "max_pending: 2MB"]
          : ["client-output-buffer-limit pubsub 2mb 1mb 5"],
    });
    const [publisher] = await startNodes(name, [port]);
    const child = await startChild({ client: name, port, options: TIMES });
    child.pause();
    const COUNT = 200;
    for (let i = 0; i < COUNT; i++) {
      expect(publisher!.publish("x".repeat(100_000))).toBe(true);
      await until(() => publisher!.backplane.unacknowledgedBytes < MEGABYTE);
    }
    await until(async () => (await subscribers("t:room")) === 0 && publisher!.backplane.unacknowledgedBytes === 0);
    child.resume();
    await until(async () => (await child.state()).texts.includes("info:engine undefined"));
    const { texts, events } = await child.state();
    expect(events.map(({ type }) => type)).toEqual(["up", "away", "up"]);
    expect(texts.length).toBeLessThan(COUNT);
    expect(texts.indexOf("info:engine undefined")).toBe(texts.length - 1);
    expect(publisher!.count("away")).toBe(0);
  });

  test("4: an engine that is frozen is away, and costs little memory", async () => {
    await frozenEngine(name, TIMES, { frozen: 2_000, probe: TIMES.probe, late: LATE });
  });

  test("12: a message that is too large for the engine reaches the members in this process", async () => {
    const [max, size] = name === "nats" ? [65_536, 10_000] : [16 * MEGABYTE, MEGABYTE];
    const engine = await startEngine(name, { config: name === "nats" ? [`max_payload: ${max}`] : [] });
    const nodes = await startNodes(name, [engine.port, engine.port], { maxUnacknowledged: 64 * MEGABYTE });
    const [publisher, receiver] = nodes as [TestNode, TestNode];
    const [local, remote] = [await publisher.join(), await receiver.join()];
    const large = "x".repeat(max);
    expect(publisher.publish(large)).toBe(false);
    expect(publisher.backplane.droppedTooLarge).toBe(1);
    // All of one tick, larger than the limit together.
    const before = publisher.backplane.sentEnvelopes;
    const batch = Array.from({ length: 20 }, (_, i) => `${i} `.padEnd(size, "y"));
    expect(publisher.pubsub.topic("room").publish(batch.map((content) => text(content)))).toBe(true);
    await until(() => remote.texts().length === 20);
    expect(remote.texts()).toEqual(batch);
    expect(publisher.backplane.sentEnvelopes - before).toBeGreaterThan(1);
    await tick();
    expect(local.texts()).toEqual([large, ...batch]);
    expect(publisher.count("away")).toBe(0);
  });
});

describe.each(REDIS)("%s", (name) => {
  test("5: a connection to a server without messages is detected, and replaced", async () => {
    const [right, wrong] = [await startEngine(name), await startEngine(name)];
    const proxy = await proxyTo(right);
    const [publisher] = await startNodes(name, [right.port], TIMES);
    const app = await openClient(name, proxy.port);
    await app.ping();
    const receiver = new TestNode(app, TIMES);
    await settled([publisher!, receiver]);
    const member = await receiver.join(["room"], { onGap: announce });
    publisher!.publish("before");
    await until(() => member.texts().length === 1);
    // The newest connection is the one that has subscribed.
    const { accepted, connections } = proxy;
    proxy.divert(wrong.port);
    await until(async () => (await right.subscribers("t:room")) === 0);
    const started = performance.now();
    publisher!.publish("lost");
    await receiver.is("away");
    await receiver.is("up");
    expect(performance.now() - started).toBeLessThan(2 * (TIMES.probe + LATE));
    expect(receiver.events.map((event) => ("cause" in event ? String(event.cause) : event.type))).toEqual([
      "up",
      "Error: a probe did not come back (WEBSOCK_ENGINE_AWAY)",
      "up",
    ]);
    expect([proxy.accepted, proxy.connections]).toEqual([accepted + 1, connections]);
    publisher!.publish("after");
    await until(() => member.texts().includes("after"));
    expect(member.texts().sort()).toEqual(["after", "before", "info:engine undefined", "info:publisher 1"]);
  });
});

describe.each(NATS)("%s", (name) => {
  test("12: so does one that is published while the client does not know the limit, because it connects", async () => {
    const engine = await startEngine(name, { config: ["max_payload: 65536"] });
    const nodes = await startNodes(name, [engine.port, engine.port]);
    const [publisher, receiver] = nodes as [TestNode, TestNode];
    const [local, remote] = [await publisher.join(), await receiver.join()];
    const large = "x".repeat(65_536);
    let published = 0;
    const publish = async (): Promise<void> => {
      expect(publisher.publish(large)).toBe(false);
      published++;
      await tick();
    };
    await engine.kill9();
    while (publisher.pubsub.status === "up") await publish();
    await until(() => publisher.app.nats!.info === undefined);
    for (let i = 0; i < 10; i++) await publish();
    await engine.start();
    await settled(nodes);
    await publish();
    const { droppedTooLarge, droppedAway } = publisher.backplane;
    expect(droppedTooLarge + droppedAway).toBeGreaterThanOrEqual(published);
    expect(publisher.publish("small")).toBe(true);
    await until(() => remote.texts().length > 0);
    expect(remote.texts()).toEqual(["small"]);
    await tick();
    expect(local.texts().length).toBe(published + 1);
  });
});
