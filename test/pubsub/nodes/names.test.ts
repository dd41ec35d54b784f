/** Names of topics that engines could misunderstand, and several PubSubs on one engine. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { text } from "../../../src/message.ts";
import { PubSub } from "../../../src/pubsub/index.ts";
import { topicChannel, topicOf } from "../../../src/pubsub/nodes/channels.ts";
import { MemoryEngine } from "../../../src/testing/memory-engine.ts";
import { join } from "../members.ts";
import { TestCluster } from "./cluster.ts";
import { messagesOf, setUp } from "./rooms.ts";

const NAMES = [
  "a",
  "a".repeat(511),
  "a".repeat(512),
  "*",
  "a*",
  ">",
  "a.b",
  "a.*",
  "a.>",
  "..",
  ".",
  " ",
  "a b",
  "a\r\nb",
  "a\r\n",
  "\u0000",
  "a\u0000b",
  "\ud800",
  "\udc00",
  "\ud800\ud800",
  "\ufffd",
  "\u{1f600}",
  "\u{1f600}\ud83d",
  "é",
  "e\u0301",
  "\ufeffa",
  "__proto__",
  "constructor",
  "all",
  "n:a",
  "t:a",
  "u:0061",
  "0061",
  "A",
];

describe("names of topics", () => {
  test("each reaches its own members, and not those of names that look alike", async () => {
    const cluster = new TestCluster();
    const [publisher, receiver] = await cluster.nodes(2);
    const members = await Promise.all(NAMES.map((name) => join(receiver!.pubsub, [name])));
    await cluster.settle();
    for (const [i, name] of NAMES.entries()) publisher!.pubsub.topic(name).publish(text(`to ${i}`));
    await cluster.settle();
    for (const [i, { texts }] of members.entries()) expect(texts()).toEqual([`to ${i}`]);
    expect(receiver!.pubsub.stats.backplane).toMatchObject({ malformed: 0 });
  });

  test.each(["", "a".repeat(513), "a".repeat(5_000)])("a name of %# is refused", (name) => {
    expect(() => new PubSub().topic(name)).toThrow(RangeError);
  });

  test("channels are well-formed, short and distinct, and name their topic", () => {
    const name = fc.oneof(
      fc.string({ unit: "binary", minLength: 1, maxLength: 60 }),
      fc.array(fc.constantFrom("\ud800", "\udc00", "a", "u:", "t:"), { minLength: 1 }).map((units) => units.join("")),
      fc.constant("\udfff".repeat(512)),
    );
    fc.assert(
      fc.property(name, name, (one, other) => {
        const channel = topicChannel(one);
        expect(Buffer.from(channel).toString()).toBe(channel);
        expect(channel.length).toBeLessThanOrEqual(2_100);
        expect(topicOf(channel)).toBe(one);
        if (one !== other) expect(topicChannel(other)).not.toBe(channel);
      }),
      { numRuns: 100 },
    );
    expect(topicOf("all")).toBeUndefined();
    expect(topicOf("n:a")).toBeUndefined();
  });
});

describe("several PubSubs", () => {
  test("two in one process on the same engine are two nodes", async () => {
    const { cluster, nodes, members } = await setUp(2);
    expect(nodes[0]!.pubsub.node).not.toBe(nodes[1]!.pubsub.node);
    nodes[0]!.pubsub.topic("room").publish(text("m"));
    const address = nodes[1]!.pubsub.address(members[1]!.self);
    expect(nodes[0]!.pubsub.send(address, "x")).toBe(true);
    await cluster.settle();
    expect(messagesOf(members[0]!)).toEqual(["m"]);
    expect(members[1]!.texts()).toEqual(["m", "info:x"]);
    expect(nodes[0]!.pubsub.stats.backplane!.nodes).toBe(2);
  });

  test("one connection may be a member in both: it receives each message twice, once from each", async () => {
    const { cluster, nodes, members } = await setUp(2);
    nodes[0]!.pubsub.topic<string>("room").subscribe(members[1]!.self);
    await cluster.settle();
    nodes[0]!.pubsub.topic("room").publish(text("m"));
    await cluster.settle();
    expect(members[1]!.texts()).toEqual(["m", "m"]);
  });

  test("on two engines nothing crosses", async () => {
    const cluster = new TestCluster();
    const other = new MemoryEngine({ defer: (run) => cluster.clock.defer(run) });
    const here = cluster.node();
    const there = cluster.node({ backplane: other.backplane() });
    const member = await join(there.pubsub);
    await cluster.settle();
    here.pubsub.topic("room").publish(text("m"));
    await cluster.settle();
    expect(member.texts()).toEqual([]);
    expect(there.pubsub.stats.backplane).toMatchObject({ nodes: 1, receivedEnvelopes: 1 });
  });
});
