/** What members are told when messages of other nodes are missing. */
import { describe, expect, test } from "vitest";
import { text } from "../../../src/message.ts";
import { type Gap, PubSub, type PubSubEvent } from "../../../src/pubsub/index.ts";
import { DeferringClock } from "../../support/deferring-clock.ts";
import { join } from "../members.ts";
import { TestCluster } from "./cluster.ts";
import { RawBackplane } from "./raw-backplane.ts";
import { gapText, messagesOf, scheduledOn, setUp } from "./rooms.ts";

describe("gaps", () => {
  test("a loss is reported also to nodes that have received nothing of the publisher in this topic yet", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const room = nodes[0]!.pubsub.topic("room");
    cluster.engine.away({ node: nodes[0]!.pubsub.node });
    for (const each of ["one", "two"]) expect(room.publish(text(each))).toBe(false);
    cluster.engine.up({ node: nodes[0]!.pubsub.node });
    await cluster.settle();
    room.publish(text("three"));
    await cluster.settle();
    expect(members[1]!.texts()).toEqual(["three", "info:gap:publisher:2:n"]);
    // It is said once: who joins later has missed nothing.
    const late = await join(nodes[1]!.pubsub, ["room"], { onGap: gapText });
    room.publish(text("four"));
    await cluster.settle();
    expect(late.texts()).toEqual(["four"]);
  });

  test("what the engine has not accepted is reported, too: at first contact, and if the report itself is lost", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const room = nodes[0]!.pubsub.topic("room");
    for (const each of ["one", "two"]) {
      cluster.engine.hold();
      expect(room.publish(text(each))).toBe(true);
      await cluster.settle();
      cluster.engine.away({ node: nodes[0]!.pubsub.node });
      cluster.engine.release();
      cluster.engine.up({ node: nodes[0]!.pubsub.node });
      await cluster.settle();
    }
    room.publish(text("three"));
    await cluster.settle();
    expect(members[1]!.texts()).toEqual(["three", "info:gap:publisher:2:n"]);
  });

  test("no stale flood: what is published while away never arrives, and is counted and reported exactly", async () => {
    const { cluster, nodes, members } = await setUp(3);
    const { pubsub } = nodes[0]!;
    const room = pubsub.topic<string>("room");
    room.publish(text("before"));
    await cluster.settle();
    cluster.engine.away({ node: pubsub.node });
    for (let i = 0; i < 35; i++) {
      expect(i % 2 === 0 ? room.publish(text(`stale${i}`)) : room.broadcast(`stale${i}`)).toBe(false);
      await cluster.advance(200, 200);
    }
    cluster.engine.up({ node: pubsub.node });
    await cluster.settle();
    room.publish(text("after"));
    await cluster.settle();
    for (const member of members.slice(1))
      expect(member.texts()).toEqual(["before", "after", "info:gap:publisher:35:n"]);
    expect(members[0]!.texts()).toHaveLength(2 + 35 + 1);
    expect(members[0]!.texts()).toContain("info:gap:engine:?:-");
    expect(pubsub.stats.backplane).toMatchObject({ droppedAway: 35 });
    expect(nodes[1]!.pubsub.stats.backplane).toMatchObject({ missed: 35, gaps: 1 });
    expect(nodes[1]!.events).toMatchObject([
      { type: "up" },
      { type: "gap", gap: { topic: "room", cause: "publisher", missed: 35, node: pubsub.node } },
    ]);
  });

  test("tail loss: the last messages are lost, then silence; the return of the engine announces a gap", async () => {
    const { cluster, nodes, members } = await setUp(2);
    nodes[0]!.pubsub.topic("room").publish(text("a"));
    await cluster.settle();
    cluster.engine.onMessage = ({ to, bytes }) => (to === nodes[1]!.pubsub.node ? [] : [bytes]);
    nodes[0]!.pubsub.topic("room").publish([text("lost"), text("lost")]);
    await cluster.settle();
    cluster.engine.onMessage = undefined;
    cluster.engine.away({ node: nodes[1]!.pubsub.node });
    cluster.engine.up({ node: nodes[1]!.pubsub.node });
    await cluster.settle();
    expect(members[0]!.texts()).toEqual(["a", "lost", "lost"]);
    expect(members[1]!.texts()).toEqual(["a", "info:gap:engine:?:-"]);
    nodes[0]!.pubsub.topic("room").publish(text("b"));
    await cluster.settle();
    expect(members[1]!.texts()).toEqual(["a", "info:gap:engine:?:-", "b", "info:gap:publisher:2:n"]);
  });

  test("before the infos after the gap", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const room = nodes[0]!.pubsub.topic<string>("room");
    room.broadcast("a");
    await cluster.settle();
    cluster.engine.onMessage = () => [];
    room.broadcast("lost");
    await cluster.settle();
    cluster.engine.onMessage = undefined;
    room.broadcast("b");
    await cluster.settle();
    expect(members[1]!.texts()).toEqual(["info:a", "info:gap:publisher:1:n", "info:b"]);
  });

  test("members who had joined before the engine was first reached are told", async () => {
    const cluster = new TestCluster();
    cluster.engine.away();
    const { pubsub } = cluster.node();
    const member = await join(pubsub, ["room"], { onGap: gapText });
    expect(pubsub.status).toBe("away");
    cluster.engine.up();
    await cluster.settle();
    expect(member.texts()).toEqual(["info:gap:engine:?:-"]);
  });

  test("no gap is reported for a topic that only lingers", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const room = nodes[0]!.pubsub.topic("room");
    room.publish(text("a"));
    await cluster.settle();
    nodes[1]!.pubsub.topic("room").unsubscribe(members[1]!.self);
    cluster.engine.onMessage = () => [];
    room.publish(text("lost"));
    await cluster.settle();
    cluster.engine.onMessage = undefined;
    room.publish(text("b"));
    await cluster.settle();
    expect(nodes[1]!.events).toEqual([{ type: "up" }]);
    expect(nodes[1]!.pubsub.stats.backplane).toMatchObject({ missed: 1 });
  });

  test("the return of the engine is announced to 1 000 members in a tick, and not to those who have left", async () => {
    const cluster = new TestCluster();
    const { pubsub } = (await cluster.nodes(1))[0]!;
    const { self } = await join(pubsub, []);
    const told: number[] = [];
    const leaving: (() => void)[] = [];
    let inTick = 0;
    for (let i = 0; i < 2_500; i++) {
      const onGap = (): string => {
        inTick++;
        if (i === 500) for (const leave of leaving) leave();
        return "";
      };
      const subscription = pubsub.topic<string>(`room${i}`).subscribe(self, { onGap });
      if (i >= 2_200) leaving.push(() => subscription.cancel());
    }
    cluster.engine.away();
    cluster.engine.up();
    while (cluster.clock.turn()) {
      if (inTick > 0) told.push(inTick);
      inTick = 0;
    }
    expect(told).toEqual([1_000, 1_000, 200]);
  });

  test("an engine that comes back again within these ticks: nobody is told twice of the second time", async () => {
    const clock = new DeferringClock();
    const backplane = new RawBackplane();
    const pubsub = new PubSub({ backplane, clock });
    const { self } = await join(pubsub, []);
    const told: number[] = [];
    for (let i = 0; i < 2_500; i++) {
      const onGap = (): string => {
        told.push(i);
        return "";
      };
      pubsub.topic<string>(`room${i}`).subscribe(self, { onGap });
    }
    const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
    backplane.comeUp();
    expect(told.splice(0)).toEqual(numbers(1_000));
    backplane.comeUp();
    while (clock.turn());
    expect(told).toEqual(numbers(2_500));
  });

  test("onGap may subscribe, publish, leave, or close the PubSub", async () => {
    const acts: readonly ((gap: Gap) => void)[] = [
      ({ topic }) => nodes[1]!.pubsub.topic(topic).publish(text("from onGap")),
      () => void nodes[1]!.pubsub.topic<string>("other").subscribe(members[1]!.self),
      ({ topic }) => nodes[1]!.pubsub.topic(topic).unsubscribe(members[1]!.self),
      () => void nodes[1]!.pubsub.close(),
    ];
    let act = acts[0]!;
    const { cluster, nodes } = await setUp(2);
    const onGap = (gap: Gap): string => {
      act(gap);
      return gapText(gap);
    };
    const members = [await join(nodes[0]!.pubsub), await join(nodes[1]!.pubsub, ["room"], { onGap })];
    await cluster.settle();
    const room = nodes[0]!.pubsub.topic("room");
    const results: string[][] = [];
    for (act of acts) {
      nodes[1]!.pubsub.topic<string>("room").subscribe(members[1]!.self, { onGap });
      room.publish(text("a"));
      await cluster.settle();
      cluster.engine.onMessage = () => [];
      room.publish(text("lost"));
      await cluster.settle();
      cluster.engine.onMessage = undefined;
      const { length } = members[1]!.texts();
      room.publish(text("b"));
      await cluster.settle();
      results.push(members[1]!.texts().slice(length));
    }
    const gap = "info:gap:publisher:1:n";
    expect(results).toEqual([["from onGap", "b", gap], ["b", gap], [gap], [gap]]);
    expect(messagesOf(members[0]!).filter((each) => each === "from onGap")).toHaveLength(1);
  });

  test("onEvent may publish and close", async () => {
    const seen: string[] = [];
    const { cluster, nodes, members } = await setUp(2, {
      onEvent: ({ type }: PubSubEvent) => {
        seen.push(type);
        for (const { pubsub } of nodes ?? []) {
          pubsub.topic("room").publish(text(type), { local: true });
          if (type === "up" && seen.length > 4) void pubsub.close();
        }
      },
    });
    cluster.engine.away();
    cluster.engine.up();
    await cluster.settle();
    expect(seen.filter((type) => type === "closed")).toHaveLength(2);
    expect(nodes.map(({ pubsub }) => pubsub.status)).toEqual(["closed", "closed"]);
    expect(members[0]!.texts()).toContain("away");
    expect(scheduledOn(cluster.clock)).toBe(0);
  });
});
