/** `Presence` on one node. */
import { describe, expect, test, vi } from "vitest";
import { type DataMessage, type HandleResult, ok, push, type Self, text } from "websock-js";
import { type Diff, Presence, PubSub, type PubSubEvent, type PubSubOptions } from "websock-js/pubsub";
import { connect, testPubSub } from "websock-js/testing";
import { codedTypeError } from "../../../src/error-codes.ts";
import { SessionSelf } from "../../../src/session/self.ts";
import { begin } from "../../../src/testing/connect.ts";
import { DeferringClock } from "../../support/deferring-clock.ts";
import { join, type Member, textsOf } from "../members.ts";
import { TestCluster } from "../nodes/cluster.ts";
import { selfOn } from "../self-on.ts";
import { changesOf, metasOf, Watcher } from "./watch.ts";

type Meta = number | string;

interface Setting {
  readonly clock: DeferringClock;
  readonly pubsub: PubSub;
  readonly presence: Presence<Meta>;
  readonly watcher: Watcher;
  readonly events: PubSubEvent[];
  readonly ada: Member;
  readonly ben: Member;
}

const setUp = async (options: PubSubOptions = {}): Promise<Setting> => {
  const clock = new DeferringClock();
  const events: PubSubEvent[] = [];
  const pubsub = new PubSub({ clock, onEvent: (event) => events.push(event), ...options });
  const presence = new Presence<Meta>(pubsub);
  const [ada, ben] = [await join(pubsub, []), await join(pubsub, [])];
  return { clock, pubsub, presence, watcher: new Watcher(presence), events, ada, ben };
};

describe("entries", () => {
  test("track, update and untrack change the list at once, and are reported in the next tick", async () => {
    const { clock, presence, watcher, ada, ben } = await setUp();
    presence.track(ada.self, "room", "ada", 1);
    presence.track(ben.self, "room", "ben", 1);
    presence.track(ben.self, "lobby", "ben", 2);
    expect(metasOf(presence)).toEqual({ ada: [1], ben: [1] });
    expect(watcher.lines).toEqual([]);
    clock.turn();
    expect(watcher.lines).toEqual(["room +ada:1 +ben:1", "lobby +ben:2"]);
    presence.update(ada.self, "room", "ada", 2);
    expect(presence.get("room", "ada").map(({ meta }) => meta)).toEqual([2]);
    presence.untrack(ben.self, "room", "ben");
    clock.turn();
    expect(watcher.lines.slice(2)).toEqual(["room -ada:1 -ben:1 +ada:2"]);
    expect(metasOf(presence)).toEqual({ ada: [2] });
    expect(metasOf(presence, "lobby")).toEqual({ ben: [2] });
    expect(clock.turn()).toBe(false);
    expect(watcher.mistakes).toEqual([]);
  });

  test("an entry has the node of its connection, and a ref of its own", async () => {
    const { pubsub, presence, ada, ben } = await setUp();
    presence.track(ada.self, "room", "user", 1);
    presence.track(ben.self, "room", "user", 1);
    const entries = presence.get("room", "user");
    expect(entries.map(({ node }) => node)).toEqual([pubsub.node, pubsub.node]);
    expect(new Set(entries.map(({ ref }) => ref)).size).toBe(2);
    presence.untrack(ada.self, "room");
    expect(presence.get("room", "user")).toEqual([entries[1]]);
  });

  test("track again replaces the entry; update does nothing without one, and may compute the new meta", async () => {
    const { clock, presence, watcher, ada, ben } = await setUp();
    presence.update(ada.self, "room", "ada", 9);
    expect(clock.turn()).toBe(false);
    presence.track(ada.self, "room", "ada", 1);
    clock.turn();
    presence.track(ada.self, "room", "ada", 2);
    presence.update(ben.self, "room", "ada", 9);
    presence.update(ada.self, "room", "ada", (meta) => `${meta}!`);
    clock.turn();
    expect(watcher.lines).toEqual(["room +ada:1", 'room -ada:1 +ada:"2!"']);
  });

  test("several keys of a connection; untrack without a key removes all in the topic", async () => {
    const { clock, presence, watcher, ada } = await setUp();
    for (const key of ["a", "b", "__proto__"]) presence.track(ada.self, "room", key, 1);
    presence.track(ada.self, "lobby", "a", 1);
    clock.turn();
    presence.untrack(ada.self, "room", "none");
    presence.untrack(ada.self, "nowhere");
    expect(clock.turn()).toBe(false);
    expect([...presence.list("room").keys()]).toEqual(["a", "b", "__proto__"]);
    presence.untrack(ada.self, "room");
    clock.turn();
    expect(watcher.lines.at(-1)).toBe("room -a:1 -b:1 -__proto__:1");
    expect(metasOf(presence, "lobby")).toEqual({ a: [1] });
  });

  test("they leave when the end of the connection is decided, and nothing is entered afterwards", async () => {
    const { clock, presence, watcher, ada, ben } = await setUp();
    presence.track(ada.self, "room", "ada", 1);
    presence.track(ada.self, "lobby", "ada", 1);
    presence.track(ben.self, "room", "ben", 1);
    clock.turn();
    ada.self.stop("bye");
    expect(metasOf(presence)).toEqual({ ben: [1] });
    presence.track(ada.self, "room", "ada", 2);
    presence.update(ada.self, "room", "ada", 2);
    presence.untrack(ada.self, "room");
    clock.turn();
    expect(watcher.lines.slice(2)).toEqual(["room -ada:1", "lobby -ada:1"]);
    expect(metasOf(presence)).toEqual({ ben: [1] });
  });

  test("a pending init that fails takes the entries away again", async () => {
    const { clock, presence, watcher } = await setUp();
    let fail!: () => void;
    const init = (_: undefined, self: Self<never>): Promise<HandleResult<number>> => {
      presence.track(self, "room", "eve", 1);
      return new Promise((_resolve, reject) => {
        fail = () => reject(new Error("no"));
      });
    };
    const { initialized } = begin<never>({ init, handleIn: () => ok(0) }, undefined);
    clock.turn();
    expect(metasOf(presence)).toEqual({ eve: [1] });
    fail();
    await initialized;
    await new Promise(setImmediate);
    clock.turn();
    expect(metasOf(presence)).toEqual({});
    expect(watcher.lines).toEqual(["room +eve:1", "room -eve:1"]);
  });

  test("an init that throws after track is no diff", async () => {
    const { clock, presence, watcher } = await setUp();
    await connect<undefined, number>(
      {
        init: (_, self) => {
          presence.track(self, "room", "eve", 1);
          throw new Error("no");
        },
        handleIn: (_, state) => ok(state),
      },
      undefined,
    );
    clock.turn();
    expect(watcher.lines).toEqual([]);
    expect(metasOf(presence)).toEqual({});
  });

  test("in strict mode, metas make the round trip through the codec", async () => {
    const presence = new Presence<unknown>(testPubSub());
    const { self } = await join(testPubSub(), []);
    presence.track(self, "room", "ada", { at: new Date(0), none: undefined });
    expect(presence.get("room", "ada")[0]!.meta).toEqual({ at: "1970-01-01T00:00:00.000Z" });
    expect(() => presence.track(self, "room", "ada", undefined)).toThrow(TypeError);
    expect(() => presence.track(self, "room", "ada", 1n)).toThrow(TypeError);
    expect(presence.get("room", "ada")).toHaveLength(1);
  });

  test("with a backplane, track throws the error of the codec, and refuses what no engine would take", async () => {
    const cluster = new TestCluster();
    const presence = new Presence<unknown>(cluster.node().pubsub);
    const { self } = await join(testPubSub(), []);
    presence.track(self, "room", "ada", 1);
    expect(() => presence.track(self, "room", "ada", 1n)).toThrow(TypeError);
    expect(() => presence.track(self, "room", "ada", "x".repeat(70_000))).toThrow(
      /^an entry of a presence has at most 65536 bytes, not 70/,
    );
    expect(metasOf(presence)).toEqual({ ada: [1] });
  });

  test("several presences of a PubSub have different names", async () => {
    const { clock, pubsub, presence, watcher, ada } = await setUp();
    const other = new Presence<Meta>(pubsub, { name: "other" });
    presence.track(ada.self, "room", "ada", 1);
    other.track(ada.self, "room", "ada", 2);
    clock.turn();
    expect([metasOf(presence), metasOf(other)]).toEqual([{ ada: [1] }, { ada: [2] }]);
    expect(watcher.lines).toEqual(["room +ada:1"]);
    expect(() => new Presence(pubsub)).toThrow(
      codedTypeError("WEBSOCK_INVALID_ARGUMENT", 'this PubSub has a Presence with the name "" already'),
    );
    expect(() => new Presence(pubsub, { name: "other" })).toThrow(TypeError);
  });

  test("wrong arguments are refused", async () => {
    const { presence, pubsub, ada } = await setUp();
    const wrong = (value: unknown): never => value as never;
    expect(() => presence.track(wrong({}), "room", "a", 1)).toThrow(/not a connection/);
    expect(() => presence.track(ada.self, wrong(1), "a", 1)).toThrow(TypeError);
    expect(() => presence.track(ada.self, "", "a", 1)).toThrow(RangeError);
    expect(() => presence.track(ada.self, "room", wrong(7), 1)).toThrow("a key of a presence must be a string, not 7");
    expect(() => presence.subscribe(ada.self, "", wrong(0))).toThrow(RangeError);
    expect(() => new Presence(pubsub, wrong({ nam: "x" }))).toThrow(/unknown option "nam"/);
    expect(() => new Presence(pubsub, { name: wrong(1) })).toThrow(/option "name" .* must be a string, not 1/);
    expect(metasOf(presence)).toEqual({});
  });

  test("not in a Durable Object, and not where connections cannot send to each other", () => {
    const presence = new Presence<number>(new PubSub());
    for (const act of [
      (self: Self<unknown>) => presence.track(self, "room", "a", 1),
      (self: Self<unknown>) => presence.subscribe(self, "room", (diff) => diff),
    ]) {
      expect(() => act(selfOn({ home: {} }))).toThrow(/not possible in a Durable Object: .* hibernates/);
      expect(() => act(selfOn({ crossConnection: false }))).toThrow(/do not work on this host \(worker\)/);
    }
  });
});

describe("diffs", () => {
  test("what joins and leaves in one tick is no diff, unless it was listed", async () => {
    const { clock, presence, watcher, ada, ben } = await setUp();
    presence.track(ada.self, "room", "ada", 1);
    presence.update(ada.self, "room", "ada", 2);
    presence.untrack(ada.self, "room", "ada");
    clock.turn();
    expect(watcher.lines).toEqual([]);
    presence.track(ada.self, "room", "ada", 1);
    presence.list("elsewhere");
    presence.track(ben.self, "room", "ben", 1);
    presence.untrack(ada.self, "room", "ada");
    clock.turn();
    expect(watcher.lines).toEqual(["room +ben:1"]);
    for (const look of [() => presence.list("room"), () => presence.get("room", "ada")]) {
      watcher.lines.length = 0;
      presence.track(ada.self, "room", "ada", 1);
      expect(look()).not.toHaveLength(0);
      presence.untrack(ada.self, "room", "ada");
      clock.turn();
      expect(watcher.lines).toEqual(["room +ada:1", "room -ada:1"]);
    }
    expect(watcher.mistakes).toEqual([]);
  });

  test("a listener that throws is reported, and the others are called", async () => {
    const { clock, presence, events, ada, ben } = await setUp();
    const error = new Error("listener");
    presence.onDiff(() => {
      throw error;
    });
    presence.subscribe(ben.self, "room", () => {
      throw error;
    });
    const seen: string[] = [];
    presence.onDiff((_, diff) => seen.push(...changesOf(diff)));
    presence.subscribe(ada.self, "room", (diff) => changesOf(diff).join());
    presence.track(ada.self, "room", "ada", 1);
    clock.turn();
    await ada.client.receive();
    expect(seen).toEqual(["+ada:1"]);
    expect(ada.texts()).toEqual(["info:+ada:1"]);
    expect(events).toEqual([
      { type: "error", error },
      { type: "error", error },
    ]);
  });

  test("a listener can be removed; added twice, it is called twice; added in a diff, not for that one", async () => {
    const { clock, presence, ada } = await setUp();
    let calls = 0;
    const listener = (): void => void calls++;
    const [remove] = [presence.onDiff(listener), presence.onDiff(listener)];
    const removeAdder = presence.onDiff(() => presence.onDiff(listener));
    presence.track(ada.self, "room", "ada", 1);
    clock.turn();
    expect(calls).toBe(2);
    remove();
    remove();
    removeAdder();
    presence.untrack(ada.self, "room");
    clock.turn();
    expect(calls).toBe(4);
  });

  test("a listener that another one has removed is not called, nor is anything after close", async () => {
    const { clock, pubsub, presence, ada } = await setUp();
    const calls: string[] = [];
    presence.onDiff((topic) => {
      calls.push(topic);
      removeOther();
      if (topic === "lobby") void pubsub.close();
    });
    const removeOther = presence.onDiff(() => calls.push("other"));
    presence.subscribe(ada.self, "lobby", () => calls.push("subscriber").toString());
    for (const topic of ["room", "lobby", "cellar"]) presence.track(ada.self, topic, "ada", 1);
    clock.turn();
    expect(calls).toEqual(["room", "lobby"]);
  });

  test("changes in a listener are reported in a later tick", async () => {
    const { clock, presence, watcher, ada } = await setUp();
    const remove = presence.onDiff(() => {
      remove();
      presence.update(ada.self, "room", "ada", 2);
    });
    presence.track(ada.self, "room", "ada", 1);
    clock.turn();
    expect(watcher.lines).toEqual(["room +ada:1"]);
    clock.turn();
    expect(watcher.lines).toEqual(["room +ada:1", "room -ada:1 +ada:2"]);
  });
});

describe("subscribe", () => {
  const log = (diff: Diff<Meta>): string => changesOf(diff).join();

  test("sends the diffs of its topic to handleInfo, until it is cancelled, or the connection ends", async () => {
    const { clock, presence, ada, ben } = await setUp();
    const subscription = presence.subscribe(ada.self, "room", log);
    expect(subscription.topic).toBe("room");
    expect(await subscription.ready).toBe(true);
    presence.subscribe(ben.self, "room", log);
    presence.track(ada.self, "room", "ada", 1);
    presence.track(ada.self, "lobby", "ada", 1);
    clock.turn();
    await ben.client.receive();
    ben.self.stop("bye");
    presence.update(ada.self, "room", "ada", 2);
    clock.turn();
    for (let i = 0; i < 2; i++) await ada.client.receive();
    subscription.cancel();
    subscription.cancel();
    presence.untrack(ada.self, "room");
    clock.turn();
    await new Promise(setImmediate);
    expect(ada.texts()).toEqual(["info:+ada:1", "info:-ada:1,+ada:2"]);
    expect(ben.texts()).toEqual(["info:+ada:1"]);
    const late = presence.subscribe(ben.self, "room", log);
    late.cancel();
    expect(await late.ready).toBe(false);
  });

  test("in a pending init: what is reported meanwhile reaches handleInfo afterwards", async () => {
    const { clock, presence, ben } = await setUp();
    let start!: () => void;
    const started = new Promise<void>((resolve) => {
      start = resolve;
    });
    const handler = {
      init: async (_: undefined, self: Self<string>): Promise<HandleResult<number>> => {
        presence.track(self, "room", "eve", 1);
        presence.subscribe(self, "room", log);
        await started;
        return push(text(JSON.stringify(metasOf(presence))), 0);
      },
      handleIn: (_: DataMessage, state: number) => ok(state),
      handleInfo: (info: string) => push(text(info), 0),
    };
    const { client } = begin<string>(handler, undefined);
    clock.turn();
    presence.track(ben.self, "room", "ben", 1);
    clock.turn();
    start();
    for (let i = 0; i < 3; i++) await client.receive();
    expect(textsOf(client)).toEqual(['{"ben":[1],"eve":[1]}', "+eve:1", "+ben:1"]);
  });

  test("twice is two infos for each diff; each subscription is cancelled by itself", async () => {
    const { clock, presence, ada, ben } = await setUp();
    const first = presence.subscribe(ada.self, "room", (diff) => `a${log(diff)}`);
    presence.subscribe(ada.self, "room", (diff) => `b${log(diff)}`);
    presence.track(ben.self, "room", "ben", 1);
    clock.turn();
    first.cancel();
    presence.untrack(ben.self, "room");
    clock.turn();
    for (let i = 0; i < 3; i++) await ada.client.receive();
    expect(ada.texts()).toEqual(["info:a+ben:1", "info:b+ben:1", "info:b-ben:1"]);
  });

  test("a connection that moves between many topics needs one listener of its session", async () => {
    const { presence, ada } = await setUp();
    const listen = vi.spyOn(SessionSelf.sessionOf(ada.self)!, "listen");
    for (let i = 0; i < 10; i++) {
      const { cancel } = presence.subscribe(ada.self, `room${i}`, log);
      presence.track(ada.self, `room${i}`, "ada", 1);
      presence.untrack(ada.self, `room${i}`);
      cancel();
    }
    expect(listen).toHaveBeenCalledTimes(1);
  });
});

test("after close, nothing is listed, entered or reported, and the connections stay open", async () => {
  const { clock, pubsub, presence, watcher, ada, ben } = await setUp();
  presence.track(ada.self, "room", "ada", 1);
  presence.subscribe(ada.self, "room", (diff) => changesOf(diff).join());
  clock.turn();
  presence.track(ben.self, "room", "ben", 1);
  const closed = pubsub.close();
  expect(metasOf(presence)).toEqual({});
  presence.track(ben.self, "room", "ben", 2);
  expect(await presence.subscribe(ben.self, "room", () => "").ready).toBe(false);
  clock.turn();
  await closed;
  ada.self.stop("bye");
  clock.turn();
  expect(watcher.lines).toEqual(["room +ada:1"]);
  expect(metasOf(presence)).toEqual({});
  expect(ben.self.push(text("still open"))).toBe(true);
});
