/** The maximum size of a published message. */
import { describe, expect, test } from "vitest";
import { text } from "../../../src/message.ts";
import { ENVELOPE_OVERHEAD } from "../../../src/pubsub/nodes/envelope.ts";
import { gapText, setUp } from "./rooms.ts";

const MAX = 10_000;

describe("limits of the engine", () => {
  test("a message that is too large: members of this node get it, false, counted; the others are told", async () => {
    const { cluster, nodes, members } = await setUp(2);
    cluster.engine.maxBytes = MAX;
    const room = nodes[0]!.pubsub.topic("room");
    expect(room.publish(text("small"))).toBe(true);
    expect(room.publish(text("x".repeat(MAX)))).toBe(false);
    expect(room.publish([text("after"), text("y".repeat(MAX))])).toBe(false);
    expect(room.publish(text("end"))).toBe(true);
    await cluster.settle();
    const received = members.map(({ texts }) => texts().map((each) => (each.length > 99 ? each.length : each)));
    expect(received).toEqual([
      ["small", MAX, "after", MAX, "end"],
      ["small", "after", "info:gap:publisher:1:n", "end", "info:gap:publisher:1:n"].toSorted(byPlace),
    ]);
    expect(nodes[0]!.pubsub.stats.backplane).toMatchObject({ droppedTooLarge: 2, rejected: 0 });
    expect(nodes[1]!.pubsub.stats.backplane).toMatchObject({ missed: 2, gaps: 2 });
    expect(nodes[0]!.pubsub.status).toBe("up");
  });

  test("a batch that is too large is split, not refused", async () => {
    const { cluster, nodes, members } = await setUp(2);
    cluster.engine.maxBytes = MAX;
    const messages = Array.from({ length: 50 }, (_, i) => text(`${i} ${"x".repeat(1_000)}`));
    const sizes: number[] = [];
    cluster.engine.onMessage = ({ bytes }) => {
      sizes.push(bytes.length);
      return [bytes];
    };
    expect(nodes[0]!.pubsub.topic("room").publish(messages)).toBe(true);
    await cluster.settle();
    for (const { texts } of members) expect(texts()).toEqual(messages.map(({ data }) => data));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX);
    expect(sizes.length).toBeLessThanOrEqual(2 * 6);
    expect(nodes[1]!.pubsub.stats.backplane).toMatchObject({ missed: 0, duplicates: 0 });
  });

  test.each([0, 1, 10, 11, 12, 50])(
    "a message of %i bytes less than the limit is sent or refused, never rejected",
    async (less) => {
      const { cluster, nodes, members } = await setUp(2);
      cluster.engine.maxBytes = MAX;
      const reached = nodes[0]!.pubsub.topic("room").publish(text("x".repeat(MAX - ENVELOPE_OVERHEAD - less)));
      await cluster.settle();
      expect(reached).toBe(less > 10);
      expect(members[1]!.texts()).toHaveLength(reached ? 1 : 0);
      expect(nodes[0]!.pubsub.stats.backplane).toMatchObject({ rejected: 0 });
    },
  );

  test("a limit that shrinks after the messages of a tick were collected: counted, the others are told", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const room = nodes[0]!.pubsub.topic("room");
    room.publish(text("a"));
    await cluster.settle();
    expect(room.publish(text("x".repeat(MAX)))).toBe(true);
    cluster.engine.maxBytes = MAX;
    await cluster.settle();
    expect(nodes[0]!.pubsub.stats.backplane).toMatchObject({ rejected: 1, unacknowledgedBytes: 0 });
    room.publish(text("b"));
    await cluster.settle();
    expect(members[1]!.texts()).toEqual(["a", "b", gapInfo(1)]);
  });

  test("a message that is larger than maxUnacknowledged is sent if nothing is waiting", async () => {
    const { cluster, nodes, members } = await setUp(2, { maxUnacknowledged: 1_000 });
    expect(nodes[0]!.pubsub.topic("room").publish(text("x".repeat(5_000)))).toBe(true);
    await cluster.settle();
    expect(members[1]!.texts()).toHaveLength(1);
    expect(nodes[0]!.pubsub.status).toBe("up");
  });

  test("100 000 messages in one tick: all arrive", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const room = nodes[0]!.pubsub.topic("room");
    for (let i = 0; i < 100_000; i++) room.publish(text(""));
    await cluster.settle();
    expect(members[1]!.texts()).toHaveLength(100_000);
    expect(nodes[1]!.pubsub.stats.backplane).toMatchObject({ missed: 0, duplicates: 0 });
  });

  test("stops and infos are limited, too", async () => {
    const { cluster, nodes, members } = await setUp(2);
    cluster.engine.maxBytes = MAX;
    const address = nodes[1]!.pubsub.address(members[1]!.self);
    const large = "x".repeat(MAX);
    expect(nodes[0]!.pubsub.topic<string>("room").broadcast(large)).toBe(false);
    expect(nodes[0]!.pubsub.send(address, large)).toBe(false);
    expect(nodes[0]!.pubsub.stop(address, "kicked", { messages: text(large) })).toBe(false);
    expect(nodes[0]!.pubsub.broadcastToNodes(large)).toBe(false);
    const except = Array.from({ length: 300 }, () => address);
    expect(nodes[0]!.pubsub.topic("room").publish(text("m"), { except })).toBe(false);
    await cluster.settle();
    expect(nodes[0]!.pubsub.stats.backplane).toMatchObject({ droppedTooLarge: 5, rejected: 0 });
    expect(members[1]!.texts()).toEqual([]);
  });
});

const gapInfo = (missed: number): string => `info:${gapText({ topic: "room", cause: "publisher", missed, node: "n" })}`;

/** Infos are handled in a later event-loop tick than the messages. */
const byPlace = (a: string, b: string): number => Number(a.startsWith("info:")) - Number(b.startsWith("info:"));
