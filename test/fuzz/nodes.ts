/**
 * Properties of topics over several nodes, on an engine in memory: in random programs, each member receives exactly
 * what a simple model predicts; and whatever an engine does to envelopes, nothing arrives twice, and what is missing is
 * counted.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { text } from "../../src/message.ts";
import type { Gap, PubSub, Subscription } from "../../src/pubsub/index.ts";
import type { Self } from "../../src/websock.ts";
import { ByteHost } from "../pubsub/byte-members.ts";
import { join, tick } from "../pubsub/members.ts";
import { TestCluster } from "../pubsub/nodes/cluster.ts";
import { fuzz } from "../support/fuzz.ts";

const TOPICS = ["a", "b", "\ud800"];
/** The node of each member. On each node, the first one gets messages at once, and the second one a batch. */
const NODES = [0, 0, 1, 1];

const member = fc.nat(NODES.length - 1);
const node = fc.nat(1);
const topic = fc.constantFrom(...TOPICS);

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constantFrom("publish" as const, "publish" as const, "broadcast" as const),
      node,
      topic,
      except: fc.option(member),
      local: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("subscribe" as const), topic, member }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constantFrom("cancel" as const, "unsubscribe" as const), topic, member }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("push" as const), member }) },
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constantFrom("settle" as const, "settle" as const, "linger" as const) }),
  },
);
/** Few of them, because nothing happens to those who have gone. */
const end = fc.oneof(
  fc.record({ type: fc.constantFrom("stop" as const, "leave" as const), member }),
  fc.record({ type: fc.constant("stopTopic" as const), node, topic }),
);
const program = fc.array(fc.oneof({ weight: 40, arbitrary: step }, { weight: 1, arbitrary: end }), {
  minLength: 20,
  maxLength: 100,
  size: "max",
});

/** What is on its way to the other node. */
interface Sent {
  readonly type: "publish" | "broadcast" | "stopTopic";
  readonly topic: string;
  readonly name: string;
  readonly except: number | null;
}

/** What one member is expected to receive: messages and infos, between which there is no order. */
class Model {
  readonly messages: string[] = [];
  readonly infos: string[] = [];
  /** Infos that wait for the handler. */
  waiting: string[] = [];
  readonly holders = new Map<string, number>(TOPICS.map((name) => [name, 0]));
  isOpen = true;

  receive({ type, topic: of, name }: Sent): void {
    if (this.holders.get(of) === 0) return;
    if (type === "publish") this.messages.push(name);
    else if (type === "broadcast") this.waiting.push(name);
    else this.end();
  }

  handle(): void {
    this.infos.push(...this.waiting.splice(0));
  }

  end(): void {
    this.isOpen = false;
    this.waiting = [];
    for (const name of TOPICS) this.holders.set(name, 0);
  }
}

/** An envelope has what was published to one topic in an event-loop tick. */
const inEnvelopes = (sent: readonly Sent[]): Sent[] => {
  const names = new Set(sent.map((each) => each.topic));
  return [...names].flatMap((name) => sent.filter((each) => each.topic === name));
};

const closeAll = async (cluster: TestCluster, pubsubs: readonly PubSub[]): Promise<void> => {
  const closing = Promise.all(pubsubs.map((pubsub) => pubsub.close()));
  await cluster.settle();
  await closing;
};

interface Connected {
  readonly self: Self<string>;
  readonly received: () => readonly string[];
  readonly leave: () => void;
}

/** What an engine does to an envelope. `"late"`: it is delivered after the next one that is delivered. */
const fate = fc.constantFrom(
  "deliver" as const,
  "deliver" as const,
  "drop" as const,
  "double" as const,
  "late" as const,
);
const dispatch = fc.record({ publisher: node, count: fc.integer({ min: 1, max: 4 }), asInfos: fc.boolean(), fate });

export const nodes = [
  fuzz(
    "nodes: members receive what the model predicts",
    { runs: 150, share: 0.5 },
    fc.asyncProperty(program, async (steps) => {
      const cluster = new TestCluster();
      const host = new ByteHost();
      const pubsubs = (await cluster.nodes(2)).map(({ pubsub }) => pubsub);
      const members: Connected[] = [];
      for (const [i, own] of NODES.entries()) {
        if (i % 2 === 0) {
          const { self, client, texts } = await join(pubsubs[own]!, []);
          members.push({ self, received: texts, leave: () => client.close(1000) });
        } else {
          const { self, sent, leave } = host.join(pubsubs[own]!, []);
          const received = (): string[] =>
            sent()
              .filter((frame) => frame.startsWith("text "))
              .map((frame) => frame.slice(5));
          members.push({ self, received, leave });
        }
      }
      const addresses = members.map(({ self }, i) => pubsubs[NODES[i]!]!.address(self));
      const models = NODES.map(() => new Model());
      const held = NODES.map(() => new Map<string, Subscription[]>(TOPICS.map((name) => [name, []])));
      const onTheWay: Sent[][] = [[], []];

      const handleInfos = async (): Promise<void> => {
        for (let i = 0; i < 2; i++) {
          await tick();
          host.tick();
        }
        for (const model of models) model.handle();
      };
      const settle = async (): Promise<void> => {
        await handleInfos();
        for (const [from, sent] of onTheWay.entries())
          for (const each of inEnvelopes(sent.splice(0)))
            for (const [i, model] of models.entries()) if (NODES[i] !== from && each.except !== i) model.receive(each);
        await cluster.settle();
        await handleInfos();
      };
      const send = (from: number, sent: Sent, local: boolean): void => {
        for (const [i, model] of models.entries()) if (NODES[i] === from && sent.except !== i) model.receive(sent);
        if (!local) onTheWay[from]!.push(sent);
      };

      for (const [n, each] of steps.entries()) {
        const name = String(n);
        switch (each.type) {
          case "publish":
          case "broadcast": {
            const { except, local, topic: to } = each;
            const target = pubsubs[each.node]!.topic<string>(to);
            const left =
              except === null ? [] : [NODES[except] === each.node ? members[except]!.self : addresses[except]!];
            const options = { except: left, local };
            assert.ok(each.type === "publish" ? target.publish(text(name), options) : target.broadcast(name, options));
            send(each.node, { ...each, name }, local);
            break;
          }
          case "stopTopic":
            pubsubs[each.node]!.topic(each.topic).stop("normal");
            send(each.node, { ...each, name, except: null }, false);
            break;
          case "subscribe": {
            const { self } = members[each.member]!;
            const model = models[each.member]!;
            const target = pubsubs[NODES[each.member]!]!.topic<string>(each.topic);
            const subscription = target.subscribe(self, { onGap: ({ cause }) => `gap ${cause}` });
            held[each.member]!.get(each.topic)!.push(subscription);
            if (model.isOpen) model.holders.set(each.topic, model.holders.get(each.topic)! + 1);
            break;
          }
          case "cancel": {
            const subscription = held[each.member]!.get(each.topic)!.pop();
            const { holders } = models[each.member]!;
            subscription?.cancel();
            if (subscription !== undefined) holders.set(each.topic, Math.max(0, holders.get(each.topic)! - 1));
            break;
          }
          case "unsubscribe":
            pubsubs[NODES[each.member]!]!.topic(each.topic).unsubscribe(members[each.member]!.self);
            held[each.member]!.set(each.topic, []);
            models[each.member]!.holders.set(each.topic, 0);
            break;
          case "push":
            members[each.member]!.self.push(text(name));
            if (models[each.member]!.isOpen) models[each.member]!.messages.push(name);
            break;
          case "stop":
            members[each.member]!.self.stop("normal");
            models[each.member]!.end();
            break;
          case "leave":
            if (models[each.member]!.isOpen) members[each.member]!.leave();
            models[each.member]!.end();
            break;
          case "linger":
            await settle();
            await cluster.advance(2_000, 1_000);
            break;
          case "settle":
            await settle();
        }
        for (const [own, pubsub] of pubsubs.entries())
          for (const each of TOPICS)
            assert.equal(
              pubsub.topic(each).size,
              models.filter(({ holders }, i) => NODES[i] === own && holders.get(each)! > 0).length,
            );
      }
      await settle();
      for (const [i, { received }] of members.entries()) {
        const all = received();
        assert.deepEqual(
          all.filter((each) => !each.startsWith("info:")),
          models[i]!.messages,
        );
        assert.deepEqual(
          all.filter((each) => each.startsWith("info:")).map((each) => each.slice(5)),
          models[i]!.infos,
        );
      }
      for (const pubsub of pubsubs) {
        const { duplicates, missed, malformed, droppedAway, unacknowledgedBytes } = pubsub.stats.backplane!;
        assert.deepEqual([duplicates, missed, malformed, droppedAway, unacknowledgedBytes], [0, 0, 0, 0, 0]);
      }
      await closeAll(cluster, pubsubs);
    }),
  ),

  fuzz(
    "nodes: whatever is dropped, doubled or late: never twice, never backwards, and the sum of the gaps is right",
    { runs: 150, share: 0.5 },
    fc.asyncProperty(fc.array(dispatch, { minLength: 1, maxLength: 40, size: "max" }), async (dispatches) => {
      const cluster = new TestCluster();
      const [receiver, ...publishers] = (await cluster.nodes(3)).map(({ pubsub }) => pubsub);
      const gaps: Gap[] = [];
      const onGap = (gap: Gap): string => {
        gaps.push(gap);
        return "gap";
      };
      const { texts } = await join(receiver!, ["room"], { onGap });
      await cluster.settle();

      let fateOf: (typeof dispatches)[number]["fate"] = "deliver";
      const late: Uint8Array[] = [];
      cluster.engine.onMessage = ({ channel, to, bytes }) => {
        // What is doubled in the channels of nodes must not have an effect either.
        if (channel !== "t:room") return [bytes, bytes];
        if (to !== receiver!.node || fateOf === "deliver")
          return [bytes, ...(to === receiver!.node ? late.splice(0) : [])];
        if (fateOf === "double") return [bytes, bytes];
        if (fateOf === "late") late.unshift(bytes);
        return [];
      };
      let published = 0;
      const send = async ({ publisher, count, asInfos }: Omit<(typeof dispatches)[number], "fate">): Promise<void> => {
        const room = publishers[publisher]!.topic<string>("room");
        for (let i = 0; i < count; i++) {
          const name = `${publisher} ${String(published++).padStart(4, "0")}`;
          assert.ok(asInfos ? room.broadcast(name) : room.publish(text(name)));
        }
        await cluster.settle();
      };
      const both = async (): Promise<void> => {
        fateOf = "deliver";
        for (const publisher of [0, 1]) await send({ publisher, count: 1, asInfos: false });
      };
      await both();
      for (const each of dispatches) {
        fateOf = each.fate;
        await send(each);
      }
      await both();

      const received = texts().filter((each) => each !== "info:gap");
      assert.equal(new Set(received).size, received.length);
      for (const prefix of ["0", "1", "info:0", "info:1"]) {
        const own = received.filter((each) => each.startsWith(prefix));
        assert.deepEqual(own, own.toSorted());
      }
      const missed = gaps.reduce((sum, gap) => sum + gap.missed!, 0);
      assert.equal(received.length + missed, published);
      for (const { cause, node: from } of gaps)
        assert.ok(cause === "publisher" && publishers.some((pubsub) => pubsub.node === from));
      assert.equal(receiver!.stats.backplane!.missed, missed);
      assert.equal(receiver!.stats.backplane!.malformed, 0);
      await closeAll(cluster, [receiver!, ...publishers]);
    }),
  ),
];
