/** What topics send in an event-loop tick, and when, on hosts where members can share frames. */
import { describe, expect, test } from "vitest";
import { binary, ping, SlowConsumer, text } from "websock-js";
import { type Gap, PubSub } from "websock-js/pubsub";
import { testPubSub } from "websock-js/testing";
import { deferred, nextTick } from "../support/promises.ts";
import { ByteHost, type ByteMember } from "./byte-members.ts";

const setup = () => {
  const pubsub = testPubSub();
  return { host: new ByteHost(), pubsub, room: pubsub.topic<string>("room") };
};

/** How a text frame appears in what a member was sent. */
const texts = (...all: readonly string[]): string[] => all.map((each) => `text ${each}`.trim());

describe("a batch", () => {
  test("is what was published in an event-loop tick: one write for each member", () => {
    const { host, pubsub, room } = setup();
    const members = Array.from({ length: 3 }, () => host.join(pubsub));
    room.publish(text("a"));
    room.publish([text("ä"), text(""), binary(new Uint8Array([98])), ping("c"), text("x".repeat(70_000))]);
    for (const { sent } of members) expect(sent()).toEqual([]);
    host.tick();
    for (const { sent, writes } of members) {
      expect(sent()).toEqual(["text a", "text ä", "text", "binary b", "ping c", `text ${"x".repeat(70_000)}`]);
      expect(writes()).toBe(1);
    }
    room.publish(text("d"));
    host.tick();
    for (const { sent, writes } of members) {
      expect(sent().at(-1)).toBe("text d");
      expect(writes()).toBe(1);
    }
  });

  test("contains messages as they were when they were published", async () => {
    const { host, pubsub, room } = setup();
    const { promise, resolve } = deferred();
    const [pending, member] = [host.join(pubsub, ["room"], { initialized: promise }), host.join(pubsub)];
    const bytes = new Uint8Array([97]);
    const parts = ["a", bytes];
    for (let i = 0; i < 3; i++) {
      room.publish([binary(bytes), binary(bytes.buffer), text(parts)]);
      bytes[0]!++;
      parts[0] += "a";
    }
    host.tick();
    resolve();
    await nextTick();
    host.tick();
    const expected = ["binary a", "binary a", "text aa", "binary b", "binary b", "text aab"];
    expect(member.sent()).toEqual([...expected, "binary c", "binary c", "text aaac"]);
    expect(pending.sent()).toEqual(["text ready", ...member.sent()]);
  });

  test("that is large is sent before the end of the tick", () => {
    const { host, pubsub, room } = setup();
    const member = host.join(pubsub);
    for (let i = 0; i < 200; i++) room.publish(text("x".repeat(1000)));
    expect(member.sent().length).toBeGreaterThan(100);
    host.tick();
    expect(member.sent().length).toBe(200);
  });

  test("is empty without messages", () => {
    const { host, pubsub, room } = setup();
    const member = host.join(pubsub);
    expect(room.publish([])).toBe(true);
    host.tick();
    expect(member.writes()).toBe(0);
  });

  test("does not include what was published before a member joined, nor after it left", () => {
    const { host, pubsub, room } = setup();
    const first = host.join(pubsub);
    room.publish(text("a"));
    const second = host.join(pubsub);
    room.publish(text("b"));
    room.unsubscribe(first.self);
    room.publish(text("c"));
    host.tick();
    expect(first.sent()).toEqual(texts("a", "b"));
    expect(second.sent()).toEqual(texts("b", "c"));
  });

  test("leaves out members that are excepted, and is still one write for each member", () => {
    const { host, pubsub, room } = setup();
    const [a, b, c] = ["a", "b", "c"].map(() => host.join(pubsub)) as [ByteMember, ByteMember, ByteMember];
    room.publish(text("not a"), { except: a.self });
    room.publish(text("not a again"), { except: a.self });
    room.publish(text("nor b"), { except: [a.self, pubsub.address(b.self)] });
    room.publish(text("all"));
    room.publish(text("not c"), { except: c.self });
    host.tick();
    expect(a.sent()).toEqual(texts("all", "not c"));
    expect(b.sent()).toEqual(texts("not a", "not a again", "all", "not c"));
    expect(c.sent()).toEqual(texts("not a", "not a again", "nor b", "all"));
    for (const { writes } of [a, b, c]) expect(writes()).toBe(1);
  });

  test("is dropped for a client that is disconnected, and sent before the close frame to one that is stopped", () => {
    const { host, pubsub, room } = setup();
    const gone = host.join(pubsub);
    const stopped = host.join(pubsub);
    room.publish(text("a"));
    gone.stream.events.onDisconnect();
    stopped.self.stop("normal");
    room.publish(text("b"));
    host.tick();
    expect(gone.sent()).toEqual([]);
    expect(stopped.sent()).toEqual([...texts("a"), "close 1000"]);
  });

  test("is sent before the close frame with which we answer the client's", () => {
    const { host, pubsub, room } = setup();
    const member = host.join(pubsub);
    room.publish(text("a"));
    member.leave();
    room.publish(text("b"));
    host.tick();
    expect(member.sent()).toEqual([...texts("a"), "close"]);
    expect(member.reasons).toEqual(["remote"]);
  });

  test("is sent when the PubSub is closed", () => {
    const { host, pubsub, room } = setup();
    const member = host.join(pubsub);
    room.publish(text("a"));
    void pubsub.close();
    expect(room.publish(text("b"))).toBe(false);
    host.tick();
    expect(member.sent()).toEqual(texts("a"));
  });

  test("is sent when self.buffered is read, which counts it", () => {
    const { host, pubsub, room } = setup();
    const member = host.join(pubsub);
    expect(member.self.buffered).toBe(0);
    room.publish(text("abc"));
    expect(member.self.buffered).toBe(5);
    host.tick();
    expect(member.self.buffered).toBe(0);
    expect(member.writes()).toBe(1);
  });

  test("makes self.drained wait for a client that does not read", async () => {
    const { host, pubsub, room } = setup();
    const member = host.join(pubsub);
    member.stream.stalled = true;
    room.publish(text("x".repeat(100_000)));
    const drained = member.self.drained();
    expect(await Promise.race([drained, "pending"])).toBe("pending");
    member.stream.stalled = false;
    member.stream.drain();
    expect(await drained).toBe(true);
  });
});

describe("order", () => {
  test("a member's own messages keep their place, and cost no extra write", () => {
    const { host, pubsub, room } = setup();
    const [a, b] = [host.join(pubsub), host.join(pubsub)];
    room.publish(text("1"));
    a.self.push(text("own"));
    room.publish(text("2"));
    a.self.push([text("own"), text("own")]);
    host.tick();
    host.tick();
    expect(a.sent()).toEqual(texts("1", "own", "2", "own", "own"));
    expect(b.sent()).toEqual(texts("1", "2"));
    expect([a.writes(), b.writes()]).toEqual([1, 1]);
  });

  test("a publish in a callback precedes the messages of its result", () => {
    const { host, pubsub, room } = setup();
    const act = (_: unknown, message: string) => {
      room.publish(text(`to all: ${message}`));
      return text(`answer: ${message}`);
    };
    const [a, b] = [host.join(pubsub, ["room"], { act }), host.join(pubsub)];
    a.receive("1", "2");
    host.tick();
    host.tick();
    expect(a.sent()).toEqual(texts("to all: 1", "answer: 1", "to all: 2", "answer: 2"));
    expect(b.sent()).toEqual(texts("to all: 1", "to all: 2"));
  });

  test("holds across topics", () => {
    const { host, pubsub, room } = setup();
    const hall = pubsub.topic("hall");
    const [both, one] = [host.join(pubsub, ["hall", "room"]), host.join(pubsub)];
    room.publish(text("1"));
    hall.publish(text("2"));
    room.publish(text("3"), { except: both.self });
    room.publish(text("4"));
    hall.publish([text("5"), text("6")]);
    host.tick();
    expect(both.sent()).toEqual(texts("1", "2", "4", "5", "6"));
    expect(one.sent()).toEqual(texts("1", "3", "4"));
    expect([both.writes(), one.writes()]).toEqual([1, 1]);
  });

  test("each of many topics that have a batch reaches its members", () => {
    const { host, pubsub } = setup();
    const names = Array.from({ length: 20 }, (_, i) => `topic ${i}`);
    const few = host.join(pubsub, names.slice(3, 5));
    const all = host.join(pubsub, names);
    for (const name of names) pubsub.topic(name).publish(text(name));
    host.tick();
    expect(few.sent()).toEqual(texts("topic 3", "topic 4"));
    expect(all.sent()).toEqual(texts(...names));
  });

  test("what is published while init is pending follows init's messages, once", async () => {
    const { host, pubsub, room } = setup();
    const { promise, resolve } = deferred();
    const [pending, other] = [host.join(pubsub, ["room"], { initialized: promise }), host.join(pubsub)];
    room.publish(text("1"));
    pending.self.push(text("own"));
    host.tick();
    room.publish(text("2"));
    resolve();
    await nextTick();
    room.publish(text("3"));
    host.tick();
    host.tick();
    expect(pending.sent()).toEqual(texts("own", "ready", "1", "2", "3"));
    expect(other.sent()).toEqual(texts("1", "2", "3"));
  });

  test("a backlog is sent first", () => {
    const { host, pubsub, room } = setup();
    const member = host.join(pubsub);
    member.stream.stalled = true;
    room.publish(text("1"));
    host.tick();
    room.publish(text("2"));
    host.tick();
    expect(member.sent()).toEqual(texts("1"));
    member.stream.stalled = false;
    member.stream.drain();
    expect(member.sent()).toEqual(texts("1", "2"));
  });

  test("a message that is published in onGap belongs to the next batch", () => {
    const { host, pubsub, room } = setup();
    const onGap = () => {
      room.publish(text("gap"));
      return "gap";
    };
    const slow = host.join(pubsub, ["room"], { subscribe: { slow: "drop", maxBuffered: 10, onGap } });
    const other = host.join(pubsub);
    slow.stream.stalled = true;
    room.publish([text("12345678"), text("dropped")]);
    host.tick();
    slow.stream.stalled = false;
    slow.stream.drain();
    room.publish([text("a"), text("b")]);
    host.tick();
    host.tick();
    host.tick();
    expect(other.sent()).toEqual(texts("12345678", "dropped", "a", "b", "gap"));
    expect(slow.sent()).toEqual(texts("12345678", "a", "b", "gap", "info:gap"));
  });
});

describe("a slow member", () => {
  const LIMIT = 100;

  test('with "close" is closed at the message that does not fit; the others receive everything', () => {
    const { host, pubsub, room } = setup();
    const slow = host.join(pubsub, ["room"], { options: { maxBuffered: LIMIT } });
    const others = Array.from({ length: 3 }, () => host.join(pubsub));
    slow.stream.stalled = true;
    const messages = Array.from({ length: 200 }, (_, i) => String(i).padStart(8, "0"));
    for (const message of messages) room.publish(text(message));
    host.tick();
    for (const { sent, writes } of others) {
      expect(sent()).toEqual(texts(...messages));
      expect(writes()).toBe(1);
    }
    slow.stream.drain();
    host.tick();
    expect(slow.sent()).toEqual([...texts(...messages.slice(0, LIMIT / 10)), "close 1013"]);
    expect(slow.reasons).toEqual([{ error: expect.any(SlowConsumer) }]);
    expect(room.size).toBe(3);
    expect(pubsub.stats.closedSlow).toBe(1);
  });

  test("that exceeds its limit is closed before its own next message", () => {
    const { host, pubsub, room } = setup();
    const slow = host.join(pubsub, ["room"], { options: { maxBuffered: LIMIT } });
    slow.stream.stalled = true;
    for (let i = 0; i < 20; i++) room.publish(text("12345678"));
    expect(slow.self.push(text("own"))).toBe(false);
    expect(room.size).toBe(0);
  });

  test('with "drop" misses whole messages, and receives their exact number', () => {
    const { host, pubsub, room } = setup();
    const gaps: Gap[] = [];
    const onGap = (gap: Gap) => `missed ${gap.missed}`;
    const subscribe = { slow: "drop", maxBuffered: LIMIT, onGap } as const;
    const watched = new PubSub({ onEvent: (event) => event.type === "gap" && gaps.push(event.gap) });
    const slow = host.join(watched, ["room"], { subscribe });
    slow.stream.stalled = true;
    const messages = Array.from({ length: 25 }, (_, i) => String(i).padStart(8, "0"));
    for (const message of messages) watched.topic("room").publish(text(message));
    host.tick();
    expect(watched.stats.dropped).toBe(15);
    slow.stream.stalled = false;
    slow.stream.drain();
    watched.topic("room").publish(text("next"));
    watched.topic("room").publish(text("last"));
    for (let i = 0; i < 3; i++) host.tick();
    expect(slow.sent()).toEqual(texts(...messages.slice(0, 10), "next", "last", "info:missed 15"));
    expect(gaps).toEqual([{ topic: "room", cause: "slow", missed: 15, node: watched.node }]);
    expect(room.size).toBe(0);
    expect(pubsub.stats.dropped).toBe(0);
  });

  test("that subscribes again in onGap, while it unsubscribes, is a member", () => {
    const { host, pubsub, room } = setup();
    const member = host.join(pubsub, []);
    const onGap = () => {
      room.subscribe(member.self);
      return "gap";
    };
    room.subscribe(member.self, { slow: "drop", maxBuffered: 10, onGap });
    member.stream.stalled = true;
    room.publish([text("12345678"), text("dropped")]);
    host.tick();
    member.stream.stalled = false;
    member.stream.drain();
    room.publish(text("a"));
    room.unsubscribe(member.self);
    expect(room.size).toBe(1);
    room.publish(text("b"));
    host.tick();
    host.tick();
    expect(member.sent()).toEqual(texts("12345678", "a", "b", "info:gap"));
  });

  test("may receive one message that is larger than its limit, if nothing is waiting", () => {
    const { host, pubsub, room } = setup();
    const slow = host.join(pubsub, ["room"], { options: { maxBuffered: LIMIT } });
    const large = "x".repeat(3 * LIMIT);
    room.publish(text(large));
    host.tick();
    expect(slow.sent()).toEqual(texts(large));
  });

  test("misses volatile messages while something is waiting", () => {
    const { host, pubsub, room } = setup();
    const slow = host.join(pubsub);
    const fast = host.join(pubsub);
    slow.stream.stalled = true;
    room.publish(text("1"), { volatile: true });
    host.tick();
    room.publish(text("2"), { volatile: true });
    room.publish(text("3"));
    host.tick();
    slow.stream.drain();
    expect(slow.sent()).toEqual(texts("1", "3"));
    expect(fast.sent()).toEqual(texts("1", "2", "3"));
  });
});
