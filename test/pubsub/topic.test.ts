import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, test } from "vitest";
import { type HandleResult, ok, ping, push, type Self, stop, text } from "websock-js";
import type { Gap, Topic } from "websock-js/pubsub";
import { PubSub } from "websock-js/pubsub";
import { connect, testPubSub } from "websock-js/testing";
import { begin } from "../../src/testing/connect.ts";
import { join, textsOf, tick } from "./members.ts";

const setup = () => {
  const pubsub = testPubSub();
  return { pubsub, room: pubsub.topic<string>("room") };
};

describe("order", () => {
  test("publishes reach a member in the order of the calls, across topics and its own pushes", async () => {
    const { pubsub, room } = setup();
    const { self, texts } = await join(pubsub, ["room", "hall"]);
    room.publish(text("a"));
    self.push(text("b"));
    pubsub.topic("hall").publish([text("c"), text("d")]);
    room.publish(text("e"));
    expect(texts()).toEqual(["a", "b", "c", "d", "e"]);
  });

  test("a publish in a callback precedes the messages of its result, and a later publish follows them", async () => {
    const { room } = setup();
    const client = await connect({
      init: (_: undefined, self: Self<string>) => {
        room.subscribe(self);
        return ok(0);
      },
      handleIn: (_, state: number) => {
        room.publish(text("a"));
        return push(text("b"), state);
      },
      handleInfo: (_: string, state: number) => ok(state),
    });
    client.send("go");
    room.publish(text("c"));
    expect(textsOf(client)).toEqual(["a", "b", "c"]);
  });

  test("a publish in init reaches members only, and a member from its subscription on, after the messages of init", async () => {
    const { pubsub, room } = setup();
    const { texts } = await join(pubsub);
    const client = await connect({
      init: (_: undefined, self: Self<string>) => {
        room.publish(text("before"));
        room.subscribe(self);
        room.publish(text("after"));
        return push(text("init"), 0);
      },
      handleIn: (_, state: number) => ok(state),
      handleInfo: (_: string, state: number) => ok(state),
    });
    expect([texts(), textsOf(client)]).toEqual([
      ["before", "after"],
      ["init", "after"],
    ]);
  });

  test("what a listener of self.signal publishes when a slow member ends follows the message that ended it", async () => {
    const { pubsub, room } = setup();
    const slow = await join(pubsub, ["room"], {}, { maxBuffered: 1 });
    const other = await join(pubsub);
    slow.self.signal.addEventListener("abort", () => room.publish(text("left")));
    slow.client.stopReading();
    room.publish(text("a"));
    room.publish(text("b"));
    expect(other.texts()).toEqual(["a", "b", "left"]);
  });

  test("a published message precedes the close frame of a stop in the same callback", async () => {
    const { room } = setup();
    const client = await connect({
      init: (_: undefined, self: Self<string>) => {
        room.subscribe(self);
        return ok(0);
      },
      handleIn: (_, state: number) => {
        room.publish(text("a"));
        return stop("normal", state, { messages: text("b") });
      },
      handleInfo: (_: string, state: number) => ok(state),
    });
    client.send("go");
    room.publish(text("c"));
    await client.ended;
    expect(textsOf(client)).toEqual(["a", "b"]);
  });

  test("broadcasts reach handleInfo in order, in a later tick, even from handleInfo of the same topic", async () => {
    const { pubsub, room } = setup();
    let depth = 0;
    const member = await join(pubsub, ["room"], {}, {}, (info) => {
      expect(depth++).toBe(0);
      if (info === "a") room.broadcast("c");
      depth--;
      return push(text(info), 0);
    });
    room.broadcast("a");
    room.broadcast("b");
    expect(member.texts()).toEqual([]);
    await member.client.settled();
    expect(member.texts()).toEqual(["a", "b", "c"]);
  });
});

describe("membership", () => {
  test("begins when a pending init has returned: messages published meanwhile follow those of init", async () => {
    const { room } = setup();
    let finish!: (result: HandleResult<number>) => void;
    let begun!: Self<string>;
    const connecting = connect({
      init: async (_: undefined, self: Self<string>) => {
        begun = self;
        expect(await room.subscribe(self).ready).toBe(true);
        self.push(text("early"));
        return new Promise<HandleResult<number>>((resolve) => {
          finish = resolve;
        });
      },
      handleIn: (_, state: number) => ok(state),
      handleInfo: (info: string, state: number) => push(text(info), state),
    });
    await tick();
    room.publish(text("a"));
    room.publish(text("b"));
    room.broadcast("info");
    expect([room.size, [...room.members()]]).toEqual([0, []]);
    finish(push(text("init"), 0));
    const client = await connecting;
    expect([room.size, [...room.members()]]).toEqual([1, [begun]]);
    room.publish(text("c"));
    await client.settled();
    expect(textsOf(client)).toEqual(["early", "init", "a", "b", "c", "info"]);
  });

  test.each(["throws", "rejects"])(
    "never begins if init %s: what was published is dropped, and nothing is left",
    async (how) => {
      const { pubsub, room } = setup();
      const client = await connect({
        init: (_: undefined, self: Self<string>): HandleResult<number> | Promise<HandleResult<number>> => {
          room.subscribe(self);
          pubsub.address(self);
          room.publish(text("a"));
          if (how === "throws") throw new Error("init");
          return Promise.reject(new Error("init"));
        },
        handleIn: (_, state: number) => ok(state),
        handleInfo: (_: string, state: number) => ok(state),
      });
      await client.ended;
      expect(client.received).toEqual([]);
      expect(pubsub.stats).toMatchObject({ topics: 0, subscriptions: 0, addresses: 0 });
    },
  );

  test("what is published during a pending init is held within maxBuffered: beyond it, the connection ends", async () => {
    const { room } = setup();
    let reason: unknown;
    const connecting = connect(
      {
        init: async (_: undefined, self: Self<string>) => {
          room.subscribe(self);
          self.signal.addEventListener("abort", () => (reason = self.signal.reason.reason.error.name));
          await tick();
          return ok(0);
        },
        handleIn: (_, state: number) => ok(state),
        handleInfo: (_: string, state: number) => ok(state),
      },
      undefined,
      { maxBuffered: 10 },
    );
    room.publish([text("123456"), text("7890")]);
    expect(reason).toBeUndefined();
    expect(room.publish(text("x"))).toBe(true);
    expect(reason).toBe("SlowConsumer");
    expect(await (await connecting).closed).toEqual({ code: 1013, text: "" });
  });

  test("has ended before terminate runs, which may publish and broadcast", async () => {
    const { pubsub, room } = setup();
    const other = await join(pubsub);
    let sizes: unknown;
    const client = await connect({
      init: (_: undefined, self: Self<string>) => {
        room.subscribe(self);
        return ok(0);
      },
      handleIn: (_, state: number) => ok(state),
      handleInfo: (_: string, state: number) => ok(state),
      terminate: (_, _state, self) => {
        sizes = [room.size, pubsub.topicsOf(self)];
        room.publish(text("left"));
        expect(room.subscribe(self).topic).toBe("room");
      },
    });
    expect(room.size).toBe(2);
    client.close(1000);
    await client.ended;
    expect(sizes).toEqual([1, []]);
    expect([other.texts(), client.received, room.size]).toEqual([["left"], [], 1]);
  });

  test("infos that are queued before unsubscribe still arrive, and nothing after it", async () => {
    const { pubsub, room } = setup();
    const { client, self, texts } = await join(pubsub);
    room.broadcast("a");
    room.unsubscribe(self);
    room.broadcast("b");
    room.publish(text("c"));
    await client.settled();
    expect(texts()).toEqual(["info:a"]);
  });

  test("subscribed twice, a member gets messages once, until both subscriptions are cancelled", async () => {
    const { pubsub, room } = setup();
    const { self, texts } = await join(pubsub, []);
    const [first, second] = [room.subscribe(self), room.subscribe(self)];
    room.publish(text("a"));
    first.cancel();
    first.cancel();
    room.publish(text("b"));
    second.cancel();
    room.publish(text("c"));
    expect([texts(), room.size]).toEqual([["a", "b"], 0]);
  });

  test("cancelling after unsubscribe does not end a newer subscription", async () => {
    const { pubsub, room } = setup();
    const { self } = await join(pubsub, []);
    const old = room.subscribe(self);
    room.unsubscribe(self);
    room.subscribe(self);
    old.cancel();
    expect([room.size, pubsub.topicsOf(self)]).toEqual([1, ["room"]]);
  });
});

describe("sending", () => {
  test("except leaves out connections, given as self or as address", async () => {
    const { pubsub, room } = setup();
    const [a, b, c] = [await join(pubsub), await join(pubsub), await join(pubsub)];
    room.publish(text("1"), { except: a.self });
    room.publish(text("2"), { except: [a.self, pubsub.address(b.self)] });
    room.broadcast("3", { except: c.self });
    await b.client.settled();
    expect([a.texts(), b.texts(), c.texts()]).toEqual([["info:3"], ["1", "info:3"], ["1", "2"]]);
  });

  test("volatile leaves out members for whom something is buffered", async () => {
    const { pubsub, room } = setup();
    const [slow, fast] = [await join(pubsub), await join(pubsub)];
    slow.client.stopReading();
    room.publish(text("a"));
    room.publish(text("b"), { volatile: true });
    slow.client.resumeReading();
    expect([slow.texts(), fast.texts()]).toEqual([["a"], ["a", "b"]]);
  });

  test("a message that may not be sent throws at the call, and no member gets a part of it", async () => {
    const { pubsub, room } = setup();
    const { texts, client } = await join(pubsub);
    expect(() => room.publish([text("a"), ping("x".repeat(126))])).toThrow(RangeError);
    expect(() => room.publish("a" as never)).toThrow(TypeError);
    expect([texts(), client.errors]).toEqual([[], []]);
  });

  test("stop ends every member's connection, and checks its arguments first", async () => {
    const { pubsub } = setup();
    const user = pubsub.topic("user:42");
    const [a, b, other] = [await join(pubsub, ["user:42"]), await join(pubsub, ["user:42"]), await join(pubsub)];
    expect(() => user.stop("kicked", { code: 1005 })).toThrow(RangeError);
    expect(user.size).toBe(2);
    user.stop("kicked", { code: 4003, text: "bye", messages: text("last") }, { except: b.self });
    expect(await a.client.ended).toEqual({ code: 4003, text: "bye", reason: { error: "kicked" } });
    expect([a.texts(), user.size, other.self.signal.aborted]).toEqual([["last"], 1, false]);
  });

  test("without members it returns true; after close false, and nothing is delivered", async () => {
    const { pubsub, room } = setup();
    expect([room.publish(text("a")), room.broadcast("a"), pubsub.status]).toEqual([true, true, "alone"]);
    const { client, self, texts } = await join(pubsub);
    await pubsub.close();
    expect([room.publish(text("a")), room.broadcast("a"), room.size, pubsub.status]).toEqual([
      false,
      false,
      0,
      "closed",
    ]);
    expect(await room.subscribe(self).ready).toBe(false);
    await client.settled();
    expect([texts(), self.signal.aborted]).toEqual([[], false]);
  });
});

describe("slow members", () => {
  test("by default they end as slow consumers within one message of maxBuffered, and others get everything", async () => {
    const { pubsub, room } = setup();
    const slow = await join(pubsub, ["room"], {}, { maxBuffered: 100 });
    const fast = await join(pubsub);
    slow.client.stopReading();
    room.publish(Array.from({ length: 200 }, () => text("0123456789")));
    expect([slow.self.buffered, fast.texts().length, room.size]).toEqual([100, 200, 1]);
    slow.client.resumeReading();
    expect(await slow.client.closed).toEqual({ code: 1013, text: "" });
    expect([slow.texts().length, pubsub.stats.closedSlow]).toEqual([10, 1]);
  });

  test("with drop they miss whole messages, then get a gap with the exact number, then messages again", async () => {
    const { pubsub, room } = setup();
    const gaps: Gap[] = [];
    const onGap = (gap: Gap): string => {
      gaps.push(gap);
      return `missed ${gap.missed}`;
    };
    const slow = await join(pubsub, ["room"], { slow: "drop", maxBuffered: 30, onGap });
    slow.client.stopReading();
    for (let i = 10; i < 20; i++) room.publish(text(`message ${i}`));
    slow.client.resumeReading();
    expect([slow.texts(), gaps]).toEqual([["message 10", "message 11", "message 12"], []]);
    room.publish(text("more"));
    await slow.client.settled();
    expect(slow.texts().slice(3)).toEqual(["more", "info:missed 7"]);
    expect(gaps).toEqual([{ topic: "room", cause: "slow", missed: 7, node: pubsub.node }]);
  });

  test("with drop, infos beyond 65 536 are dropped while handleInfo is pending, and the connection stays open", async () => {
    const { pubsub, room } = setup();
    let settle!: (result: HandleResult<number>) => void;
    const first = new Promise<HandleResult<number>>((resolve) => {
      settle = resolve;
    });
    const infos: string[] = [];
    const member = await join(
      pubsub,
      ["room"],
      { slow: "drop", onGap: ({ missed }) => `missed ${missed}` },
      {},
      (info) => (infos.push(info) === 1 ? first : ok(0)),
    );
    room.broadcast("first");
    await tick();
    for (let i = 0; i < 70_000; i++) room.broadcast("x");
    expect(pubsub.stats.dropped).toBe(70_000 - 65_536);
    settle(ok(0));
    await member.client.settled();
    room.broadcast("last");
    await member.client.settled();
    expect(infos.slice(-3)).toEqual(["x", `missed ${70_000 - 65_536}`, "last"]);
    expect(member.self.signal.aborted).toBe(false);
  });

  test("with drop, a gap is not announced while the mailbox is full of infos, and the connection stays open", async () => {
    const { pubsub, room } = setup();
    let release!: () => void;
    const pending = new Promise<void>((resolve) => {
      release = resolve;
    });
    const infos: string[] = [];
    const handleInfo = async (info: string) => {
      await pending;
      infos.push(info);
      return ok(0);
    };
    const onGap = ({ missed }: Gap) => `missed ${missed}`;
    const member = await join(pubsub, ["room"], { slow: "drop", onGap }, {}, handleInfo);
    room.broadcast("x");
    await tick();
    for (let i = 0; i < 65_537; i++) room.broadcast("x");
    room.publish(text("m"));
    await tick();
    expect([room.size, member.client.errors, member.texts()]).toEqual([1, [], ["m"]]);
    release();
    await member.client.settled();
    room.publish(text("n"));
    await member.client.settled();
    expect([member.texts(), infos.length, infos.at(-1)]).toEqual([["m", "n"], 65_538, "missed 1"]);
  });

  test("a broadcast in onGap follows the broadcast that announces the gap, for every member", async () => {
    const { pubsub, room } = setup();
    const infos: string[][] = [[], []];
    const members = await Promise.all(
      infos.map((list, i) =>
        join(
          pubsub,
          ["room"],
          {
            slow: "drop",
            maxBuffered: 1,
            onGap: () => {
              if (i === 0) room.broadcast("nested");
              return "gap";
            },
          },
          {},
          (info) => {
            list.push(info);
            return ok(0);
          },
        ),
      ),
    );
    for (const { client } of members) client.stopReading();
    room.publish([text("a"), text("b")]);
    for (const { client } of members) client.resumeReading();
    room.broadcast("outer");
    for (const { client } of members) await client.settled();
    expect(infos).toEqual([
      ["gap", "outer", "nested"],
      ["gap", "outer", "nested"],
    ]);
  });

  test("what onGap sends follows all messages that were held while init was pending", async () => {
    const { pubsub, room } = setup();
    let release!: () => void;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const client = begin<string>(
      {
        init: async (_: undefined, self: Self<string>) => {
          const onGap = () => {
            self.push(text("own"));
            return "gap";
          };
          room.subscribe(self, { slow: "drop", maxBuffered: 20, onGap });
          await gate;
          return push(text("0123456789"), 0);
        },
        handleIn: (_: unknown, state: number) => ok(state),
        handleInfo: (_: string, state: number) => ok(state),
      },
      undefined,
    ).client;
    client.stopReading();
    room.publish([text("x".repeat(15)), text("h2"), text("h3")]);
    release();
    await tick();
    client.resumeReading();
    await client.settled();
    expect(textsOf(client)).toEqual(["0123456789", "h2", "h3", "own"]);
    expect(pubsub.stats.dropped).toBe(1);
  });

  test("an error of onGap is reported to its connection, not thrown to the publisher", async () => {
    const { pubsub, room } = setup();
    const onGap = (): string => {
      throw new Error("onGap");
    };
    const slow = await join(pubsub, ["room"], { slow: "drop", maxBuffered: 1, onGap });
    slow.client.stopReading();
    room.publish([text("a"), text("b")]);
    slow.client.resumeReading();
    expect(room.publish(text("c"))).toBe(true);
    expect([slow.texts(), slow.client.errors]).toEqual([["a", "c"], [new Error("onGap")]]);
  });
});

describe("events", () => {
  test("go to onEvent, whose errors reach no publisher, and to a diagnostics channel", async () => {
    const seen: unknown[] = [];
    const published: unknown[] = [];
    const listener = (message: unknown) => void published.push(message);
    subscribe("websock-js:pubsub", listener);
    const pubsub = new PubSub({
      onEvent: (event) => {
        seen.push(event);
        throw new Error("onEvent");
      },
    });
    const slow = await join(pubsub, ["room"], { slow: "drop", maxBuffered: 1 });
    slow.client.stopReading();
    pubsub.topic("room").publish([text("a"), text("b")]);
    slow.client.resumeReading();
    pubsub.topic("room").publish(text("c"));
    await pubsub.close();
    await pubsub.close();
    unsubscribe("websock-js:pubsub", listener);
    const { node } = pubsub;
    expect(seen).toEqual([{ type: "gap", gap: { topic: "room", cause: "slow", missed: 1, node } }, { type: "closed" }]);
    expect(published).toEqual(seen.map((event) => ({ node, ...(event as object) })));
  });
});

describe("arguments", () => {
  test("the name of a topic has 1 to 512 UTF-16 units", () => {
    const pubsub = new PubSub();
    expect(() => pubsub.topic("")).toThrow(RangeError);
    expect(() => pubsub.topic("a".repeat(513))).toThrow(RangeError);
    expect(() => pubsub.topic(1 as never)).toThrow(TypeError);
    expect(pubsub.topic("a".repeat(512)).size).toBe(0);
  });

  test.each(["*", ">", "a.b", "..", " ", "\r\n", "\0", "\ud800", "__proto__", "😀"])(
    "%j is a topic like any other",
    async (name) => {
      const pubsub = testPubSub();
      const [member, other] = [await join(pubsub, [name]), await join(pubsub, ["a"])];
      pubsub.topic(name).publish(text("x"));
      expect([member.texts(), other.texts()]).toEqual([["x"], []]);
    },
  );

  test("subscribe refuses what is not a self, and invalid options", async () => {
    const { pubsub, room } = setup();
    const { self } = await join(pubsub, []);
    expect(() => room.subscribe({ ...self } as never)).toThrow(/not a connection: an object; pass the "self"/);
    expect(() => room.subscribe(self, { slow: "never" as never })).toThrow(TypeError);
    expect(() => room.subscribe(self, { maxBuffered: 0 })).toThrow(RangeError);
    expect(() => room.subscribe(self, { gap: 1 } as never)).toThrow(/unknown option "gap"/);
    expect(() => room.publish(text(""), { execpt: self } as never)).toThrow(/unknown option "execpt"/);
    expect(room.size).toBe(0);
  });

  test("strict infos are what another process would receive", async () => {
    const infos: unknown[] = [];
    const topic: Topic<{ at: Date; name?: string }> = testPubSub().topic("t");
    const client = await connect({
      init: (_: undefined, self: Self<{ at: Date; name?: string }>) => {
        topic.subscribe(self);
        return ok(0);
      },
      handleIn: (_, state: number) => ok(state),
      handleInfo: (info: { at: Date; name?: string }, state: number) => {
        infos.push(info);
        return ok(state);
      },
    });
    topic.broadcast({ at: new Date(0) });
    await client.settled();
    expect(infos).toEqual([{ at: "1970-01-01T00:00:00.000Z" }]);
  });
});
