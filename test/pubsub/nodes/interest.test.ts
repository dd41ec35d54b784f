/** Which channels a node receives, and when a subscription is ready. */
import { describe, expect, test } from "vitest";
import { text } from "../../../src/message.ts";
import { PubSub } from "../../../src/pubsub/index.ts";
import { ok, push } from "../../../src/result.ts";
import { connect } from "../../../src/testing/connect.ts";
import { DeferringClock } from "../../support/deferring-clock.ts";
import { join, textsOf } from "../members.ts";
import { TestCluster } from "./cluster.ts";
import { RawBackplane } from "./raw-backplane.ts";
import { gapText, messagesOf, setUp } from "./rooms.ts";

const LINGER = 2_000;

describe("interest", () => {
  test("no firehose: only nodes with members receive a topic", async () => {
    const cluster = new TestCluster();
    const nodes = await cluster.nodes(4);
    const member = await join(nodes[0]!.pubsub, ["room"]);
    await cluster.settle();
    expect(cluster.engine.subscribers("t:room")).toEqual([nodes[0]!.pubsub.node]);
    const before = nodes.map(({ pubsub }) => pubsub.stats.backplane!.receivedEnvelopes);
    for (let i = 0; i < 10; i++) {
      nodes[1]!.pubsub.topic("room").publish(text("m"));
      await cluster.settle();
    }
    const after = nodes.map(({ pubsub }) => pubsub.stats.backplane!.receivedEnvelopes);
    expect(after.map((count, i) => count - before[i]!)).toEqual([10, 0, 0, 0]);
    expect(member.texts()).toHaveLength(10);
  });

  test("after the last member has left, the topic is received for the linger time, and not longer", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const channels = (): number => nodes[0]!.pubsub.stats.backplane!.channels;
    expect(channels()).toBe(3);
    members[0]!.self.stop("normal");
    await cluster.advance(LINGER - 50);
    expect(cluster.engine.subscribers("t:room")).toHaveLength(2);
    await cluster.advance(50);
    expect(cluster.engine.subscribers("t:room")).toEqual([nodes[1]!.pubsub.node]);
    expect(channels()).toBe(2);
  });

  test("a member who comes back within the linger time: one SUBSCRIBE, no gap, nothing again", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const room = nodes[0]!.pubsub.topic<string>("room");
    const { subscribes } = cluster.engine.stats;
    for (let i = 0; i < 3; i++) {
      nodes[1]!.pubsub.topic("room").publish(text(`in${i}`));
      await cluster.settle();
      room.unsubscribe(members[0]!.self);
      nodes[1]!.pubsub.topic("room").publish(text(`out${i}`));
      await cluster.settle();
      await cluster.advance(LINGER - 50);
      room.subscribe(members[0]!.self, { onGap: gapText });
    }
    nodes[1]!.pubsub.topic("room").publish(text("in3"));
    await cluster.advance(LINGER);
    expect(members[0]!.texts()).toEqual(["in0", "in1", "in2", "in3"]);
    expect(cluster.engine.stats).toMatchObject({ subscribes, unsubscribes: 0 });
    expect(nodes[0]!.pubsub.stats.backplane).toMatchObject({ missed: 0, gaps: 0 });
  });

  test("a member who comes back after the linger time: no false gap", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const room = nodes[0]!.pubsub.topic<string>("room");
    const publish = async (name: string): Promise<void> => {
      nodes[1]!.pubsub.topic("room").publish(text(name));
      await cluster.settle();
    };
    await publish("a");
    room.unsubscribe(members[0]!.self);
    await cluster.advance(LINGER);
    await publish("not here");
    expect(await readyOf(cluster, room.subscribe(members[0]!.self, { onGap: gapText }).ready)).toBe(true);
    await publish("b");
    expect(members[0]!.texts()).toEqual(["a", "b"]);
  });

  test("10 000 joins and leaves in a second, then none: one SUBSCRIBE and one UNSUBSCRIBE", async () => {
    const cluster = new TestCluster();
    const [node] = await cluster.nodes(1);
    const member = await join(node!.pubsub, []);
    const { subscribes } = cluster.engine.stats;
    const room = node!.pubsub.topic<string>("room");
    for (let i = 0; i < 10_000; i++) {
      room.subscribe(member.self).cancel();
      if (i % 10 === 0) cluster.clock.advance(1);
    }
    await cluster.settle();
    expect(cluster.engine.stats).toMatchObject({ subscribes: subscribes + 1, unsubscribes: 0 });
    await cluster.advance(LINGER);
    expect(cluster.engine.stats).toMatchObject({ subscribes: subscribes + 1, unsubscribes: 1 });
    expect(node!.pubsub.stats.backplane).toMatchObject({ channels: 2, subscribed: 3 });
  });

  test("100 000 topics that come and go: nothing is left", async () => {
    const clock = new DeferringClock();
    const backplane = new RawBackplane();
    const pubsub = new PubSub({ backplane, clock });
    backplane.comeUp();
    const member = await join(pubsub, []);
    for (let i = 0; i < 100_000; i++) pubsub.topic<string>(`room${i}`).subscribe(member.self).cancel();
    expect(pubsub.stats.backplane!.channels).toBe(100_002);
    clock.advance(LINGER);
    expect(pubsub.stats.backplane!.channels).toBe(2);
    expect(new Set(backplane.unsubscribed).size).toBe(100_000);
  });
});

/** The value of a promise that settles when the cluster does. */
const readyOf = async (cluster: TestCluster, promise: Promise<boolean>): Promise<boolean | "pending"> => {
  let value: boolean | "pending" = "pending";
  void promise.then((ready) => {
    value = ready;
  });
  await cluster.settle();
  return value;
};

describe("ready", () => {
  test("waits for the confirmation of the engine, for all who wait", async () => {
    const { cluster, nodes, members } = await setUp(2);
    cluster.engine.hold("confirmations");
    const other = nodes[0]!.pubsub.topic<string>("other");
    const first = other.subscribe(members[0]!.self).ready;
    const second = other.subscribe(members[0]!.self).ready;
    expect(await readyOf(cluster, first)).toBe("pending");
    cluster.engine.release("confirmations");
    expect(await readyOf(cluster, first)).toBe(true);
    expect(await readyOf(cluster, second)).toBe(true);
    expect(await readyOf(cluster, other.subscribe(members[0]!.self).ready)).toBe(true);
  });

  test("1 000 times: what another node publishes after ready arrives", async () => {
    const { cluster, nodes, members } = await setUp(2, { linger: 1 });
    const received: string[] = [];
    for (let i = 0; i < 1_000; i++) {
      const name = `room${i % 3}`;
      const subscription = nodes[0]!.pubsub.topic<string>(name).subscribe(members[0]!.self);
      void subscription.ready.then((ready) => {
        received.push(`${ready}`);
        nodes[1]!.pubsub.topic(name).publish(text(`m${i}`));
      });
      await cluster.settle();
      subscription.cancel();
      cluster.clock.advance(i % 2);
    }
    expect(received).toEqual(Array.from({ length: 1_000 }, () => "true"));
    expect(messagesOf(members[0]!)).toEqual(received.map((_, i) => `m${i}`));
  });

  test("false while the engine is away, and for those who wait when it goes away; true when it is back", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const subscribe = (name: string): Promise<boolean> =>
      nodes[0]!.pubsub.topic<string>(name).subscribe(members[0]!.self).ready;
    cluster.engine.hold("confirmations");
    const waiting = subscribe("a");
    await cluster.settle();
    cluster.engine.away();
    expect(await readyOf(cluster, waiting)).toBe(false);
    expect(await readyOf(cluster, subscribe("b"))).toBe(false);
    cluster.engine.release("confirmations");
    cluster.engine.up();
    await cluster.settle();
    expect(await readyOf(cluster, subscribe("a"))).toBe(true);
    expect(await readyOf(cluster, subscribe("b"))).toBe(true);
    for (const name of ["a", "b"]) nodes[1]!.pubsub.topic(name).publish(text(name));
    await cluster.settle();
    expect(messagesOf(members[0]!)).toEqual(["a", "b"]);
  });

  test("false when the last member leaves, or the PubSub is closed, before the confirmation", async () => {
    const { cluster, nodes, members } = await setUp(1);
    cluster.engine.hold("confirmations");
    const topic = (name: string) => nodes[0]!.pubsub.topic<string>(name).subscribe(members[0]!.self);
    const left = topic("a");
    left.cancel();
    const closed = topic("b").ready;
    await cluster.advance(LINGER);
    expect(await readyOf(cluster, left.ready)).toBe(false);
    expect(await readyOf(cluster, closed)).toBe("pending");
    void nodes[0]!.pubsub.close();
    expect(await readyOf(cluster, closed)).toBe(false);
    expect(await readyOf(cluster, topic("c").ready)).toBe(false);
  });

  test("of a connection whose init waits for it: the recipe for a history", async () => {
    const { cluster, nodes } = await setUp(2);
    const [here, there] = nodes.map(({ pubsub }) => pubsub.topic<string>("history"));
    cluster.engine.hold("confirmations");
    const joining = connect<undefined, number, string>(
      {
        init: async (_, self) => {
          const ready = await here!.subscribe(self).ready;
          there!.publish(text("live"));
          await cluster.settle();
          return push(text(`history ${ready}`), 0);
        },
        handleIn: (_, state) => ok(state),
      },
      undefined,
    );
    await cluster.settle();
    expect(here!.size).toBe(0);
    cluster.engine.release("confirmations");
    await cluster.settle();
    expect(textsOf(await joining)).toEqual(["history true", "live"]);
  });
});
