/** `Presence` over nodes, on an engine in memory. */
import { describe, expect, test } from "vitest";
import { Presence, type PubSubOptions } from "websock-js/pubsub";
import type { MemoryMessage } from "../../../src/testing/memory-engine.ts";
import { join, type Member } from "../members.ts";
import { TestCluster, type TestNode } from "../nodes/cluster.ts";
import { metasOf, refsOf, Watcher } from "./watch.ts";

interface PresenceNode extends TestNode {
  readonly presence: Presence<unknown>;
  readonly watcher: Watcher;
  readonly member: Member;
}

class PresenceCluster extends TestCluster {
  readonly messages: MemoryMessage[] = [];

  constructor() {
    super();
    this.engine.onMessage = (message) => {
      this.messages.push(message);
      return [message.bytes];
    };
  }

  async start(count: number, options: PubSubOptions = {}): Promise<PresenceNode[]> {
    const nodes: PresenceNode[] = [];
    for (let i = 0; i < count; i++) {
      const node = this.node(options);
      const presence = new Presence<unknown>(node.pubsub);
      nodes.push({ ...node, presence, watcher: new Watcher(presence), member: await join(node.pubsub, []) });
    }
    await this.settle();
    return nodes;
  }

  /** Loses what nodes of different groups send each other. */
  split(...groups: readonly (readonly PresenceNode[])[]): void {
    const groupOf = (id: string): number => groups.findIndex((group) => group.some(({ pubsub }) => pubsub.node === id));
    this.engine.onMessage = ({ from, to, bytes }) => (groupOf(from) === groupOf(to) ? [bytes] : []);
  }

  heal(): void {
    this.engine.onMessage = undefined;
  }
}

const expectEqualViews = (nodes: readonly PresenceNode[], topic = "room"): void => {
  for (const { presence, watcher } of nodes) {
    // As text, which is quicker to compare than long lists.
    const refs = refsOf(presence, topic).join("\n");
    expect(refs).toBe(refsOf(nodes[0]!.presence, topic).join("\n"));
    expect(watcher.present(topic).join("\n")).toBe(refs);
    expect(watcher.mistakes).toEqual([]);
  }
};

const trackAll = (nodes: readonly PresenceNode[]): void => {
  for (const [i, { presence, member }] of nodes.entries()) presence.track(member.self, "room", `user${i}`, i);
};

describe("presence over nodes", () => {
  test("track, update and untrack reach all nodes, each change once", async () => {
    const cluster = new PresenceCluster();
    const nodes = await cluster.start(3);
    const [{ presence, member }] = nodes as [PresenceNode];
    trackAll(nodes);
    await cluster.settle();
    for (const node of nodes) expect(metasOf(node.presence)).toEqual({ user0: [0], user1: [1], user2: [2] });
    presence.update(member.self, "room", "user0", { deep: [1] });
    await cluster.settle();
    presence.untrack(member.self, "room");
    await cluster.settle();
    for (const { watcher } of nodes.slice(1))
      expect(watcher.lines.slice(-2)).toEqual(['room -user0:0 +user0:{"deep":[1]}', 'room -user0:{"deep":[1]}']);
    expectEqualViews(nodes);
  });

  test("what changes in one tick is one message and, on each node, one diff", async () => {
    const cluster = new PresenceCluster();
    const nodes = await cluster.start(2);
    const [{ presence, member, pubsub }, other] = nodes as [PresenceNode, PresenceNode];
    const before = pubsub.stats.backplane!.sentMessages;
    for (let i = 0; i < 1_000; i++) presence.track(member.self, "room", `k${i}`, i);
    for (let i = 0; i < 1_000; i += 2) presence.untrack(member.self, "room", `k${i}`);
    await cluster.settle();
    expect(pubsub.stats.backplane!.sentMessages - before).toBe(1);
    expect(other.watcher.lines).toHaveLength(1);
    expectEqualViews(nodes);
  });

  test("a node that starts later knows all entries at once, also if its Presence is created later", async () => {
    const cluster = new PresenceCluster();
    const nodes = await cluster.start(2);
    trackAll(nodes);
    await cluster.settle();
    const [third] = await cluster.start(1);
    expectEqualViews([...nodes, third!]);
    const [plain] = await cluster.nodes(1);
    const presence = new Presence<unknown>(plain!.pubsub);
    await cluster.settle();
    expect(refsOf(presence)).toEqual(refsOf(third!.presence));
  });

  test("presences of different names do not mix", async () => {
    const cluster = new PresenceCluster();
    const nodes = await cluster.start(2);
    const others = nodes.map(({ pubsub }) => new Presence<unknown>(pubsub, { name: "🙂" }));
    others[0]!.track(nodes[0]!.member.self, "room", "ada", 1);
    await cluster.settle();
    expect(metasOf(others[1]!)).toEqual({ ada: [1] });
    expect(metasOf(nodes[1]!.presence)).toEqual({});
  });

  test("topics and keys may contain anything", async () => {
    const cluster = new PresenceCluster();
    const [one, two] = (await cluster.start(2)) as [PresenceNode, PresenceNode];
    const names = ["\ud800", "\udc00", "__proto__", "a\0b", "🙂", "*", "\ufeffx"];
    for (const [i, name] of names.entries()) one.presence.track(one.member.self, name, name, i);
    one.presence.track(one.member.self, "empty key", "", 7);
    await cluster.settle();
    for (const [i, name] of names.entries()) expect([...two.presence.list(name).keys()], `${i}`).toEqual([name]);
    expect(two.presence.get("empty key", "")[0]!.meta).toBe(7);
  });

  test("a meta that cannot be decoded is reported once, and left out", async () => {
    const cluster = new PresenceCluster();
    const codec = {
      encode: (info: unknown): string => JSON.stringify(info),
      decode: (bytes: Uint8Array): unknown => {
        const info: unknown = JSON.parse(new TextDecoder().decode(bytes));
        if (info === "bad") throw new Error("bad");
        return info;
      },
    };
    const [one, two] = (await cluster.start(2, { codec })) as [PresenceNode, PresenceNode];
    for (const [key, meta] of ["bad", "bad", "good"].entries())
      one.presence.track(one.member.self, "room", `${key}`, meta);
    await cluster.settle();
    expect(metasOf(two.presence)).toEqual({ 2: ["good"] });
    expect(two.events.filter(({ type }) => type === "error")).toMatchObject([{ topic: "room" }]);
    one.presence.untrack(one.member.self, "room");
    await cluster.settle();
    expect(metasOf(two.presence)).toEqual({});
    expect(two.watcher.mistakes).toEqual([]);
  });

  test("subscription.ready is false while other nodes cannot be reached", async () => {
    const cluster = new PresenceCluster();
    const [{ presence, member }] = (await cluster.start(2)) as [PresenceNode];
    expect(await presence.subscribe(member.self, "room", () => "").ready).toBe(true);
    cluster.engine.away();
    expect(await presence.subscribe(member.self, "room", () => "").ready).toBe(false);
  });
});

describe("nodes that come and go", () => {
  test("a node that crashes: its entries leave on all others within `down`, once", async () => {
    const cluster = new PresenceCluster();
    const nodes = await cluster.start(4);
    trackAll(nodes);
    await cluster.advance(7_000, 500);
    const [crashed, ...others] = nodes as [PresenceNode, PresenceNode, PresenceNode, PresenceNode];
    cluster.engine.away({ node: crashed.pubsub.node, forever: true });
    const ref = crashed.presence.get("room", "user0")[0]!.ref;
    // Its last beat was two seconds ago.
    await cluster.advance(27_500, 500);
    for (const { presence } of others) expect(presence.get("room", "user0")).toHaveLength(1);
    await cluster.advance(500, 500);
    for (const { presence, watcher } of others) {
      expect(metasOf(presence)).toEqual({ user1: [1], user2: [2], user3: [3] });
      expect(watcher.left).toEqual(new Map([[ref, 1]]));
    }
    await cluster.advance(100_000, 1_000);
    expectEqualViews(others);
    for (const { watcher } of others) expect(watcher.left).toEqual(new Map([[ref, 1]]));
  });

  test("close: its entries leave at once, and do not come back", async () => {
    const cluster = new PresenceCluster();
    const nodes = await cluster.start(3);
    trackAll(nodes);
    await cluster.settle();
    const [closing, ...others] = nodes as [PresenceNode, PresenceNode, PresenceNode];
    closing.presence.track(closing.member.self, "room", "in the same tick", 1);
    cluster.engine.hold("settlements");
    const sent = (): number => closing.pubsub.stats.backplane!.sentMessages;
    const sentBefore = sent();
    const closed = closing.pubsub.close();
    await cluster.settle();
    expect(sent() - sentBefore).toBe(1);
    for (const { presence } of others) expect(metasOf(presence)).toEqual({ user1: [1], user2: [2] });
    // While it waits for the engine, a new node says hello, and a connection of its own ends.
    closing.member.self.stop("bye");
    const [late] = await cluster.start(1);
    cluster.engine.release();
    await cluster.settle();
    await closed;
    await cluster.advance(10_000, 1_000);
    expectEqualViews([...others, late!]);
    for (const { pubsub, watcher } of others) {
      expect(pubsub.stats.backplane!.nodes).toBe(3);
      expect([...watcher.left.values()]).toEqual([1]);
    }
  });

  test("a node that was silent for `down` is back with its next beat, not with a change", async () => {
    const cluster = new PresenceCluster();
    const [one, two] = (await cluster.start(2)) as [PresenceNode, PresenceNode];
    one.presence.track(one.member.self, "room", "ada", 1);
    await cluster.settle();
    cluster.split([one], [two]);
    await cluster.advance(31_000, 500);
    cluster.heal();
    one.presence.track(one.member.self, "room", "ben", 1);
    await cluster.settle();
    expect(metasOf(two.presence)).toEqual({});
    cluster.engine.away({ node: one.pubsub.node, forever: true });
    await cluster.advance(60_000, 1_000);
    expect(metasOf(two.presence)).toEqual({});
    expect(two.watcher.mistakes).toEqual([]);
  });

  test("what joins and leaves again while the entries are requested stays nowhere", async () => {
    const cluster = new PresenceCluster();
    const [one] = (await cluster.start(1)) as [PresenceNode];
    one.presence.track(one.member.self, "room", "ada", 1);
    await cluster.settle();
    let requests = 0;
    cluster.engine.onMessage = ({ channel, from, bytes }) => {
      if (channel === `n:${one.pubsub.node}` && from !== one.pubsub.node && requests++ === 0) {
        cluster.clock.defer(() => one.presence.untrack(one.member.self, "room", "ben"));
        one.presence.track(one.member.self, "room", "ben", 1);
      }
      return [bytes];
    };
    const [two] = (await cluster.start(1)) as [PresenceNode];
    expect(requests).toBe(1);
    expect(metasOf(two.presence)).toEqual({ ada: [1] });
    expectEqualViews([one, two]);
  });

  test("a node that starts again is another node: nothing of the old one stays, nothing is there twice", async () => {
    const cluster = new PresenceCluster();
    const [old, other] = (await cluster.start(2)) as [PresenceNode, PresenceNode];
    old.presence.track(old.member.self, "room", "ada", "old");
    await cluster.settle();
    cluster.engine.away({ node: old.pubsub.node, forever: true });
    const [young] = (await cluster.start(1)) as [PresenceNode];
    young.presence.track(young.member.self, "room", "ada", "new");
    await cluster.settle();
    expect(metasOf(other.presence)).toEqual({ ada: ["new", "old"] });
    expect(metasOf(young.presence)).toEqual({ ada: ["new"] });
    await cluster.advance(31_000, 500);
    expect(metasOf(other.presence)).toEqual({ ada: ["new"] });
    expectEqualViews([other, young]);
  });

  test("split for 40 seconds, then healed: both halves saw the other leave, and all views are equal", async () => {
    const cluster = new PresenceCluster();
    const nodes = await cluster.start(4);
    trackAll(nodes);
    await cluster.settle();
    cluster.split(nodes.slice(0, 2), nodes.slice(2));
    await cluster.advance(10_000, 500);
    nodes[0]!.presence.update(nodes[0]!.member.self, "room", "user0", "a");
    nodes[2]!.presence.untrack(nodes[2]!.member.self, "room");
    await cluster.advance(30_000, 500);
    expect(metasOf(nodes[1]!.presence)).toEqual({ user0: ["a"], user1: [1] });
    expect(metasOf(nodes[3]!.presence)).toEqual({ user3: [3] });
    cluster.heal();
    await cluster.advance(6_000, 500);
    for (const { presence } of nodes) expect(metasOf(presence)).toEqual({ user0: ["a"], user1: [1], user3: [3] });
    expectEqualViews(nodes);
  });

  test("while the engine is away, the others stay; what has changed meanwhile is known when it is back", async () => {
    const cluster = new PresenceCluster();
    const nodes = await cluster.start(3);
    trackAll(nodes);
    await cluster.settle();
    cluster.engine.away();
    nodes[0]!.presence.update(nodes[0]!.member.self, "room", "user0", "a");
    nodes[1]!.presence.untrack(nodes[1]!.member.self, "room");
    await cluster.advance(40_000, 1_000);
    expect(metasOf(nodes[2]!.presence)).toEqual({ user0: [0], user1: [1], user2: [2] });
    const before = nodes.map(({ watcher }) => watcher.lines.length);
    cluster.engine.up();
    await cluster.settle();
    for (const { presence } of nodes) expect(metasOf(presence)).toEqual({ user0: ["a"], user2: [2] });
    expect(nodes.map(({ watcher }, i) => watcher.lines.length - before[i]!)).toEqual([1, 1, 1]);
    await cluster.advance(40_000, 1_000);
    expectEqualViews(nodes);
  });
});

describe("traffic", () => {
  const sizeOf = (messages: readonly MemoryMessage[]): number =>
    messages.reduce((sum, { bytes }) => sum + bytes.length, 0);

  test("10 000 entries on 4 nodes: changes and new nodes cost what they have to, beats nothing more", async () => {
    const cluster = new PresenceCluster();
    const nodes = await cluster.start(4);
    for (const [i, { presence, member }] of nodes.entries())
      for (let j = 0; j < 2_500; j++) presence.track(member.self, "room", `user${i}-${j}`, { name: `User ${j}` });
    cluster.messages.length = 0;
    await cluster.settle();
    expectEqualViews(nodes);
    expect(nodes[0]!.presence.list("room").size).toBe(10_000);
    // Each entry goes to four nodes once, the sender included: some 60 bytes.
    expect(sizeOf(cluster.messages)).toBeLessThan(4 * 10_000 * 70);
    expect(cluster.messages.length).toBeLessThan(4 * 4 * 4);

    cluster.messages.length = 0;
    const [fifth] = await cluster.start(1);
    expectEqualViews([...nodes, fifth!]);
    expect(sizeOf(cluster.messages)).toBeLessThan(10_000 * 70);
    expect(cluster.messages.length).toBeLessThan(70);

    cluster.messages.length = 0;
    await cluster.advance(60_000, 1_000);
    // Five nodes, twelve beats each, which five nodes receive; the probes besides.
    expect(cluster.messages.length).toBeLessThan(5 * 5 * 13 + 5 * 5);
    expect(sizeOf(cluster.messages)).toBeLessThan(46 * cluster.messages.length);

    cluster.messages.length = 0;
    nodes[0]!.presence.update(nodes[0]!.member.self, "room", "user0-7", { name: "Ada" });
    await cluster.settle();
    expect(cluster.messages.length).toBe(5);
    expect(sizeOf(cluster.messages)).toBeLessThan(5 * 130);
    cluster.messages.length = 0;
    nodes[1]!.member.self.stop("bye");
    await cluster.settle();
    expect(sizeOf(cluster.messages)).toBeLessThan(5 * 2_500 * 8);
    expect(fifth!.presence.list("room").size).toBe(7_500);
    expectEqualViews([...nodes, fifth!]);
    for (const { pubsub } of nodes) expect(pubsub.stats.backplane).toMatchObject({ droppedTooLarge: 0, missed: 0 });
  });

  test("a node that has missed a diff requests the entries once, however many diffs follow", async () => {
    const cluster = new PresenceCluster();
    const [one, two] = (await cluster.start(2)) as [PresenceNode, PresenceNode];
    for (let j = 0; j < 2_000; j++) one.presence.track(one.member.self, "room", `${j}`, j);
    await cluster.settle();
    cluster.engine.away({ node: two.pubsub.node });
    one.presence.untrack(one.member.self, "room", "7");
    await cluster.settle();
    cluster.messages.length = 0;
    cluster.engine.up();
    for (let i = 0; i < 50; i++) {
      one.presence.update(one.member.self, "room", "8", i);
      cluster.clock.turn();
    }
    await cluster.settle();
    expectEqualViews([one, two]);
    const parts = cluster.messages.filter(({ channel, bytes }) => channel.startsWith("n:") && bytes.length > 1_000);
    expect(parts.length).toBeLessThanOrEqual(3);
  });

  test("metas of any size up to the limit are split into messages that fit", async () => {
    const cluster = new PresenceCluster();
    const nodes = await cluster.start(2);
    const [{ presence, member }] = nodes as [PresenceNode];
    const sizes = [1, 100, 30_000, 65_000, 65_000, 40_000, 5];
    for (let i = 0; i < 210; i++) presence.track(member.self, "room", `${i}`, "x".repeat(sizes[i % sizes.length]!));
    await cluster.settle();
    nodes.push(...(await cluster.start(1)));
    expectEqualViews(nodes);
    expect(nodes[2]!.presence.list("room").size).toBe(210);
    expect(Math.max(...cluster.messages.map(({ bytes }) => bytes.length))).toBeLessThan(256 * 1_024);
    for (const { pubsub } of nodes)
      expect(pubsub.stats.backplane).toMatchObject({ droppedTooLarge: 0, droppedBacklog: 0, missed: 0 });
  });

  test("entries of more bytes than may be unacknowledged reach a new node, and the engine stays up", async () => {
    const cluster = new PresenceCluster();
    const nodes = await cluster.start(2, { maxUnacknowledged: 200_000 });
    const [{ presence, member }] = nodes as [PresenceNode];
    for (let i = 0; i < 30; i++) {
      presence.track(member.self, "room", `${i}`, "x".repeat(30_000));
      await cluster.settle();
    }
    nodes.push(...(await cluster.start(2, { maxUnacknowledged: 200_000 })));
    await cluster.settle();
    expectEqualViews(nodes);
    expect(nodes[3]!.presence.list("room").size).toBe(30);
    for (const { events } of nodes) expect(events.map(({ type }) => type)).toEqual(["up"]);
  });
});
