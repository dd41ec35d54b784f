/** What happens to an engine, with short times and with those of a real outage. */
import { expect } from "vitest";
import type { PubSubOptions } from "websock-js/pubsub";
import { startChild } from "./child.ts";
import { announce, type ClientName, settled, startEngine, startNodes, type TestNode, until } from "./engines.ts";

/** 2: the engine is killed. What is published meanwhile is counted, and never arrives. */
export const staleFlood = async (
  name: ClientName,
  options: PubSubOptions,
  { count, every }: { readonly count: number; readonly every: number },
): Promise<void> => {
  const engine = await startEngine(name);
  const nodes = await startNodes(name, [engine.port, engine.port], options);
  const [publisher, receiver] = nodes as [TestNode, TestNode];
  const local = await publisher.join();
  const member = await receiver.join(["room"], { onGap: announce });
  expect(publisher.publish("before")).toBe(true);
  await until(() => member.texts().length === 1);
  await engine.kill9();
  await Promise.all([publisher.is("away"), receiver.is("away")]);
  for (let i = 0; i < count; i++) {
    expect(publisher.publish(`away ${i}`)).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, every));
  }
  expect(local.texts().length).toBe(1 + count);
  expect(publisher.backplane.droppedAway).toBeGreaterThanOrEqual(count);
  await engine.start();
  await settled(nodes);
  expect(publisher.publish("after")).toBe(true);
  await until(() => member.texts().includes("after"));
  // Nothing is on its way that could arrive later.
  await settled(nodes);
  await publisher.app.ping();
  await receiver.app.ping();
  const [infos, messages] = [true, false].map((isInfo) =>
    member.texts().filter((content) => content.startsWith("info:") === isInfo),
  );
  expect(messages).toEqual(["before", "after"]);
  expect(infos!.sort()).toEqual(["info:engine undefined", `info:publisher ${count}`]);
  expect(receiver.backplane).toMatchObject({ duplicates: 0 });
};

/**
 * 4: the engine is frozen while much is published.
 *
 * @returns numbers to look at
 */
export const frozenEngine = async (
  name: ClientName,
  options: PubSubOptions,
  { frozen, probe, late }: { readonly frozen: number; readonly probe: number; readonly late: number },
): Promise<object> => {
  const engine = await startEngine(name);
  const [receiver] = await startNodes(name, [engine.port], options);
  const member = await receiver!.join();
  let [last, received] = [0, 0];
  const look = (): void => {
    for (const content of member.texts()) {
      const number = Number.parseInt(content, 10);
      expect(number).toBeGreaterThan(last);
      last = number;
      received++;
    }
    member.client.received.length = 0;
  };
  const child = await startChild({ client: name, port: engine.port, options });
  await child.command("flood", { bytesPerSecond: 10_000_000, size: 10_000 });
  await until(() => {
    look();
    return received > 500;
  });
  const rss = await child.command<number>("resetFlood");
  engine.pause();
  const pausedAt = Date.now();
  await child.is("away");
  const away = (await child.state()).events.find(({ type }) => type === "away")!;
  expect(away.at - pausedAt).toBeLessThan(2 * probe + late);
  await until(() => Date.now() >= pausedAt + frozen);
  const { status, flood, backplane } = await child.state();
  expect(status).toBe("away");
  expect(flood.late).toBe(0);
  expect(flood.maxRss - rss).toBeLessThan(32 * 1024 * 1024);
  expect(backplane.unacknowledgedBytes).toBeLessThanOrEqual(8 * 1024 * 1024);
  expect(backplane.droppedAway + backplane.droppedBacklog).toBeGreaterThan(0);
  engine.resume();
  const resumedAt = Date.now();
  await child.is("up");
  await receiver!.is("up");
  const { flood: then } = await child.state();
  await until(() => {
    look();
    return last > then.published;
  });
  const back = Date.now() - resumedAt;
  expect(await child.command("halt")).toBeGreaterThan(then.published);
  await until(async () => (await child.state()).backplane.unacknowledgedBytes === 0);
  await receiver!.app.ping();
  look();
  const { flood: end } = await child.state();
  expect(end).toMatchObject({ late: 0, delivered: end.published });
  return {
    away: away.at - pausedAt,
    cause: "cause" in away && away.cause,
    rss: Math.round((flood.maxRss - rss) / 1024),
    longestPause: Math.round(flood.longestPause),
    back,
  };
};
