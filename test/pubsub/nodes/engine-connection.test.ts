/** An engine that is frozen, wrong, away or closed; and backplanes that do not keep their contract. */
import { describe, expect, test } from "vitest";
import { text } from "../../../src/message.ts";
import { PubSub, type PubSubEvent, type PubSubOptions } from "../../../src/pubsub/index.ts";
import { EntryType } from "../../../src/pubsub/nodes/envelope.ts";
import { DeferringClock } from "../../support/deferring-clock.ts";
import { join, tick } from "../members.ts";
import { TestCluster } from "./cluster.ts";
import { entriesOf, RawBackplane } from "./raw-backplane.ts";
import { envelope, gapText, messagesOf, scheduledOn, setUp } from "./rooms.ts";

const PROBE = 1_000;
/** So that beats and their silence do not matter. */
const QUIET = { probe: PROBE, beat: 1_000_000, down: 10_000_000 };
const KIB = "x".repeat(1_024);

/** A node whose engine the test plays. */
const setUpRaw = (options: PubSubOptions = {}) => {
  const clock = new DeferringClock();
  const backplane = new RawBackplane();
  const events: PubSubEvent[] = [];
  const pubsub = new PubSub({ backplane, clock, onEvent: (event) => events.push(event), ...QUIET, ...options });
  const types = (): string[] => events.map(({ type }) => type);
  return { clock, backplane, pubsub, types };
};

describe("a frozen engine", () => {
  test("at the bound of what is not acknowledged nothing more is sent, and then nothing twice", async () => {
    const limit = 64 * 1_024;
    const { cluster, nodes, members } = await setUp(2, { ...QUIET, maxUnacknowledged: limit });
    const { engine } = cluster;
    const { pubsub, events } = nodes[0]!;
    const room = pubsub.topic("room");
    engine.hold();
    let reached = 0;
    let unreached = 0;
    const publishSome = async (): Promise<void> => {
      for (let i = 0; i < 10; i++) {
        if (room.publish(text(`${String(reached + unreached).padStart(4, "0")}${KIB}`))) reached++;
        else unreached++;
      }
      await cluster.settle();
    };
    for (let i = 0; i < 20; i++) {
      await publishSome();
      expect(pubsub.stats.backplane!.unacknowledgedBytes).toBeLessThanOrEqual(limit + 1_100);
    }
    expect(pubsub.status).toBe("up");
    expect(pubsub.stats.backplane!.droppedBacklog).toBe(unreached);
    expect(events.map(({ type }) => type)).toEqual(["up"]);
    expect(reached).toBeGreaterThan(50);
    expect(members[0]!.texts()).toHaveLength(200);
    const { publishes } = engine.stats;
    await publishSome();
    expect(engine.stats.publishes).toBe(publishes);

    engine.release();
    await cluster.settle();
    expect(pubsub.status).toBe("up");
    room.publish(text("after"));
    await cluster.settle();
    const received = messagesOf(members[1]!);
    expect(received).toHaveLength(reached + 1);
    expect([...new Set(received)].sort()).toEqual(received);
    const { droppedAway, droppedBacklog } = pubsub.stats.backplane!;
    expect(droppedAway + droppedBacklog).toBe(unreached);
    expect(nodes[1]!.pubsub.stats.backplane).toMatchObject({ missed: unreached, duplicates: 0 });
  });

  test.each([0, 1, 250, 500, 999])(
    "away within 2 probes if nothing is published, %i ms after a message",
    async (phase) => {
      const { cluster, nodes } = await setUp(2, QUIET);
      await cluster.advance(phase);
      nodes[1]!.pubsub.topic("room").publish(text("heard"));
      await cluster.settle();
      cluster.engine.hold();
      await cluster.advance(2 * PROBE - 50);
      expect(nodes[0]!.pubsub.status).toBe("up");
      await cluster.advance(50);
      expect(nodes[0]!.pubsub.status).toBe("away");
      cluster.engine.release();
      await cluster.settle();
      expect(nodes[0]!.pubsub.status).toBe("up");
    },
  );

  test.each([0, 300, 700])("away within 2 probes if little is published, %i ms after a message", async (phase) => {
    const { cluster, nodes } = await setUp(2, QUIET);
    await cluster.advance(phase);
    nodes[0]!.pubsub.topic("room").publish(text("heard"));
    await cluster.settle();
    cluster.engine.hold();
    for (let i = 0; i < 20; i++) {
      nodes[0]!.pubsub.topic("room").publish(text("little"));
      await cluster.advance(PROBE / 10, PROBE / 10);
    }
    expect(nodes[0]!.pubsub.status).toBe("away");
    expect(cluster.engine.stats.reconnects).toBeGreaterThan(0);
  });

  test("acknowledges slowly, but does: it is not away", async () => {
    const { cluster, nodes } = await setUp(2, QUIET);
    for (let i = 0; i < 20; i++) {
      cluster.engine.hold("settlements");
      nodes[0]!.pubsub.topic("room").publish(text("m"));
      await cluster.advance(PROBE - 100);
      cluster.engine.release("settlements");
      await cluster.settle();
    }
    expect(nodes[0]!.events).toEqual([{ type: "up" }]);
  });
});

describe("probes", () => {
  test("a wrong server, which delivers nothing and says nothing: found within 2 probes", async () => {
    const { cluster, nodes, members } = await setUp(2, QUIET);
    const { engine } = cluster;
    const { node } = nodes[0]!.pubsub;
    engine.onMessage = ({ to, bytes }) => (to === node ? [] : [bytes]);
    await cluster.advance(2 * PROBE);
    expect(nodes[0]!.events).toMatchObject([{ type: "up" }, { type: "away", cause: { message: /probe/ } }]);
    expect(engine.stats.reconnects).toBe(1);
    expect(nodes[1]!.pubsub.status).toBe("up");
    engine.onMessage = undefined;
    await cluster.advance(2 * PROBE);
    expect(nodes[0]!.pubsub.status).toBe("up");
    nodes[1]!.pubsub.topic("room").publish(text("again"));
    await cluster.settle();
    expect(messagesOf(members[0]!)).toEqual(["again"]);
  });

  test("are sent only when nothing is received", async () => {
    const { cluster, nodes } = await setUp(2, QUIET);
    for (let i = 0; i < 20; i++) {
      nodes[1]!.pubsub.topic("room").publish(text("m"));
      await cluster.advance(PROBE / 2);
    }
    const [receiver, sender] = nodes.map(({ pubsub }) => pubsub.stats.backplane!);
    expect(receiver!.probes).toBe(1);
    // What it publishes comes back to it from this engine, which proves as much.
    expect(sender!.probes).toBe(1);
    await cluster.advance(5 * PROBE);
    expect(nodes[0]!.pubsub.stats.backplane!.probes).toBe(6);
  });

  test("are no messages of another node, and lost ones are not missed", async () => {
    const { cluster, nodes } = await setUp(1, QUIET);
    cluster.engine.onMessage = () => [];
    await cluster.advance(10 * PROBE);
    cluster.engine.onMessage = undefined;
    await cluster.advance(2 * PROBE);
    expect(nodes[0]!.pubsub.status).toBe("up");
    expect(nodes[0]!.pubsub.stats.backplane).toMatchObject({ nodes: 1, missed: 0, gaps: 0 });
  });

  test("that come back late prove nothing", () => {
    const { clock, backplane, pubsub } = setUpRaw();
    const own = `n:${pubsub.node}`;
    backplane.link.up();
    const [late] = backplane.published.splice(0);
    late!.settled(true);
    clock.advance(PROBE);
    expect(backplane.reconnects).toBe(1);
    backplane.link.up();
    const [second] = backplane.published.splice(0);
    backplane.link.receive(own, late!.bytes);
    expect(pubsub.status).toBe("away");
    backplane.link.receive(own, second!.bytes);
    expect(pubsub.status).toBe("up");
  });

  test("of others, and those that come back twice, do nothing", () => {
    const { clock, backplane, pubsub, types } = setUpRaw();
    backplane.link.up();
    const [probe] = backplane.published;
    backplane.link.receive(`n:${crypto.randomUUID()}`, probe!.bytes);
    backplane.link.receive("all", probe!.bytes);
    expect(pubsub.status).toBe("away");
    backplane.comeUp();
    backplane.link.receive(`n:${pubsub.node}`, probe!.bytes);
    clock.turn();
    expect(types()).toEqual(["up"]);
    expect(pubsub.stats.backplane).toMatchObject({ duplicates: 0, echoes: 1 });
  });

  test("round trip", () => {
    const { clock, backplane, pubsub } = setUpRaw();
    expect(pubsub.stats.backplane!.probeRoundTrip).toBeUndefined();
    backplane.link.up();
    clock.advance(123);
    backplane.returnAll();
    expect(pubsub.stats.backplane).toMatchObject({ probeRoundTrip: 123, probes: 1 });
  });
});

/** A clock whose active time can stand still, as when the process is suspended or its event loop blocked. */
class SuspendedClock extends DeferringClock {
  private suspended = 0;

  override activeNow(): number {
    return this.now() - this.suspended;
  }

  suspend(ms: number): void {
    this.suspended += ms;
    this.advance(ms);
  }
}

describe("time", () => {
  test("a process that was suspended finds nobody dead: what came meanwhile has not been read", async () => {
    const clock = new SuspendedClock();
    const cluster = new TestCluster(clock);
    const { nodes } = await setUp(2, { probe: 15_000, beat: 5_000, down: 30_000 }, cluster);
    for (let i = 0; i < 3; i++) {
      await cluster.advance(14_000, 1_000);
      cluster.engine.hold();
      nodes[0]!.pubsub.topic("room").publish(text("unacknowledged"));
      clock.suspend(100_000);
      cluster.engine.release();
      await cluster.settle();
    }
    for (const { pubsub, events } of nodes) {
      expect(events).toEqual([{ type: "up" }]);
      expect(pubsub.stats.backplane!.nodes).toBe(2);
    }
  });

  test("a node that is silent is down for the others, and nobody is down while the engine is away", async () => {
    const { cluster, nodes } = await setUp(3, { probe: 15_000, beat: 5_000, down: 30_000 });
    const counts = (): number[] => nodes.map(({ pubsub }) => pubsub.stats.backplane!.nodes);
    expect(counts()).toEqual([3, 3, 3]);
    cluster.engine.away({ node: nodes[2]!.pubsub.node, forever: true });
    await cluster.advance(40_000, 1_000);
    expect(counts()).toEqual([2, 2, 3]);
    cluster.engine.away();
    await cluster.advance(100_000, 1_000);
    expect(counts()).toEqual([2, 2, 3]);
    cluster.engine.up();
    await cluster.advance(10_000, 1_000);
    expect(counts()).toEqual([2, 2, 3]);
  });
});

test("an engine that comes back: each node learns of all others at once, with few messages", async () => {
  const cluster = new TestCluster();
  const nodes = await cluster.nodes(20);
  const receivedBy = (): number[] => nodes.map(({ pubsub }) => pubsub.stats.backplane!.receivedMessages);
  for (const { pubsub } of nodes) expect(pubsub.stats.backplane!.nodes).toBe(20);
  const before = receivedBy();
  cluster.engine.away();
  cluster.engine.up();
  await cluster.settle();
  // A probe, and a hello and a beat of each other node.
  for (const [i, received] of receivedBy().entries()) expect(received - before[i]!).toBe(1 + 2 * 19);
  const late = cluster.node();
  await cluster.settle();
  for (const { pubsub } of [...nodes, late]) expect(pubsub.stats.backplane!.nodes).toBe(21);
});

describe("a backplane", () => {
  test("that never settles what it published before it connected again: a new connection gets the whole time", () => {
    const { clock, backplane, pubsub } = setUpRaw();
    const reconnectedAt: number[] = [];
    backplane.reconnect = () => {
      reconnectedAt.push(clock.now());
      if (reconnectedAt.length < 10) backplane.link.up();
    };
    backplane.comeUp();
    pubsub.topic("room").publish(text("never settled"));
    clock.turn();
    const start = clock.now();
    clock.advance(5 * PROBE);
    expect(reconnectedAt.map((at) => at - start)).toEqual([1, 2, 3, 4, 5].map((i) => i * PROBE));
    // The probe comes back, but is not settled, either.
    const probe = backplane.published.at(-1)!;
    backplane.link.receive(probe.channel, probe.bytes);
    expect(pubsub.status).toBe("up");
  });

  test("closed, and then connected again by the application: up", async () => {
    const { backplane, pubsub, types } = setUpRaw();
    const member = await join(pubsub, ["room"], { onGap: gapText });
    backplane.comeUp();
    backplane.link.away("closed by the application", true);
    expect(pubsub.status).toBe("closed");
    backplane.link.up();
    expect(pubsub.status).toBe("closed");
    backplane.returnAll();
    await tick();
    expect(pubsub.status).toBe("up");
    backplane.link.away("cut");
    expect(types()).toEqual(["up", "closed", "up", "away"]);
    expect(member.texts()).toEqual(["info:gap:engine:?:-", "info:gap:engine:?:-"]);
  });

  test("away forever: closed, with the cause, also if it says later that it is away", async () => {
    const { cluster, nodes, members } = await setUp(1, QUIET);
    const { pubsub, events } = nodes[0]!;
    cluster.engine.away({ forever: true });
    expect(pubsub.status).toBe("closed");
    cluster.engine.up();
    await cluster.advance(10 * PROBE);
    expect(events).toMatchObject([{ type: "up" }, { type: "closed", cause: expect.any(Error) }]);
    expect(cluster.engine.stats.reconnects).toBe(0);
    expect(pubsub.topic("room").publish(text("here"))).toBe(false);
    expect(members[0]!.texts()).toEqual(["here"]);
    expect(await pubsub.topic("other").subscribe(members[0]!.self).ready).toBe(false);
    await pubsub.close();

    const raw = setUpRaw();
    raw.backplane.comeUp();
    raw.backplane.link.away("gone", true);
    raw.backplane.link.away("not connected");
    expect(raw.types()).toEqual(["up", "closed"]);
    expect(raw.pubsub.status).toBe("closed");
  });

  test("that cannot connect at the start: away is reported once, and then up", () => {
    const { backplane, pubsub, types } = setUpRaw();
    expect(pubsub.status).toBe("away");
    expect(types()).toEqual([]);
    backplane.link.away("wrong password");
    backplane.link.away("wrong password");
    expect(types()).toEqual(["away"]);
    backplane.comeUp();
    expect(types()).toEqual(["away", "up"]);
  });

  test("that settles a publish twice, at once or late: nothing is counted twice", () => {
    const { clock, backplane, pubsub } = setUpRaw();
    backplane.comeUp();
    backplane.onPublish = ({ settled }) => {
      settled(true);
      settled(false);
    };
    for (let i = 0; i < 3; i++) {
      pubsub.topic("room").publish(text("m"));
      clock.turn();
    }
    expect(pubsub.stats.backplane).toMatchObject({ unacknowledgedBytes: 0, rejected: 0 });
    for (const { settled } of backplane.published) settled(false);
    expect(pubsub.stats.backplane).toMatchObject({ unacknowledgedBytes: 0, rejected: 0 });
  });

  test("whose publish throws: the publisher notices nothing, and the engine is away within 2 probes", async () => {
    const { clock, backplane, pubsub, types } = setUpRaw();
    const member = await join(pubsub);
    backplane.comeUp();
    backplane.onPublish = () => {
      throw new Error("the client is closed");
    };
    const room = pubsub.topic("room");
    expect(room.publish(text("m"))).toBe(true);
    expect(room.publish(text("x".repeat(200_000)))).toBe(true);
    clock.turn();
    expect(pubsub.stats.backplane).toMatchObject({ unacknowledgedBytes: 0 });
    expect(pubsub.stats.backplane!.rejected).toBeGreaterThan(0);
    clock.advance(2 * PROBE);
    expect(types()).toEqual(["up", "away"]);
    expect(member.texts().map(({ length }) => length)).toEqual([1, 200_000]);
    backplane.onPublish = undefined;
    backplane.published = [];
    backplane.comeUp();
    expect(pubsub.status).toBe("up");
  });

  test("that delivers and acknowledges within publish", () => {
    const { backplane, pubsub, types } = setUpRaw();
    backplane.onPublish = ({ channel, bytes, settled }) => {
      backplane.link.receive(channel, bytes);
      settled(true);
    };
    backplane.link.up();
    expect(types()).toEqual(["up"]);
    expect(pubsub.stats.backplane!.probes).toBe(1);
  });

  test("is not called while it is away, and between away and up nothing is kept for later", () => {
    const { clock, backplane, pubsub } = setUpRaw();
    backplane.comeUp();
    clock.turn();
    backplane.returnAll();
    pubsub.topic("room").publish(text("collected"));
    backplane.link.away("cut");
    pubsub.topic("room").publish(text("away"));
    clock.turn();
    clock.advance(100 * PROBE);
    expect(backplane.published).toEqual([]);
    expect(backplane.reconnects).toBe(0);
    backplane.link.up();
    expect(backplane.published.map(({ channel }) => channel)).toEqual([`n:${pubsub.node}`]);
    backplane.returnAll();
    clock.turn();
    expect(backplane.published.map((each) => entriesOf(each)[0]!.type)).toEqual([EntryType.hello]);
    expect(pubsub.stats.backplane).toMatchObject({ droppedAway: 2 });
  });

  test("a hello of another node that comes before the own probe is not answered, and nothing is dropped", () => {
    const { clock, backplane, pubsub } = setUpRaw();
    backplane.link.up();
    backplane.link.receive("all", envelope([[EntryType.hello, ""]]));
    backplane.returnAll();
    clock.turn();
    expect(backplane.published.map((each) => entriesOf(each)[0]!.type)).toEqual([EntryType.hello]);
    expect(pubsub.stats.backplane).toMatchObject({ droppedAway: 0, nodes: 2 });
  });

  test("that connects again without having said that it was away: members are told", async () => {
    const { backplane, pubsub, types } = setUpRaw();
    const member = await join(pubsub, ["room"], { onGap: gapText });
    backplane.comeUp();
    backplane.comeUp();
    await tick();
    expect(types()).toEqual(["up", "away", "up"]);
    expect(member.texts()).toEqual(["info:gap:engine:?:-", "info:gap:engine:?:-"]);
  });

  test("whose client has settings that weaken the guarantees: a warning", () => {
    const { backplane, types } = setUpRaw();
    backplane.link.warn("retry");
    expect(types()).toEqual(["warning"]);
  });

  test("without a backplane, nothing happens when a PubSub is created: as Workers demand", () => {
    const clock = new DeferringClock();
    const randomUUID = crypto.randomUUID;
    try {
      crypto.randomUUID = () => {
        throw new Error("not while a module is loaded");
      };
      const pubsub = new PubSub({ clock });
      expect(pubsub.topic("room").publish(text("m"))).toBe(true);
      expect(pubsub.status).toBe("alone");
      expect(pubsub.stats.backplane).toBeUndefined();
    } finally {
      crypto.randomUUID = randomUUID;
    }
    expect(clock.turn()).toBe(false);
    expect(scheduledOn(clock)).toBe(0);
  });
});
