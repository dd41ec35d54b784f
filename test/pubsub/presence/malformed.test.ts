/** Whatever is published to the engine, presence neither throws nor shows what no node has tracked. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Presence, type PubSub } from "websock-js/pubsub";
import type { IoData } from "../../../src/message.ts";
import { ioLength } from "../../../src/protocol/io-data.ts";
import { ByteWriter, MalformedError } from "../../../src/pubsub/nodes/bytes.ts";
import { EntryType, EnvelopeWriter, PLAIN, uuidBytes } from "../../../src/pubsub/nodes/envelope.ts";
import {
  readPresenceMessage,
  writeDiff,
  writeJoin,
  writeLeave,
  writePart,
  writeRequest,
} from "../../../src/pubsub/presence/messages.ts";
import { join } from "../members.ts";
import { TestCluster, type TestNode } from "../nodes/cluster.ts";
import { metasOf, Watcher } from "./watch.ts";

const bytesOf = (data: IoData): Uint8Array => {
  const writer = new ByteWriter();
  for (const part of Array.isArray(data) ? data : [data]) writer.raw(part);
  return writer.written.slice();
};

const bytes = (...values: readonly number[]): Uint8Array => Uint8Array.from(values);

const VALID = {
  diff: bytesOf(writeDiff(7, [writeJoin(1, "room", "ada", '{"a":1}'), writeLeave(2)])),
  part: bytesOf(writePart(7, 3, 9, [writeJoin(3, "\ud800", "é", "null")])),
  request: bytesOf(writeRequest(5)),
};

test("messages are read as they were written", () => {
  expect(readPresenceMessage(VALID.diff)).toEqual({
    type: "diff",
    version: 7,
    joins: [{ number: 1, topic: "room", key: "ada", meta: new TextEncoder().encode('{"a":1}') }],
    leaves: [2],
  });
  expect(readPresenceMessage(VALID.part)).toEqual({
    type: "part",
    version: 7,
    from: 3,
    next: 9,
    joins: [{ number: 3, topic: "\ud800", key: "é", meta: new TextEncoder().encode("null") }],
  });
  expect(readPresenceMessage(VALID.request)).toEqual({ type: "request", from: 5 });
  expect(readPresenceMessage(bytesOf(writePart(1, 0, undefined, [])))).toMatchObject({ next: undefined, joins: [] });
});

const join1 = writeJoin(1, "a", "b", "1");
const MALFORMED: Record<string, Uint8Array> = {
  empty: bytes(),
  "a kind that does not exist": bytesOf(writeDiff(1, [bytes(2, 0, 0, 0, 0, 0, 1)])),
  "a part that ends at its start": bytesOf(writePart(1, 5, 5, [])),
  "a place that is no JSON": bytesOf(writeDiff(1, [bytes(1, 0, 0, 0, 0, 0, 1, 1, 0x7b, 0)])),
  "a place that is no list": bytesOf(writeDiff(1, [bytes(1, 0, 0, 0, 0, 0, 1, 1, 0x31, 0)])),
  "a place that is not UTF-8": bytesOf(writeDiff(1, [bytes(1, 0, 0, 0, 0, 0, 1, 1, 0xff, 0)])),
  "a topic that is a number": bytesOf(writeJoinOf("[1,2]")),
  "a key that is missing": bytesOf(writeJoinOf('["a"]')),
  "a meta that ends after the message": bytesOf(writeDiff(1, [join1.subarray(0, join1.length - 1)])),
};

function writeJoinOf(place: string): IoData {
  const writer = new ByteWriter();
  writer.raw(bytes(1, 0, 0, 0, 0, 0, 1));
  writer.sized(place);
  writer.sized("1");
  return writeDiff(1, [writer.written]);
}

test.each(Object.entries(MALFORMED))("%s is malformed", (_, body) => {
  expect(() => readPresenceMessage(body)).toThrow(MalformedError);
});

test("a type that is not known is ignored: a later release may have it", () => {
  expect(readPresenceMessage(bytes(3, 1, 2))).toBeUndefined();
});

/** Publishes entries of presence as a node that does not exist, one envelope for each list. */
const publish = async (cluster: TestCluster, bodies: readonly (readonly Uint8Array[])[]): Promise<void> => {
  const node = crypto.randomUUID();
  let first = 1;
  const stranger = cluster.engine.backplane().connect({
    node,
    receive: () => undefined,
    up: () => {
      for (const entries of bodies) {
        const writer = new EnvelopeWriter(uuidBytes(node), 1, first);
        for (const body of entries) {
          const entry = [bytes(0), body];
          writer.add(EntryType.presence, entry, ioLength(entry), PLAIN);
          first++;
        }
        stranger.publish("all", writer.finish(), () => undefined);
      }
    },
    away: () => undefined,
    warn: () => undefined,
  });
  await cluster.settle();
};

const setUp = async (): Promise<{
  cluster: TestCluster;
  presence: Presence<unknown>;
  watcher: Watcher;
  pubsub: PubSub;
}> => {
  const cluster = new TestCluster();
  const [{ pubsub }, other] = (await cluster.nodes(2)) as [TestNode, TestNode];
  const [presence, others] = [new Presence<unknown>(pubsub), new Presence<unknown>(other.pubsub)];
  others.track((await join(pubsub, [])).self, "room", "real", 1);
  await cluster.settle();
  return { cluster, presence, watcher: new Watcher(presence), pubsub };
};

test("what is malformed is counted, and what follows in the same envelope is received", async () => {
  const { cluster, presence, pubsub } = await setUp();
  const bodies = [...Object.values(MALFORMED), bytes(3), bytesOf(writeDiff(1, [writeJoin(1, "room", "next", "2")]))];
  await publish(cluster, [bodies]);
  expect(pubsub.stats.backplane!.malformed).toBe(Object.keys(MALFORMED).length);
  expect(metasOf(presence)).toEqual({ next: [2], real: [1] });
  await cluster.advance(30_000, 1_000);
  expect(metasOf(presence)).toEqual({ real: [1] });
});

test("any bytes: nothing is thrown, and after `down` nothing is left", async () => {
  const { cluster, presence, watcher } = await setUp();
  const change = fc.constantFrom<(bytes: Uint8Array, at: number) => Uint8Array>(
    (bytes, at) => bytes.slice(0, at % bytes.length),
    (bytes, at) => bytes.map((byte, i) => (i === at % bytes.length ? byte ^ (1 << (at % 8)) : byte)),
    (bytes) => bytes,
  );
  const body = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 40, size: "max" }),
    fc
      .tuple(fc.constantFrom(...Object.values(VALID)), change, fc.nat(200))
      .map(([valid, apply, at]) => apply(valid, at)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(body, { minLength: 1, maxLength: 5 }), { maxLength: 5 }), async (bodies) => {
      await publish(cluster, bodies);
      expect(presence.get("room", "real")).toHaveLength(1);
    }),
    { numRuns: 150 },
  );
  await cluster.advance(30_000, 1_000);
  expect([...presence.list("room").keys()]).toEqual(["real"]);
  expect(watcher.mistakes).toEqual([]);
  expect(watcher.present()).toHaveLength(0);
});
