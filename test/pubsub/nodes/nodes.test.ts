/** Topics and addresses over several nodes, on an engine in memory. */
import { describe, expect, test } from "vitest";
import { text } from "../../../src/message.ts";
import { setUp } from "./rooms.ts";

describe("topics over nodes", () => {
  test("a message reaches the members of all nodes once, in order", async () => {
    const { cluster, nodes, members } = await setUp(3);
    for (let i = 0; i < 5; i++) expect(nodes[0]!.pubsub.topic("room").publish(text(`m${i}`))).toBe(true);
    await cluster.settle();
    for (const { texts } of members) expect(texts()).toEqual(["m0", "m1", "m2", "m3", "m4"]);
    expect(nodes[0]!.pubsub.stats.backplane).toMatchObject({ droppedAway: 0, droppedBacklog: 0, droppedTooLarge: 0 });
    expect(nodes[1]!.pubsub.stats.backplane).toMatchObject({ duplicates: 0, missed: 0 });
  });

  test("what is published in one event-loop tick is one envelope for each topic", async () => {
    const { cluster, nodes } = await setUp(2);
    const { pubsub } = nodes[0]!;
    const before = pubsub.stats.backplane!;
    for (let i = 0; i < 20; i++) pubsub.topic("room").publish(text("m"));
    for (let i = 0; i < 20; i++) pubsub.topic("other").publish(text("m"));
    await cluster.settle();
    const after = pubsub.stats.backplane!;
    expect(after.sentEnvelopes - before.sentEnvelopes).toBe(2);
    expect(after.sentMessages - before.sentMessages).toBe(40);
  });

  test("an info reaches the handleInfo of members of other nodes", async () => {
    const { cluster, nodes, members } = await setUp(2);
    nodes[0]!.pubsub.topic<string>("room").broadcast("hello");
    await cluster.settle();
    for (const { texts } of members) expect(texts()).toEqual(["info:hello"]);
  });

  test("stop ends the connections of all nodes", async () => {
    const { cluster, nodes, members } = await setUp(2);
    nodes[0]!.pubsub.topic("room").stop("kicked", { code: 4003, text: "bye", messages: text("last") });
    await cluster.settle();
    for (const { client, texts } of members) {
      expect(texts()).toEqual(["last"]);
      expect(await client.ended).toMatchObject({ code: 4003, text: "bye" });
    }
  });

  test("option local: only members of this node", async () => {
    const { cluster, nodes, members } = await setUp(2);
    nodes[0]!.pubsub.topic("room").publish(text("here"), { local: true });
    await cluster.settle();
    expect(members.map(({ texts }) => texts())).toEqual([["here"], []]);
  });

  test("option except: a connection of another node is left out by its address", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const address = nodes[1]!.pubsub.address(members[1]!.self);
    nodes[0]!.pubsub.topic("room").publish(text("not for you"), { except: [address, members[0]!.self] });
    nodes[0]!.pubsub.topic("room").publish(text("for all"));
    await cluster.settle();
    for (const { texts } of members) expect(texts()).toEqual(["for all"]);
  });
});

describe("addresses over nodes", () => {
  test("send and stop reach a connection of another node", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const address = nodes[1]!.pubsub.address(members[1]!.self);
    expect(nodes[0]!.pubsub.send(address, "hi")).toBe(true);
    await cluster.settle();
    expect(members[1]!.texts()).toEqual(["info:hi"]);
    expect(nodes[0]!.pubsub.stop(address, "kicked", { code: 4001 })).toBe(true);
    await cluster.settle();
    expect(await members[1]!.client.ended).toMatchObject({ code: 4001 });
    expect(members[0]!.self.push(text("still open"))).toBe(true);
  });
});

describe("the engine is away", () => {
  test("publish returns false, members of this node get the message, the others are told what is missing", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const room = nodes[0]!.pubsub.topic("room");
    room.publish(text("before"));
    await cluster.settle();
    cluster.engine.away();
    expect(nodes[0]!.pubsub.status).toBe("away");
    for (const i of [1, 2, 3]) expect(room.publish(text(`away${i}`))).toBe(false);
    cluster.engine.up();
    await cluster.settle();
    expect(nodes[0]!.pubsub.status).toBe("up");
    room.publish(text("after"));
    await cluster.settle();
    expect(members[0]!.texts()).toEqual(["before", "away1", "away2", "away3", "info:gap:engine:?:-", "after"]);
    expect(members[1]!.texts()).toEqual(["before", "info:gap:engine:?:-", "after", "info:gap:publisher:3:n"]);
    expect(nodes[0]!.pubsub.stats.backplane).toMatchObject({ droppedAway: 3 });
    expect(nodes[1]!.pubsub.stats.backplane).toMatchObject({ missed: 3, gaps: 1 });
  });
});
