/** How a node follows the entries of another one, whatever is lost, and in whichever order diffs and parts arrive. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { DiffMessage, Join, PartMessage } from "../../../src/pubsub/presence/messages.ts";
import { Remote } from "../../../src/pubsub/presence/remote.ts";

type Sent = DiffMessage | PartMessage | { readonly type: "beat"; readonly version: number };

const PART_SIZE = 3;

const joinOf = (number: number): Join => ({ number, topic: "room", key: `${number}`, meta: new Uint8Array(0) });

/**
 * A node and a follower. Diffs and beats have one channel, requests and parts others: each keeps its order, but they
 * are received in any order, and some messages are lost.
 */
class World {
  time = 0;
  readonly mistakes: string[] = [];
  readonly view = new Set<number>();
  requests = 0;
  private readonly own: number[] = [];
  private numbers = 0;
  private version = 0;
  private readonly channels = { all: [] as Sent[], parts: [] as Sent[], requests: [] as number[] };
  private readonly remote = new Remote<number>({
    now: () => this.time,
    decode: ({ number, topic, key }) => ({ topic, key, tracked: { ref: key, meta: number, node: "n" } }),
    add: ({ tracked: { meta } }) => {
      if (this.view.has(meta)) this.mistakes.push(`${meta} joins twice`);
      this.view.add(meta);
    },
    remove: ({ tracked: { meta } }) => {
      if (!this.view.delete(meta)) this.mistakes.push(`${meta} leaves, but was not there`);
    },
    request: (from) => {
      this.requests++;
      this.channels.requests.push(from);
    },
  });

  get entries(): readonly number[] {
    return this.own;
  }

  change(joins: number, leaves: readonly number[]): void {
    const left = leaves.flatMap((at) => this.own.splice(at % (this.own.length + 1), 1));
    const joined = Array.from({ length: joins }, () => ++this.numbers);
    this.own.push(...joined);
    this.channels.all.push({ type: "diff", version: ++this.version, joins: joined.map(joinOf), leaves: left });
  }

  beat(): void {
    this.channels.all.push({ type: "beat", version: this.version });
  }

  receive(channel: "all" | "parts" | "requests", isLost: boolean): void {
    if (channel === "requests") {
      const from = this.channels.requests.shift();
      if (from !== undefined && !isLost) this.answer(from);
      return;
    }
    const sent = this.channels[channel].shift();
    if (sent === undefined || isLost) return;
    if (sent.type === "beat") this.remote.onBeat(sent.version);
    else if (sent.type === "diff") this.remote.onDiff(sent);
    else this.remote.onPart(sent);
  }

  /** Nothing is lost any more, and beats come. */
  calm(): void {
    for (let i = 0; i < 4; i++) {
      this.time += 5_000;
      this.beat();
      const { all, parts, requests } = this.channels;
      while (all.length + parts.length + requests.length > 0)
        for (const channel of ["all", "requests", "parts"] as const) this.receive(channel, false);
    }
  }

  private answer(from: number): void {
    const rest = this.own.filter((number) => number >= from);
    const joins = rest.slice(0, PART_SIZE).map(joinOf);
    this.channels.parts.push({ type: "part", version: this.version, from, next: rest[PART_SIZE], joins });
  }
}

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ joins: fc.nat(3), leaves: fc.array(fc.nat(20), { maxLength: 2 }) }) },
  { weight: 1, arbitrary: fc.constant("beat" as const) },
  { weight: 1, arbitrary: fc.constant("time" as const) },
  {
    weight: 8,
    arbitrary: fc.record({
      channel: fc.constantFrom("all", "all", "parts", "parts", "requests"),
      isLost: fc.nat(9).map((n) => n === 0),
    }),
  },
);

test("after losses and in any order, the follower knows exactly the entries, and reports no change twice", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 120, size: "max" }), (steps) => {
      const world = new World();
      for (const step of steps) {
        if (step === "beat") world.beat();
        else if (step === "time") world.time += 700;
        else if ("joins" in step) world.change(step.joins, step.leaves);
        else world.receive(step.channel, step.isLost);
      }
      world.calm();
      expect([...world.view].sort((a, b) => a - b)).toEqual(world.entries);
      expect(world.mistakes).toEqual([]);
      const { requests } = world;
      world.calm();
      expect(world.requests).toBe(requests);
    }),
    { numRuns: 3_000 },
  );
});

test("many diffs that are missing one after the other are one request", () => {
  const world = new World();
  for (let i = 0; i < 100; i++) {
    world.change(1, []);
    world.receive("all", i % 2 === 0);
  }
  expect(world.requests).toBe(1);
  world.calm();
  expect([...world.view]).toHaveLength(100);
  expect(world.mistakes).toEqual([]);
});
