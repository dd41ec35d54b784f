/** Addresses over nodes: forged ones, those of dead nodes, and what is left at the end. */
import { describe, expect, test } from "vitest";
import { text } from "../../../src/message.ts";
import type { Address } from "../../../src/pubsub/index.ts";
import { join } from "../members.ts";
import { setUp } from "./rooms.ts";

describe("addresses", () => {
  test("forged and truncated ones reach nobody", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const [here, there] = nodes.map(({ pubsub }) => pubsub);
    const real = there!.address(members[1]!.self);
    const [node, id] = real.split(":") as [string, string];
    const { channels } = here!.stats.backplane!;
    const unreachable = [
      "",
      ":",
      node,
      `${node}:`,
      `${node}:>`,
      `${node}:*`,
      `*:${id}`,
      `>:${id}`,
      `${node}.>:${id}`,
      `${node}\r\n:${id}`,
      ` ${real}`,
      `${real}\n`,
      `${real}:`,
      real.toUpperCase(),
      real.slice(0, -1),
      real.slice(1),
      `${here!.node}:${id}`,
      `${here!.node}:`,
      "__proto__",
      "a".repeat(100_000),
    ];
    for (const address of unreachable) {
      expect(here!.send(address as Address<string>, "x")).toBe(false);
      expect(here!.stop(address as Address, "kicked")).toBe(false);
    }
    // Nobody can know that these are nobody's.
    for (const address of [`${node}:${crypto.randomUUID()}`, `${crypto.randomUUID()}:${id}`]) {
      here!.send(address as Address<string>, "x");
      here!.stop(address as Address, "kicked");
    }
    await cluster.settle();
    for (const { texts, self } of members) {
      expect(texts()).toEqual([]);
      expect(self.push(text("open"))).toBe(true);
    }
    expect(here!.stats.backplane).toMatchObject({ channels, malformed: 0 });
    expect(there!.stats.backplane).toMatchObject({ channels, malformed: 0 });
    for (const value of [undefined, null, 5, {}]) expect(() => here!.send(value as never, "x")).toThrow(TypeError);
  });

  test("of a connection that has ended, of a node that is closed, dead, or has restarted: nobody", async () => {
    const { cluster, nodes, members } = await setUp(3);
    const [here, closed, dead] = nodes.map(({ pubsub }) => pubsub);
    const addresses = members.map(({ self }, i) => nodes[i]!.pubsub.address(self));
    members[0]!.self.stop("normal");
    expect(here!.send(addresses[0]!, "x")).toBe(false);
    const closing = closed!.close();
    await cluster.settle();
    await closing;
    cluster.engine.away({ node: dead!.node, forever: true });
    const restarted = cluster.node();
    const member = await join(restarted.pubsub);
    restarted.pubsub.address(member.self);
    await cluster.settle();
    for (const address of addresses.slice(1)) here!.send(address, "x");
    await cluster.settle();
    expect(member.texts()).toEqual([]);
    expect(members.slice(1).map(({ texts }) => texts())).toEqual([[], []]);
    for (const { node } of [closed!, dead!]) expect(cluster.engine.subscribers(`n:${node}`)).toEqual([]);
  });

  test("false while the engine is away; a connection of this node is reached nevertheless", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const addresses = members.map(({ self }, i) => nodes[i]!.pubsub.address(self));
    cluster.engine.away();
    expect(addresses.map((address) => nodes[0]!.pubsub.send(address, "x"))).toEqual([true, false]);
    expect(nodes[0]!.pubsub.stop(addresses[1]!, "kicked")).toBe(false);
    cluster.engine.up();
    await cluster.settle();
    expect(members[0]!.texts()[0]).toBe("info:x");
    expect(members[1]!.texts()).toEqual(["info:gap:engine:?:-"]);
  });

  test("in a burst: in the order of the calls, once each, though the engine doubles everything", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const address = nodes[1]!.pubsub.address(members[1]!.self);
    cluster.engine.onMessage = ({ bytes }) => [bytes, bytes];
    const expected: string[] = [];
    for (let i = 0; i < 500; i++) {
      nodes[0]!.pubsub.send(address, `${i}`);
      expected.push(`info:${i}`);
      if (i % 50 === 0) await cluster.settle();
    }
    await cluster.settle();
    expect(members[1]!.texts()).toEqual(expected);
    expect(nodes[1]!.pubsub.stats.backplane!.duplicates).toBeGreaterThanOrEqual(500);
  });

  test("the directory is empty when the connections have ended", async () => {
    const { nodes } = await setUp(1);
    const { pubsub } = nodes[0]!;
    const members = await Promise.all(Array.from({ length: 200 }, () => join(pubsub, [])));
    for (const { self } of members) pubsub.address(self);
    expect(pubsub.stats.addresses).toBe(200);
    for (const [i, { self, client }] of members.entries()) {
      if (i % 2 === 0) self.stop("normal");
      else client.close(1000);
    }
    await Promise.all(members.map(({ client }) => client.ended));
    expect(pubsub.stats.addresses).toBe(0);
  });
});
