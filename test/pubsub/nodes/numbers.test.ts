/** Numbers: what a receiver concludes from them, and that nothing is remembered forever. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { text } from "../../../src/message.ts";
import { EntryType } from "../../../src/pubsub/nodes/envelope.ts";
import { ReceivedNumbers, SENDER_EXPIRY, SentNumbers } from "../../../src/pubsub/nodes/numbers.ts";
import { PubSub } from "../../../src/pubsub/pubsub.ts";
import { DeferringClock } from "../../support/deferring-clock.ts";
import { join } from "../members.ts";
import { RawBackplane } from "./raw-backplane.ts";
import { envelope, setUp, strangerOn } from "./rooms.ts";

/** What a node remembers of what others have published, by channel and node. */
const receivedBy = (pubsub: PubSub): ReadonlyMap<string, ReadonlyMap<string, unknown>> =>
  Reflect.get(Reflect.get(PubSub.hubOf(pubsub).nodes!, "received"), "channels");

describe("SentNumbers", () => {
  test("each channel counts from 1 without holes", () => {
    const numbers = new SentNumbers();
    const first = [numbers.take("a", 3, 0), numbers.take("b", 1, 0), numbers.take("a", 2, 5), numbers.take("a", 1, 5)];
    expect(first.map(({ first }) => first)).toEqual([1, 1, 4, 6]);
    expect(first[0]!.epoch).toBe(first[2]!.epoch);
  });

  test("a channel that is used again within 10 minutes keeps its epoch, for hours", () => {
    const numbers = new SentNumbers();
    for (let i = 0; i < 100; i++) {
      const now = i * (SENDER_EXPIRY - 1);
      expect(numbers.take("a", 1, now)).toEqual({ epoch: 1, first: i + 1 });
      numbers.take(`other${i}`, 1, now + SENDER_EXPIRY / 2);
    }
  });

  test("a channel that was not used for 20 minutes begins a greater epoch", () => {
    const numbers = new SentNumbers();
    numbers.take("a", 5, 0);
    const other = numbers.take("b", 1, SENDER_EXPIRY);
    numbers.take("b", 1, 2 * SENDER_EXPIRY);
    const again = numbers.take("a", 1, 2 * SENDER_EXPIRY);
    expect(again.first).toBe(1);
    expect(again.epoch).toBeGreaterThan(other.epoch);
  });

  test("a clock that stands still changes nothing", () => {
    const numbers = new SentNumbers();
    for (let i = 1; i < 10; i++) expect(numbers.take("a", 1, 0)).toEqual({ epoch: 1, first: i });
  });
});

describe("ReceivedNumbers", () => {
  const receiver = () => {
    const numbers = new ReceivedNumbers();
    return (epoch: number, first: number, count = 1) => Object.values(numbers.accept("c", "n", epoch, first, count));
  };

  test.each([
    [
      "the first says where it begins",
      [
        [1, 5, 2, 0, 0],
        [1, 7, 1, 0, 0],
      ],
    ],
    [
      "the same again",
      [
        [1, 1, 3, 0, 0],
        [1, 1, 3, 3, 0],
        [1, 2, 1, 1, 0],
        [1, 4, 1, 0, 0],
      ],
    ],
    [
      "partly the same",
      [
        [1, 1, 3, 0, 0],
        [1, 3, 3, 1, 0],
        [1, 6, 1, 0, 0],
      ],
    ],
    [
      "a hole",
      [
        [1, 1, 1, 0, 0],
        [1, 5, 1, 0, 3],
        [1, 6, 1, 0, 0],
      ],
    ],
    [
      "a swap is a hole, and a drop",
      [
        [1, 1, 1, 0, 0],
        [1, 4, 2, 0, 2],
        [1, 2, 2, 2, 0],
        [1, 6, 1, 0, 0],
      ],
    ],
    [
      "a new epoch",
      [
        [1, 8, 1, 0, 0],
        [2, 1, 1, 0, 0],
        [2, 2, 1, 0, 0],
      ],
    ],
    [
      "a new epoch whose beginning is missing",
      [
        [1, 8, 1, 0, 0],
        [2, 4, 1, 0, 3],
      ],
    ],
    [
      "an old epoch",
      [
        [1, 8, 1, 0, 0],
        [2, 1, 1, 0, 0],
        [1, 9, 4, 4, 0],
        [2, 2, 1, 0, 0],
      ],
    ],
  ] as const)("%s", (_, steps) => {
    const accept = receiver();
    for (const [epoch, first, count, duplicates, missed] of steps)
      expect(accept(epoch, first, count)).toEqual([duplicates, missed]);
  });

  test("whatever comes in whatever order: never twice, never backwards, and the sum is right", () => {
    const envelopes = fc.array(fc.tuple(fc.integer({ min: 2, max: 40 }), fc.integer({ min: 1, max: 6 })));
    fc.assert(
      fc.property(envelopes, (all) => {
        const accept = receiver();
        accept(1, 1);
        let last = 1;
        let missing = 0;
        let delivered = 1;
        for (const [first, count] of all) {
          const [duplicates, missed] = accept(1, first, count) as [number, number];
          missing += missed;
          for (let number = first + duplicates; number < first + count; number++) {
            expect(number).toBeGreaterThan(last);
            last = number;
            delivered++;
          }
          expect(missing + delivered).toBe(last);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("nodes and channels do not disturb each other, and can be forgotten", () => {
    const numbers = new ReceivedNumbers();
    for (const channel of ["a", "b"]) for (const node of ["m", "n"]) numbers.accept(channel, node, 1, 1, 1);
    numbers.leaveChannel("a", 0);
    numbers.forgetNode("n");
    expect(numbers.accept("a", "m", 1, 9, 1).missed).toBe(0);
    expect(numbers.accept("b", "n", 1, 9, 1).missed).toBe(0);
    expect(numbers.accept("b", "m", 1, 9, 1).missed).toBe(7);
  });

  test("what was received before a channel was left is not received again; for a while, and without a gap", () => {
    const minute = 60_000;
    const join = (...left: readonly number[]): ReceivedNumbers => {
      const numbers = new ReceivedNumbers();
      numbers.accept("a", "n", 1, 1, 3);
      numbers.leaveChannel("a", minute);
      for (const now of left) numbers.leaveChannel("b", now);
      return numbers;
    };
    expect(join().accept("a", "n", 1, 2, 4)).toEqual({ duplicates: 2, missed: 0 });
    expect(join().accept("a", "n", 1, 1, 3)).toEqual({ duplicates: 3, missed: 0 });
    expect(join().accept("a", "n", 1, 9, 1)).toEqual({ duplicates: 0, missed: 0 });
    expect(join().accept("a", "n", 2, 9, 1)).toEqual({ duplicates: 0, missed: 0 });
    expect(join().accept("a", "n", 0, 9, 1)).toEqual({ duplicates: 1, missed: 0 });
    expect(join(2 * minute).accept("a", "n", 1, 1, 3)).toEqual({ duplicates: 3, missed: 0 });
    expect(join(2 * minute, 3 * minute).accept("a", "n", 1, 1, 3)).toEqual({ duplicates: 0, missed: 0 });
    const twice = join();
    twice.accept("a", "other", 1, 1, 1);
    twice.leaveChannel("a", minute);
    expect(twice.accept("a", "n", 1, 1, 3)).toEqual({ duplicates: 3, missed: 0 });
    const again = join();
    again.accept("a", "n", 1, 2, 2);
    expect(again.accept("a", "n", 1, 6, 1)).toEqual({ duplicates: 0, missed: 2 });
  });
});

describe("over nodes", () => {
  test("10 minutes without a message: the next one is no gap and no duplicate, and a loss is noticed", async () => {
    const { cluster, nodes, members } = await setUp(2, { beat: 60_000, down: 300_000, probe: 2 * SENDER_EXPIRY });
    const room = nodes[0]!.pubsub.topic("room");
    for (const name of ["a", "b", "c"]) {
      room.publish(text(name));
      await cluster.settle();
      await cluster.advance(2 * SENDER_EXPIRY, 60_000);
    }
    expect(members[1]!.texts()).toEqual(["a", "b", "c"]);
    cluster.engine.onMessage = () => [];
    room.publish([text("lost"), text("lost")]);
    await cluster.settle();
    cluster.engine.onMessage = undefined;
    room.publish(text("d"));
    await cluster.settle();
    expect(members[1]!.texts()).toEqual(["a", "b", "c", "d", "info:gap:publisher:2:n"]);
  });

  test("a node that restarts at once is another node: its numbers begin again", async () => {
    const { cluster, nodes, members } = await setUp(2);
    for (const name of ["a", "b"]) nodes[0]!.pubsub.topic("room").publish(text(name));
    await cluster.settle();
    cluster.engine.away({ node: nodes[0]!.pubsub.node, forever: true });
    const restarted = cluster.node();
    await cluster.settle();
    restarted.pubsub.topic("room").publish(text("c"));
    await cluster.settle();
    expect(members[1]!.texts()).toEqual(["a", "b", "c"]);
    expect(nodes[1]!.pubsub.stats.backplane).toMatchObject({ duplicates: 0, missed: 0 });
  });

  test("nothing is remembered of nodes that are gone, and of topics without interest", async () => {
    const { cluster, nodes } = await setUp(1, { beat: 1_000, down: 3_000 });
    const publish = strangerOn(cluster);
    await cluster.settle();
    for (let i = 0; i < 200; i++) publish("t:room", envelope([[EntryType.text, "x"]]));
    await cluster.settle();
    expect(nodes[0]!.pubsub.stats.backplane).toMatchObject({ nodes: 201, receivedEnvelopes: 201 });
    await cluster.advance(610_000, 1_000);
    expect(nodes[0]!.pubsub.stats.backplane).toMatchObject({ nodes: 1 });
    expect(receivedBy(nodes[0]!.pubsub)).toEqual(new Map([["t:room", new Map()]]));
  });

  test("a message that arrives after its channel was left is ignored, and not remembered", async () => {
    const clock = new DeferringClock();
    const backplane = new RawBackplane();
    const pubsub = new PubSub({ backplane, clock });
    const member = await join(pubsub, ["room"]);
    const stray = (): void => backplane.link.receive("t:room", envelope([[EntryType.text, "x"]]));
    stray();
    member.self.stop("normal");
    stray();
    clock.advance(2_000);
    expect(backplane.unsubscribed).toEqual(["t:room"]);
    expect(receivedBy(pubsub).size).toBe(0);
    stray();
    expect(receivedBy(pubsub).size).toBe(0);
    expect(pubsub.stats.backplane).toMatchObject({ receivedEnvelopes: 2, nodes: 3 });
    expect(member.texts()).toEqual(["x"]);
  });
});
