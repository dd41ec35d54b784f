/** `close()`: a goodbye, and then nothing more. */
import { describe, expect, test } from "vitest";
import { text } from "../../../src/message.ts";
import { PubSub } from "../../../src/pubsub/index.ts";
import { EntryType } from "../../../src/pubsub/nodes/envelope.ts";
import { DeferringClock } from "../../support/deferring-clock.ts";
import { ByteHost } from "../byte-members.ts";
import { join } from "../members.ts";
import { entriesOf, RawBackplane } from "./raw-backplane.ts";
import { envelope, scheduledOn, setUp, strangerOn } from "./rooms.ts";

const isSettled = async (promise: Promise<void>): Promise<boolean> => {
  let settled = false;
  void promise.then(() => {
    settled = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
};

describe("close()", () => {
  test("says goodbye at once, with what was published before; nothing stays scheduled", async () => {
    const { cluster, nodes, members } = await setUp(2);
    nodes[0]!.pubsub.topic("room").publish(text("last"));
    expect(scheduledOn(cluster.clock)).toBeGreaterThan(0);
    const closing = nodes.map(({ pubsub }) => pubsub.close());
    await cluster.settle();
    await Promise.all(closing);
    expect(scheduledOn(cluster.clock)).toBe(0);
    expect(cluster.clock.turn()).toBe(false);
    expect(members[0]!.texts()).toEqual(["last"]);

    const rooms = await setUp(2);
    rooms.nodes[0]!.pubsub.topic("room").publish(text("last"));
    const one = rooms.nodes[0]!.pubsub.close();
    await rooms.cluster.settle();
    await one;
    expect(rooms.members[1]!.texts()).toEqual(["last"]);
    expect(rooms.nodes[1]!.pubsub.stats.backplane!.nodes).toBe(1);
    expect(rooms.nodes.map(({ pubsub }) => pubsub.status)).toEqual(["closed", "up"]);
  });

  test("afterwards nothing is delivered, and nothing is sent", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const [closed, other] = nodes.map(({ pubsub }) => pubsub);
    const infos: unknown[] = [];
    closed!.onNodesInfo((info) => infos.push(info));
    const addresses = members.map(({ self }, i) => nodes[i]!.pubsub.address(self));
    const closing = closed!.close();
    other!.topic<string>("room").broadcast("late");
    other!.broadcastToNodes("late");
    other!.send(addresses[0]!, "late");
    await cluster.settle();
    await closing;
    const { publishes } = cluster.engine.stats;
    expect(closed!.topic<string>("room").publish(text("m"))).toBe(false);
    expect(closed!.topic<string>("room").broadcast("m")).toBe(false);
    expect(closed!.broadcastToNodes("m")).toBe(false);
    expect(addresses.map((address) => closed!.send(address, "m"))).toEqual([false, false]);
    expect(closed!.stop(addresses[1]!, "kicked")).toBe(false);
    closed!.topic("room").stop("kicked");
    expect(await closed!.topic<string>("room").subscribe(members[0]!.self).ready).toBe(false);
    await cluster.advance(100_000, 1_000);
    expect(members[0]!.texts()).toEqual([]);
    expect(infos).toEqual([]);
    expect(closed!.stats).toMatchObject({ topics: 0, subscriptions: 0, addresses: 0 });
    expect(cluster.engine.subscribers("t:room")).toEqual([other!.node]);
    const ofOther = other!.stats.backplane!.sentEnvelopes + other!.stats.backplane!.probes;
    expect(cluster.engine.stats.publishes).toBeLessThanOrEqual(publishes + ofOther);
    expect(nodes[0]!.events).toEqual([{ type: "up" }, { type: "closed" }]);
    expect(members[0]!.self.push(text("still open"))).toBe(true);
  });

  test("a listener that closes the PubSub gets nothing more of the same envelope", async () => {
    const { cluster, nodes } = await setUp(1);
    const publish = strangerOn(cluster);
    await cluster.settle();
    const infos: unknown[] = [];
    nodes[0]!.pubsub.onNodesInfo((info) => {
      infos.push(info);
      void nodes[0]!.pubsub.close();
    });
    publish(
      "all",
      envelope([
        [EntryType.info, '"a"'],
        [EntryType.info, '"b"'],
      ]),
    );
    await cluster.settle();
    expect(infos).toEqual(["a"]);
  });

  test.each([
    ["away", () => undefined],
    ["connecting", (backplane: RawBackplane) => backplane.link.up()],
    ["closed forever", (backplane: RawBackplane) => backplane.link.away("closed", true)],
  ])("while %s: at once, without a goodbye", async (_, prepare) => {
    const clock = new DeferringClock();
    const backplane = new RawBackplane();
    const pubsub = new PubSub({ backplane, clock });
    const member = await join(pubsub);
    prepare(backplane);
    const { length } = backplane.published;
    expect(await isSettled(pubsub.close())).toBe(true);
    expect(backplane.isClosed).toBe(true);
    // What is reported late does nothing.
    backplane.comeUp();
    backplane.link.up();
    backplane.link.away("late");
    backplane.link.receive("t:room", envelope([[EntryType.text, "late"]]));
    expect(backplane.published).toHaveLength(0);
    expect(length).toBeLessThanOrEqual(1);
    expect(pubsub.status).toBe("closed");
    expect(scheduledOn(clock)).toBe(0);
    expect(clock.turn()).toBe(false);
    expect(member.texts()).toEqual([]);
  });

  test("waits until the engine has the goodbye, at most a second", async () => {
    for (const acknowledged of [true, false]) {
      const clock = new DeferringClock();
      const backplane = new RawBackplane();
      const pubsub = new PubSub({ backplane, clock });
      backplane.comeUp();
      clock.turn();
      backplane.returnAll();
      const closing = pubsub.close();
      expect(backplane.published.map((each) => entriesOf(each)[0]!.type)).toEqual([EntryType.goodbye]);
      expect(await isSettled(closing)).toBe(false);
      const again = pubsub.close();
      expect(await isSettled(again)).toBe(false);
      // What happens meanwhile is not answered: a beat after the goodbye would bring the node back.
      backplane.link.receive("all", envelope([[EntryType.hello, ""]]));
      backplane.link.away("cut");
      backplane.link.up();
      if (acknowledged) backplane.returnAll();
      else clock.advance(1_000);
      expect(await isSettled(closing)).toBe(true);
      expect(await isSettled(again)).toBe(true);
      clock.turn();
      const types = backplane.published.map((each) => entriesOf(each)[0]!.type);
      expect(types).not.toContain(EntryType.beat);
      expect(types).not.toContain(EntryType.hello);
      expect(scheduledOn(clock)).toBe(0);
      for (const { settled } of backplane.published) settled(false);
      expect(backplane.published).toHaveLength(types.length);
    }
  });

  test("again, from onGap or onEvent while it closes: waits as well", async () => {
    const host = new ByteHost();
    const backplane = new RawBackplane();
    const again: Promise<void>[] = [];
    const closeAgain = (): string => {
      again.push(pubsub.close());
      return "gap";
    };
    const pubsub = new PubSub({
      backplane,
      clock: host.clock,
      onEvent: ({ type }) => type === "closed" && closeAgain(),
    });
    backplane.comeUp();
    host.tick();
    backplane.returnAll();
    const room = pubsub.topic("room");
    const subscribe = { slow: "drop", maxBuffered: 10, onGap: closeAgain } as const;
    const { stream } = host.join(pubsub, ["room"], { subscribe });
    stream.stalled = true;
    room.publish([text("12345678"), text("dropped")]);
    host.tick();
    stream.stalled = false;
    stream.drain();
    backplane.returnAll();
    // Is sent when the member leaves, and announces the gap.
    room.publish(text("last"));
    expect(again).toEqual([]);
    const closing = pubsub.close();
    expect(again).toHaveLength(2);
    for (const promise of again) expect(await isSettled(promise)).toBe(false);
    backplane.returnAll();
    await Promise.all([closing, ...again]);
    expect(backplane.isClosed).toBe(true);
  });

  test("an engine that acknowledges within publish: at once", async () => {
    const clock = new DeferringClock();
    const backplane = new RawBackplane();
    const pubsub = new PubSub({ backplane, clock });
    backplane.comeUp();
    backplane.onPublish = ({ settled }) => settled(true);
    expect(await isSettled(pubsub.close())).toBe(true);
    expect(scheduledOn(clock)).toBe(0);
  });

  test("without a backplane: at once, and twice is once", async () => {
    const types: string[] = [];
    const pubsub = new PubSub({ onEvent: ({ type }) => types.push(type) });
    await pubsub.close();
    await pubsub.close();
    expect(types).toEqual(["closed"]);
  });
});
