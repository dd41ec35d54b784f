/** Outages of real engines in full length, and very many topics (PUBSUB.md §4). */
import { describe, expect, test } from "vitest";
import { watchTicks } from "../../support/longest-tick.ts";
import { failOnUncaught } from "../../support/uncaught.ts";
import { join } from "../members.ts";
import {
  announce,
  CLIENTS,
  cleanUpAfterEach,
  LATE,
  openClient,
  settled,
  startEngine,
  TestNode,
  until,
} from "./engines.ts";
import { frozenEngine, staleFlood } from "./scenarios.ts";

failOnUncaught();
cleanUpAfterEach();

const DEFAULT_PROBE = 15_000;

describe.each(CLIENTS)("%s", (name) => {
  test("2: nothing that is published while the engine is away for 7 s arrives later", { timeout: 60_000 }, () =>
    staleFlood(name, {}, { count: 35, every: 200 }),
  );

  test("4: an engine that is frozen for 20 s is away, and costs little memory", { timeout: 120_000 }, async () => {
    console.log(name, await frozenEngine(name, {}, { frozen: 20_000, probe: DEFAULT_PROBE, late: LATE }));
  });

  test("10: 100 000 topics are confirmed within 5 s after the engine is back", { timeout: 180_000 }, async () => {
    const [MEMBERS, TOPICS] = [1_000, 100];
    const engine = await startEngine(name);
    const node = new TestNode(await openClient(name, engine.port));
    await settled([node]);
    const members = await Promise.all(
      Array.from({ length: MEMBERS }, (_, m) =>
        join(
          node.pubsub,
          Array.from({ length: TOPICS }, (_, t) => `room ${m}:${t}`),
          { onGap: announce },
        ),
      ),
    );
    const local = await node.join(["local"]);
    const gaps = (): number => members.reduce((sum, member) => sum + member.client.received.length, 0);
    expect(node.backplane.channels).toBe(MEMBERS * TOPICS + 3);
    await engine.kill9();
    await node.is("away");
    await engine.start();

    // In each event-loop tick, a message is published, and that of the tick before has been delivered.
    let [published, late, mostGaps, gapsBefore] = [0, 0, 0, 0];
    const ticks = watchTicks(() => {
      if (local.client.received.length < published) late++;
      node.publish(String(++published), "local");
      const now = gaps();
      mostGaps = Math.max(mostGaps, now - gapsBefore);
      gapsBefore = now;
    });
    const started = performance.now();
    await node.is("up");
    const back = performance.now() - started;
    await until(() => gaps() === MEMBERS * TOPICS);
    const longest = ticks();
    console.log(
      `${name}: ${TOPICS * MEMBERS} topics in ${Math.round(back)} ms; longest tick ${longest} ms of CPU time`,
    );
    expect(back).toBeLessThan(5_000);
    expect(late).toBe(0);
    // Members are told in slices of 1 000.
    expect(mostGaps).toBeLessThanOrEqual(1_000);
    expect(longest).toBeLessThan(50);
    for (const topic of ["room 0:0", "room 999:99"]) expect(await engine.subscribers(`t:${topic}`)).toBe(1);
    expect(members[0]!.texts()).toEqual(Array(TOPICS).fill("info:engine undefined"));
  });
});
