/** Any changes on nodes that come, go, crash and are cut off, on an engine that loses, doubles and swaps messages. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Presence } from "websock-js/pubsub";
import { testPubSub } from "websock-js/testing";
import type { MemoryMessage } from "../../../src/testing/memory-engine.ts";
import { join, type Member } from "../members.ts";
import { TestCluster } from "../nodes/cluster.ts";
import { Watcher } from "./watch.ts";

const BEAT = 500;
const DOWN = 3_000;
const TOPICS = ["room", "lobby"];
const MEMBERS = 3;

type Entries = Map<string, number>;

class World extends TestCluster {
  readonly alive: WorldNode[] = [];
  /** What happens to the next messages; when there are no more, they are delivered. */
  fates: readonly Fate[] = [];
  private fated = 0;
  private held: MemoryMessage | undefined;

  constructor() {
    super();
    this.engine.onMessage = (message) => this.deliver(message);
  }

  /** A message that is swapped is delivered after the next one on the same channel to the same node. */
  private deliver(message: MemoryMessage): Uint8Array[] {
    const fate = this.fates.length === 0 ? "deliver" : this.fates[this.fated++ % this.fates.length]!;
    const { held } = this;
    if (held !== undefined && held.channel === message.channel && held.to === message.to) {
      this.held = undefined;
      return [message.bytes, held.bytes];
    }
    if (fate === "lose") return [];
    if (fate === "double") return [message.bytes, message.bytes];
    if (fate === "deliver" || held !== undefined) return [message.bytes];
    this.held = message;
    return [];
  }

  async add(): Promise<void> {
    const { pubsub } = this.node({ beat: BEAT, down: DOWN, probe: 1_500 });
    const presence = new Presence<number>(pubsub);
    const node = new WorldNode(pubsub.node, () => pubsub.close(), presence);
    for (let i = 0; i < MEMBERS; i++) node.members.push(await join(pubsub, []));
    this.alive.push(node);
  }

  take(index: number): WorldNode | undefined {
    return this.alive.splice(index % (this.alive.length || 1), 1)[0];
  }

  async calm(): Promise<void> {
    this.fates = [];
    this.engine.up();
    await this.advance(DOWN + 6 * BEAT, BEAT / 2);
  }
}

class WorldNode {
  readonly members: Member[] = [];
  /** What the connections of this node have tracked: by connection, topic and key. */
  readonly entries: Entries = new Map();
  readonly watcher: Watcher;
  readonly id: string;
  readonly close: () => Promise<void>;
  readonly presence: Presence<number>;

  constructor(id: string, close: () => Promise<void>, presence: Presence<number>) {
    this.id = id;
    this.close = close;
    this.presence = presence;
    this.watcher = new Watcher(presence);
  }
}

type Fate = "deliver" | "lose" | "double" | "swap";

const fates = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant<Fate>("deliver") },
    { weight: 1, arbitrary: fc.constantFrom<Fate>("lose", "double", "swap") },
  ),
  { maxLength: 30, size: "max" },
);
const place = fc.record({
  node: fc.nat(3),
  member: fc.nat(MEMBERS - 1),
  topic: fc.nat(1),
  key: fc.constantFrom("a", "b"),
});
const command = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("track", "update"), place, meta: fc.nat(99) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("untrack"), place, isAll: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("end"), place }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("look"), place }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("turn") }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("time"), ms: fc.constantFrom(200, 1_000, 4_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("crash", "close", "cut", "heal"), place }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("add", "away", "up") }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("fates"), fates }) },
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

const run = async (world: World, step: Command): Promise<void> => {
  if ("ms" in step) return world.advance(step.ms, 250);
  if ("fates" in step) {
    world.fates = step.fates;
    return;
  }
  if (!("place" in step)) {
    if (step.do === "turn") world.clock.turn();
    if (step.do === "away") world.engine.away();
    if (step.do === "up") world.engine.up();
    if (step.do === "add" && world.alive.length < 4) await world.add();
    return;
  }
  if (step.do === "crash") return world.engine.away({ node: world.take(step.place.node)?.id ?? "none", forever: true });
  if (step.do === "close") return void world.take(step.place.node)?.close();
  const node = world.alive[step.place.node % (world.alive.length || 1)];
  if (node === undefined) return;
  if (step.do === "cut") return world.engine.away({ node: node.id });
  if (step.do === "heal") return world.engine.up({ node: node.id });
  const { presence, entries } = node;
  const { self } = node.members[step.place.member]!;
  const topic = TOPICS[step.place.topic]!;
  const id = `${step.place.member} ${topic} `;
  if (step.do === "look") presence.list(topic);
  else if (step.do === "end") {
    self.stop("bye");
    for (const key of [...entries.keys()]) if (key.startsWith(`${step.place.member} `)) entries.delete(key);
    node.members[step.place.member] = await join(testPubSub(), []);
  } else if ("isAll" in step) {
    presence.untrack(self, topic, step.isAll ? undefined : step.place.key);
    for (const key of ["a", "b"]) if (step.isAll || key === step.place.key) entries.delete(id + key);
  } else if ("meta" in step) {
    if (step.do === "update") presence.update(self, topic, step.place.key, (meta) => meta + step.meta);
    else presence.track(self, topic, step.place.key, step.meta);
    const known = entries.get(id + step.place.key);
    if (step.do === "track") entries.set(id + step.place.key, step.meta);
    else if (known !== undefined) entries.set(id + step.place.key, known + step.meta);
  }
};

/** The entries of a topic as sorted lines of node, key and meta. */
const viewOf = (presence: Presence<number>, topic: string): string[] =>
  [...presence.list(topic)]
    .flatMap(([key, entries]) => entries.map(({ node, meta }) => `${node} ${key} ${meta}`))
    .sort();

const modelOf = (nodes: readonly WorldNode[], topic: string): string[] =>
  nodes
    .flatMap(({ id, entries }) =>
      [...entries].flatMap(([entry, meta]) => {
        const [, inTopic, key] = entry.split(" ");
        return inTopic === topic ? [`${id} ${key} ${meta}`] : [];
      }),
    )
    .sort();

test("after any sequence, the views of all nodes equal the model, and what was reported adds up to them", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 10, maxLength: 60, size: "max" }), async (steps) => {
      const world = new World();
      for (let i = 0; i < 3; i++) await world.add();
      await world.settle();
      for (const step of steps) await run(world, step);
      await world.calm();
      for (const { presence, watcher } of world.alive) {
        expect(watcher.mistakes).toEqual([]);
        for (const topic of TOPICS) {
          expect(viewOf(presence, topic)).toEqual(modelOf(world.alive, topic));
          const refs = [...presence.list(topic).values()].flat().map(({ ref }) => ref);
          expect(watcher.present(topic)).toEqual(refs.sort());
        }
      }
    }),
    { numRuns: 60 },
  );
});

test("without losses, each entry joins and leaves exactly once on each node", async () => {
  const isCalm = (step: Command): boolean => !["fates", "away", "up", "cut", "heal", "time"].includes(step.do);
  await fc.assert(
    fc.asyncProperty(fc.array(command.filter(isCalm), { minLength: 10, maxLength: 60, size: "max" }), async (steps) => {
      const world = new World();
      for (let i = 0; i < 3; i++) await world.add();
      await world.settle();
      for (const step of steps) await run(world, step);
      await world.calm();
      for (const { watcher } of world.alive) {
        expect(watcher.mistakes).toEqual([]);
        expect([...watcher.joined.values(), ...watcher.left.values()].filter((times) => times > 1)).toEqual([]);
      }
    }),
    { numRuns: 30 },
  );
});
