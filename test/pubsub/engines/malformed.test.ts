/** What others publish to the channels of nodes: it is counted, and neither delivered nor thrown (PUBSUB.md §4). */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { failOnUncaught } from "../../support/uncaught.ts";
import {
  announce,
  CLIENTS,
  cleanUpAfterEach,
  openClient,
  settled,
  startEngine,
  startNodes,
  TestNode,
  until,
} from "./engines.ts";

failOnUncaught();
cleanUpAfterEach();

const SILENT = { beat: 60_000, down: 120_000, probe: 60_000 };

describe.each(CLIENTS)("%s", (name) => {
  test("15: malformed envelopes and those of a later version", async () => {
    const engine = await startEngine(name);
    const nodes = await startNodes(name, [engine.port, engine.port], SILENT);
    const [publisher, receiver] = nodes as [TestNode, TestNode];
    const member = await receiver.join(["room"], { onGap: announce });
    const { bytes } = await engine.next("t:room");
    publisher.publish("before");
    const envelope = await bytes;
    await until(() => member.texts().length === 1);
    const before = { ...receiver.backplane };

    const later = Uint8Array.from(envelope);
    later[0] = 2;
    const tooLong = Uint8Array.from(envelope);
    // The length of the body.
    expect(tooLong[36]).toBe("before".length);
    tooLong[36]!++;
    const longest = Uint8Array.from([...envelope.subarray(0, 36), 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3]);
    const manyEntries = Uint8Array.from(envelope);
    manyEntries.set([0xff, 0xff], 27);
    const prefixes = Array.from(envelope, (_, length) => envelope.subarray(0, length));
    const random = fc
      .sample(fc.uint8Array({ maxLength: 200 }), { numRuns: 100, seed: 15 })
      .map((content) => (content[0] === 1 ? content.subarray(1, 20) : content));
    const endless = Uint8Array.from([...envelope, 0]);
    const malformed = [tooLong, longest, manyEntries, endless, ...prefixes, ...random, Buffer.from('{"a":1}\n')];

    for (const channel of ["t:room", "all", `n:${receiver.pubsub.node}`]) {
      for (const content of malformed) await engine.publish(channel, content);
      await engine.publish(channel, later);
    }
    publisher.publish("after");
    await until(() => member.texts().includes("after"));
    expect(member.texts()).toEqual(["before", "after"]);
    const { malformed: count, unknownVersion, missed, duplicates } = receiver.backplane;
    expect(count - before.malformed + unknownVersion - before.unknownVersion).toBe(3 * (malformed.length + 1));
    expect(unknownVersion - before.unknownVersion).toBeGreaterThanOrEqual(3);
    expect([missed, duplicates]).toEqual([0, 0]);
    expect(receiver.backplane.nodes).toBe(2);
    expect([...publisher.events, ...receiver.events].map(({ type }) => type)).toEqual(["up", "up"]);
  });

  test("15: infos that the codec does not understand are reported once for each topic", async () => {
    const { port } = await startEngine(name);
    const apps = await Promise.all([openClient(name, port), openClient(name, port)]);
    const publisher = new TestNode(apps[0]!, SILENT);
    const decode = (bytes: Uint8Array): unknown => {
      const info = JSON.parse(new TextDecoder().decode(bytes));
      if (info === "wrong") throw new Error("unknown info");
      return info;
    };
    const receiver = new TestNode(apps[1]!, { ...SILENT, codec: { encode: JSON.stringify, decode } });
    await settled([publisher, receiver]);
    const member = await receiver.join(["a", "b"]);
    for (const topic of ["a", "b"]) {
      for (let i = 0; i < 3; i++) publisher.pubsub.topic<string>(topic).broadcast("wrong");
      publisher.pubsub.topic<string>(topic).broadcast(`right ${topic}`);
    }
    await until(() => member.texts().length === 2);
    expect(member.texts()).toEqual(["info:right a", "info:right b"]);
    expect(receiver.events.filter(({ type }) => type === "error")).toEqual(
      ["a", "b"].map((topic) => ({ type: "error", error: new Error("unknown info"), topic })),
    );
  });
});
