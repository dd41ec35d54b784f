/** When the callbacks of a channel are called, and with what. */
import { describe, expect, test } from "vitest";
import type { Self } from "websock-js";
import {
  accept,
  ChannelOverflow,
  channel,
  channels,
  JoinTimeout,
  type MessageRef,
  noreply,
  push,
  reply,
  type Socket,
  stop,
} from "websock-js/channels";
import { Presence } from "websock-js/pubsub";
import { ManualClock, testPubSub } from "websock-js/testing";
import { deferred, nextTick } from "../support/promises.ts";
import { type Frame, phoenixClient, quiet, serve } from "./phoenix-client.ts";

const hang = () => new Promise<never>(() => undefined);

const JOIN: Frame = ["1", "1", "room:1", "phx_join", {}];
const send = (ref: string, event: string, payload: unknown = {}, topic = "room:1", joinRef = "1"): Frame => [
  joinRef,
  ref,
  topic,
  event,
  payload,
];
const statuses = (frames: readonly unknown[]) =>
  (frames as Frame[]).map(([, ref, , event, payload]) =>
    event === "phx_reply" ? `${ref} ${(payload as { status: string }).status}` : event,
  );

describe("order", () => {
  test("a message waits for the pending callback of its channel, and not for that of another channel", async () => {
    const gate = deferred();
    const Room = channel()({
      join: () => accept([] as string[]),
      handleIn: async (event, _payload, events, { topic }) => {
        if (event === "slow") await gate.promise;
        return reply("ok", { events, topic }, [...events, event]);
      },
    });
    const { client, ...phoenix } = await serve({ "room:*": Room });
    phoenix.send(JOIN, ["2", "2", "room:2", "phx_join", {}]);
    phoenix.send(send("3", "slow"), send("4", "next"), send("5", "other", {}, "room:2", "2"), [
      null,
      "6",
      "phoenix",
      "heartbeat",
      {},
    ]);
    expect(statuses(await phoenix.received())).toEqual(["1 ok", "2 ok", "6 ok", "5 ok"]);
    gate.resolve();
    expect(await phoenix.received()).toEqual([
      ["1", "3", "room:1", "phx_reply", { status: "ok", response: { events: [], topic: "room:1" } }],
      ["1", "4", "room:1", "phx_reply", { status: "ok", response: { events: ["slow"], topic: "room:1" } }],
    ]);
  });

  test("messages that arrive while the join is pending are handled after it", async () => {
    const gate = deferred();
    const Room = channel()({
      join: async () => {
        await gate.promise;
        return accept(null);
      },
      handleIn: (event, _payload, state) => reply("ok", { event }, state),
    });
    const { send: sendFrames, received } = await serve({ "room:*": Room });
    sendFrames(JOIN, send("2", "early"));
    expect(await received()).toEqual([]);
    gate.resolve();
    expect(statuses(await received())).toEqual(["1 ok", "2 ok"]);
  });

  test("a leave waits for the pending callback, and what follows it is not handled", async () => {
    const gate = deferred();
    const ended: unknown[] = [];
    const Room = channel()({
      join: () => accept(0),
      handleIn: async (_event, _payload, count) => {
        await gate.promise;
        return reply("ok", {}, count + 1);
      },
      terminate: (reason, count) => void ended.push(reason, count),
    });
    const { send: sendFrames, received } = await serve({ "room:*": Room });
    sendFrames(JOIN, send("2", "a"), send("3", "phx_leave"), send("4", "b"));
    expect(statuses(await received())).toEqual(["1 ok"]);
    gate.resolve();
    expect(statuses(await received())).toEqual(["2 ok", "3 ok", "phx_close"]);
    expect(ended).toEqual(["left", 1]);
  });

  test("a leave while the join is pending ends the channel, and terminate receives the state of the join", async () => {
    const gate = deferred();
    const ended: unknown[] = [];
    const Room = channel()({
      join: () => gate.promise.then(() => accept(0)),
      terminate: (reason, state) => void ended.push(reason, state),
    });
    const { send: sendFrames, received } = await serve({ "room:*": Room });
    sendFrames(JOIN, send("2", "phx_leave"));
    expect(statuses(await received())).toEqual(["2 ok", "phx_close"]);
    gate.resolve();
    expect(await received()).toEqual([]);
    expect(ended).toEqual(["left", 0]);
  });
});

describe("the end", () => {
  const reasons: unknown[] = [];
  const Room = channel()({
    join: () => accept("state"),
    handleIn: (event, _payload, state) => {
      if (event === "stop") return stop("bored", state);
      if (event === "nothing") return undefined as never;
      if (event === "status") return reply("maybe" as never, {}, state);
      if (event === "circular") {
        const circle: unknown[] = [];
        circle.push(circle);
        return push("event", circle, state);
      }
      throw new Error(`expected: ${event}`);
    },
    terminate: (reason, state) => void reasons.push([reason, state]),
  });

  test.each<[string, readonly Frame[], unknown]>([
    ["leave", [send("2", "phx_leave")], "left"],
    ["join", [JOIN], "rejoined"],
    ["stop", [send("2", "stop")], { stop: "bored" }],
    ["throw", [send("2", "throw")], { error: expect.objectContaining({ message: "expected: throw" }) }],
    ["a result that is none", [send("2", "nothing")], { error: expect.any(TypeError) }],
    ["a status that is none", [send("2", "status")], { error: expect.any(TypeError) }],
    ["a payload that is circular", [send("2", "circular")], { error: expect.any(TypeError) }],
  ])("terminate receives the reason: %s", async (_name, frames, reason) => {
    reasons.length = 0;
    const { client, ...phoenix } = await serve({ "room:*": Room });
    phoenix.send(JOIN, ...frames);
    await quiet();
    expect(reasons).toEqual([[reason, "state"]]);
    const { error } = reason as { error?: unknown };
    expect(client.errors).toEqual(error === undefined ? [] : [error]);
    client.close(1000);
    await client.ended;
    expect(reasons).toHaveLength(reason === "rejoined" ? 2 : 1);
  });

  test("the end of the connection ends all its channels, and waits for their pending callbacks", async () => {
    const gate = deferred();
    const ended: unknown[] = [];
    const Slow = channel()({
      join: () => accept(0),
      handleIn: async (_event, _payload, count) => {
        await gate.promise;
        return noreply(count + 1);
      },
      terminate: async (reason, count, socket) => {
        await nextTick();
        ended.push(reason, count, socket.topic, socket.isJoined, socket.push("late", {}));
      },
    });
    const { client, ...phoenix } = await serve({ "room:*": Slow });
    phoenix.send(JOIN, ["2", "2", "room:2", "phx_join", {}], send("3", "slow"));
    client.close(1000);
    await quiet();
    expect(ended).toEqual(["closed", 0, "room:2", false, false]);
    gate.resolve();
    await client.ended;
    expect(ended.slice(5)).toEqual(["closed", 1, "room:1", false, false]);
  });

  test("an error of one channel does not affect the others", async () => {
    const { client, ...phoenix } = await serve({
      "room:*": Room,
      lobby: channel()({ join: () => accept(0), handleIn: (_e, _p, n) => reply("ok", {}, n) }),
    });
    phoenix.send(JOIN, ["2", "2", "lobby", "phx_join", {}], send("3", "throw"), ["2", "4", "lobby", "x", {}]);
    expect(statuses(await phoenix.received())).toEqual(["1 ok", "2 ok", "phx_error", "4 ok"]);
  });

  test("a join that throws or rejects is answered with an error, and reported", async () => {
    for (const join of [
      () => {
        throw new Error("expected");
      },
      () => Promise.reject(new Error("expected")),
      () => 1 as never,
    ]) {
      const { client, ...phoenix } = await serve({ "room:*": channel()({ join }) });
      phoenix.send(JOIN);
      expect(await phoenix.received()).toEqual([
        ["1", "1", "room:1", "phx_reply", { status: "error", response: { reason: "join crashed" } }],
      ]);
      expect(client.errors).toHaveLength(1);
    }
  });
});

describe("joining again", () => {
  test("waits until the callbacks of the earlier join are complete", async () => {
    const log: string[] = [];
    const [first, second] = [deferred(), deferred()];
    const Room = channel()({
      join: (name) => {
        log.push(`join ${name}`);
        return accept(String(name));
      },
      handleIn: async (_event, _payload, name) => {
        await first.promise;
        return reply("ok", {}, `${name}!`);
      },
      terminate: async (reason, name) => {
        await second.promise;
        log.push(`${name} ${reason}`);
      },
    });
    const { send: sendFrames, received } = await serve({ "room:*": Room });
    sendFrames(["1", "1", "room:1", "phx_join", "a"], send("2", "x"), ["3", "3", "room:1", "phx_join", "b"]);
    expect(statuses(await received())).toEqual(["1 ok", "phx_close"]);
    first.resolve();
    expect(statuses(await received())).toEqual([]);
    second.resolve();
    expect(statuses(await received())).toEqual(["3 ok"]);
    expect(log).toEqual(["join a", "a! rejoined", "join b"]);
  });

  test("waits for joinTimeout at most", async () => {
    const clock = new ManualClock();
    let joins = 0;
    const Room = channel()({ join: () => (joins++ === 0 ? hang() : accept(0)) });
    const { send: sendFrames, received } = await serve(
      { "room:*": Room },
      { joinTimeout: 5_000 },
      testPubSub({ clock }),
    );
    sendFrames(JOIN, ["2", "2", "room:1", "phx_join", {}]);
    expect(statuses(await received())).toEqual(["phx_close"]);
    clock.advance(7_000);
    expect(statuses(await received())).toEqual(["2 ok"]);
  });

  test("handles what has waited for it, although its join is synchronous", async () => {
    const gate = deferred();
    const Room = channel()({
      join: (name) => accept(name),
      handleIn: {
        slow: (_payload, name) => gate.promise.then(() => noreply(name)),
        say: (payload, name) => reply("ok", [name, payload], name),
      },
    });
    const { send: sendFrames, received } = await serve({ "room:*": Room });
    sendFrames(["1", "1", "room:1", "phx_join", "a"], send("2", "slow"), ["3", "3", "room:1", "phx_join", "b"]);
    sendFrames(send("4", "say", 1, "room:1", "3"), send("5", "say", 2, "room:1", "3"));
    expect(statuses(await received())).toEqual(["1 ok", "phx_close"]);
    gate.resolve();
    sendFrames(send("6", "say", 3, "room:1", "3"));
    expect(statuses(await received())).toEqual(["3 ok", "4 ok", "5 ok", "6 ok"]);
  });

  test("replaces a join of its topic that still waits, of which nothing is kept", async () => {
    const clock = new ManualClock();
    const joined: unknown[] = [];
    const Room = channel()({
      join: (name) => {
        joined.push(name);
        return accept(name);
      },
      handleIn: () => hang(),
    });
    const { send: sendFrames, received } = await serve(
      { "room:*": Room },
      { joinTimeout: 5_000 },
      testPubSub({ clock }),
    );
    sendFrames(["1", "1", "room:1", "phx_join", "a"], send("2", "slow"));
    for (let i = 3; i < 9; i++) sendFrames([`${i}`, `${i}`, "room:1", "phx_join", i]);
    await received();
    // The time counts from the end of the earlier session, not from the latest join.
    clock.advance(4_000);
    sendFrames(["9", "9", "room:1", "phx_join", "last"]);
    expect(statuses(await received())).toEqual(["phx_close"]);
    clock.advance(2_000);
    expect(statuses(await received())).toEqual(["9 ok"]);
    expect(joined).toEqual(["a", "last"]);
  });

  test("a topic can be joined again at the limit of topics, although an earlier callback is pending", async () => {
    const clock = new ManualClock();
    const Room = channel()({ join: () => accept(0), handleIn: () => hang() });
    const { send: sendFrames, received } = await serve(
      { "room:*": Room },
      { maxTopics: 2, joinTimeout: 5_000 },
      testPubSub({ clock }),
    );
    sendFrames(["1", "1", "room:1", "phx_join", {}], ["2", "2", "room:2", "phx_join", {}], send("3", "slow"));
    sendFrames(["4", "4", "room:1", "phx_join", {}]);
    clock.advance(6_000);
    expect(statuses(await received())).toEqual(["1 ok", "2 ok", "phx_close", "4 ok"]);
    // It cannot be repeated without limit: two sessions are joined, and one has a pending callback.
    sendFrames(send("5", "slow", {}, "room:1", "4"), ["6", "6", "room:1", "phx_join", {}]);
    expect(statuses(await received())).toEqual(["phx_close", "6 error"]);
  });

  test("joins that are pending after a leave count as joined topics", async () => {
    let joins = 0;
    const Room = channel()({
      join: () => {
        joins++;
        return hang();
      },
    });
    const { send: sendFrames, received } = await serve({ "room:*": Room }, { maxTopics: 3 });
    for (let i = 0; i < 10; i++)
      sendFrames([`${i}`, `${i}`, `room:${i}`, "phx_join", {}], [`${i}`, null, `room:${i}`, "phx_leave", {}]);
    expect(statuses(await received()).filter((status) => status.endsWith("error"))).toHaveLength(7);
    expect(joins).toBe(3);
  });
});

test("who was tracked by a later join stays when the callback of the earlier one settles", async () => {
  const clock = new ManualClock();
  const pubsub = testPubSub({ clock });
  const presence = new Presence<object>(pubsub);
  const gate = deferred();
  let joins = 0;
  const Room = channel()({
    presence,
    join: async (_payload, { self, topic }) => {
      if (joins++ === 0) await gate.promise;
      else {
        presence.track(self, topic, "ada", {});
        await hang();
      }
      return accept(0);
    },
  });
  const { send: sendFrames, received } = await serve({ "room:*": Room }, { joinTimeout: 5_000 }, pubsub);
  sendFrames(JOIN, ["2", "2", "room:1", "phx_join", {}]);
  clock.advance(6_000);
  gate.resolve();
  await received();
  expect([...presence.list("room:1").keys()]).toEqual(["ada"]);
});

test("who was tracked by a callback that settles after the end is removed again", async () => {
  const pubsub = testPubSub();
  const presence = new Presence<object>(pubsub);
  const gate = deferred();
  const Room = channel()({
    presence,
    join: async (_payload, { self, topic }) => {
      await gate.promise;
      presence.track(self, topic, "ada", {});
      return accept(0);
    },
  });
  const { send: sendFrames, received } = await serve({ "room:*": Room }, {}, pubsub);
  sendFrames(JOIN, send("2", "phx_leave"));
  await received();
  gate.resolve();
  await received();
  expect(presence.list("room:1").size).toBe(0);
});

test("a presence diff is sent once, also if two handlers have the topic, and goes through handleOut", async () => {
  const pubsub = testPubSub();
  const presence = new Presence<object>(pubsub);
  let self!: Self<never>;
  const Room = channel()({
    presence,
    join: (_payload, socket) => {
      ({ self } = socket);
      return accept(0);
    },
    handleOut: { presence_diff: (payload, n) => push("changed", payload, n) },
  });
  channels({ pubsub, channels: { "room:*": Room } });
  const { client, ...phoenix } = await serve({ "room:*": Room }, {}, pubsub);
  phoenix.send(JOIN);
  await phoenix.received();
  presence.track(self, "room:1", "ben", {});
  expect(statuses(await phoenix.received())).toEqual(["changed"]);
});

test("the functions of handleIn may be methods of a class, and no others are found", async () => {
  class Events {
    readonly #answer = "hello";
    greet(_payload: unknown, count: number) {
      return reply("ok", this.#answer, count);
    }
  }
  const Room = channel()({
    join: () => accept(0),
    events: { greet: "unchecked", toJSON: "unchecked" },
    handleIn: new (class extends Events {})(),
  });
  const { send: sendFrames, received } = await serve({ "room:*": Room });
  sendFrames(JOIN, send("2", "greet"), send("3", "toString"), send("4", "constructor"), send("5", "toJSON"));
  expect((await received()).slice(1)).toEqual([
    ["1", "2", "room:1", "phx_reply", { status: "ok", response: "hello" }],
    ["1", "3", "room:1", "phx_reply", { status: "error", response: { reason: "unknown event" } }],
    ["1", "4", "room:1", "phx_reply", { status: "error", response: { reason: "unknown event" } }],
    ["1", "5", "room:1", "phx_reply", { status: "error", response: { reason: "unknown event" } }],
  ]);
});

describe("limits", () => {
  test.each([
    ["more than 1 024 messages", Array.from({ length: 1_025 }, (_, i) => send(`${i + 3}`, "x"))],
    ["more than 1 MiB", Array.from({ length: 2 }, (_, i) => send(`${i + 3}`, "x", "y".repeat(600_000)))],
  ])("%s that wait for a callback end the channel, and no other", async (_name, frames) => {
    const reasons: unknown[] = [];
    const gate = deferred();
    const Room = channel()({
      join: () => accept(0),
      handleIn: (_event, _payload, count, { topic }) =>
        topic === "room:1" ? gate.promise.then(() => noreply(count)) : reply("ok", {}, count),
      terminate: (reason) => void reasons.push(reason),
    });
    const { client, ...phoenix } = await serve({ "room:*": Room });
    phoenix.send(JOIN, ["2", "2", "room:2", "phx_join", {}], send("3", "x"));
    phoenix.send(...frames.slice(0, -1));
    expect(statuses(await phoenix.received())).toEqual(["1 ok", "2 ok"]);
    phoenix.send(...frames.slice(-1), send("9999", "x", {}, "room:2", "2"));
    expect(statuses(await phoenix.received())).toEqual(["phx_error", "9999 ok"]);
    expect(client.errors).toEqual([expect.any(ChannelOverflow)]);
    gate.resolve();
    await quiet();
    expect(reasons).toEqual([{ error: client.errors[0] }]);
  });

  test("more than 16 MiB that wait in all topics of a connection end the channel with the most", async () => {
    const gate = deferred();
    const Room = channel()({
      join: () => accept(0),
      handleIn: (_event, payload) => gate.promise.then(() => reply("ok", String(payload).length, 0)),
    });
    const { client, ...phoenix } = await serve({ "room:*": Room });
    const topics = ["1", "2", "3", "4"];
    phoenix.send(...topics.map((n): Frame => [n, n, `room:${n}`, "phx_join", {}]));
    phoenix.send(...topics.map((n): Frame => send("8", "x", "", `room:${n}`, n)));
    // One message may wait, whatever its size.
    for (const [n, size] of [
      ["1", 5_000_000],
      ["2", 6_000_000],
      ["3", 5_000_000],
    ] as const)
      phoenix.send(send("9", "x", "y".repeat(size), `room:${n}`, n));
    expect(statuses(await phoenix.received())).toEqual(topics.map((n) => `${n} ok`));
    phoenix.send(send("9", "x", "y".repeat(1_000_000), "room:4", "4"));
    expect(await phoenix.received()).toEqual([["2", "2", "room:2", "phx_error", expect.anything()]]);
    expect(client.errors).toEqual([expect.any(ChannelOverflow)]);
    // What the ended channel had queued does not count any longer.
    phoenix.send(send("10", "x", "z", "room:4", "4"));
    gate.resolve();
    const replies = (await phoenix.received()) as Frame[];
    expect(replies.map(([, ref, topic]) => [topic, ref])).toEqual([
      ["room:1", "8"],
      ["room:3", "8"],
      ["room:4", "8"],
      ["room:1", "9"],
      ["room:3", "9"],
      ["room:4", "9"],
      ["room:4", "10"],
    ]);
  });

  test("one large message may wait, whatever its size", async () => {
    const gate = deferred();
    const Room = channel()({
      join: () => accept(0),
      handleIn: (event, _payload, n) =>
        event === "slow" ? gate.promise.then(() => reply("ok", {}, n)) : reply("ok", {}, n),
    });
    const { send: sendFrames, received } = await serve({ "room:*": Room });
    sendFrames(JOIN, send("2", "slow"), send("3", "x", "y".repeat(2_000_000)));
    gate.resolve();
    expect(statuses(await received())).toEqual(["1 ok", "2 ok", "3 ok"]);
  });

  test("a client may have joined at most maxTopics topics", async () => {
    const Room = channel()({ join: () => accept(0) });
    const { send: sendFrames, received } = await serve({ "room:*": Room }, { maxTopics: 2 });
    for (let i = 1; i <= 3; i++) sendFrames([`${i}`, `${i}`, `room:${i}`, "phx_join", {}]);
    sendFrames(["1", "4", "room:1", "phx_leave", {}], ["5", "5", "room:3", "phx_join", {}]);
    const frames = (await received()) as Frame[];
    expect(statuses(frames)).toEqual(["1 ok", "2 ok", "3 error", "4 ok", "phx_close", "5 ok"]);
    expect(frames[2]![4]).toEqual({ status: "error", response: { reason: "too many channels joined" } });
  });

  test("a join that takes longer than joinTimeout is answered with an error", async () => {
    const clock = new ManualClock();
    const pubsub = testPubSub({ clock });
    const gate = deferred();
    const reasons: unknown[] = [];
    const Room = channel()({
      join: () => gate.promise.then(() => accept(0)),
      terminate: (reason) => void reasons.push(reason),
    });
    const { client, send: sendFrames, received } = await serve({ "room:*": Room }, { joinTimeout: 5_000 }, pubsub);
    sendFrames(JOIN);
    clock.advance(4_000);
    expect(await received()).toEqual([]);
    clock.advance(3_000);
    expect(await received()).toEqual([
      ["1", "1", "room:1", "phx_reply", { status: "error", response: { reason: "join timeout" } }],
    ]);
    sendFrames(send("2", "x"));
    expect(statuses(await received())).toEqual(["2 error"]);
    expect(client.errors).toEqual([expect.any(JoinTimeout)]);
    gate.resolve();
    await quiet();
    expect(reasons).toEqual([{ error: client.errors[0] }]);
  });
});

test("a broadcast event that cannot be sent ends the channel, and not the connection", async () => {
  const pubsub = testPubSub();
  // A node with other code, on which the event goes through handleOut.
  const other = channels({
    pubsub,
    channels: { "room:*": channel()({ join: () => accept(0), handleOut: { x: (_payload, n) => noreply(n) } }) },
  });
  const topic = `room:${"é".repeat(150)}`;
  const Room = channel()({
    join: () => accept(0),
    handleIn: () => hang(),
    handleOut: { y: (_payload, n) => noreply(n) },
  });
  const { client, send: sendFrames, received } = await serve({ "room:*": Room }, {}, pubsub);
  sendFrames(["1", "1", topic, "phx_join", {}], ["2", "2", "room:2", "phx_join", {}]);
  await received();
  other.broadcast(topic, "x", Uint8Array.of(1));
  expect(statuses(await received())).toEqual(["phx_error"]);
  sendFrames([null, "3", "phoenix", "heartbeat", {}]);
  expect(statuses(await received())).toEqual(["3 ok"]);
  expect(client.errors).toEqual([expect.any(RangeError)]);
});

describe("socket", () => {
  test("refuses what is not a status, and what comes from another socket", async () => {
    const sockets: Socket[] = [];
    const refs: MessageRef[] = [];
    const Room = channel()({
      join: () => accept(0),
      handleIn: (_event, _payload, count, socket) => {
        sockets.push(socket);
        refs.push(socket.ref!);
        return noreply(count);
      },
    });
    const pubsub = testPubSub();
    const [first, second] = [await serve({ "room:*": Room }, {}, pubsub), await serve({ "room:*": Room }, {}, pubsub)];
    for (const { send: sendFrames } of [first, second]) sendFrames(JOIN, send("2", "x"));
    for (const { received } of [first, second]) await received();
    expect(() => sockets[0]!.reply(refs[0]!, "toString" as never, {})).toThrow('must be "ok" or "error"');
    expect(sockets[0]!.reply(refs[1]!, "ok", {})).toBe(false);
    expect(sockets[0]!.reply({ ...refs[0]! }, "ok", {})).toBe(false);
    expect(sockets[0]!.reply(refs[0]!, "ok", {})).toBe(true);
    expect(() => sockets[0]!.push(undefined as never, {})).toThrow("the event must be a string");
    expect(statuses(await first.received())).toEqual(["2 ok"]);
    expect(statuses(await second.received())).toEqual([]);
  });

  test("answers a message later, once the client is still joined", async () => {
    const refs: MessageRef[] = [];
    let socket!: Socket;
    const Room = channel()({
      join: (_payload, its) => {
        socket = its;
        return accept(0);
      },
      handleIn: (_event, _payload, count, its) => {
        refs.push(its.ref!);
        return noreply(count);
      },
    });
    const { send: sendFrames, received } = await serve({ "room:*": Room });
    sendFrames(JOIN, send("2", "a"), send("3", "b"));
    expect(socket.ref).toBeUndefined();
    expect(socket.reply(refs[1]!, "ok", { n: 2 })).toBe(true);
    expect(socket.reply(refs[0]!, "error", { n: 1 })).toBe(true);
    expect(statuses(await received())).toEqual(["1 ok", "3 ok", "2 error"]);
    sendFrames(["4", "4", "room:1", "phx_join", {}]);
    await received();
    expect(socket.reply(refs[0]!, "ok", {})).toBe(false);
    expect(await received()).toEqual([]);
  });

  test("sends infos to its channel, in order with messages", async () => {
    let socket!: Socket<unknown, string>;
    const Room = channel<unknown, string>()({
      join: (_payload, its) => {
        socket = its;
        its.send("joined");
        return accept([] as string[]);
      },
      handleInfo: (info, infos) => push("info", info, [...infos, info]),
    });
    const { send: sendFrames, received } = await serve({ "room:*": Room });
    sendFrames(JOIN);
    expect(await received()).toEqual([
      ["1", "1", "room:1", "phx_reply", { status: "ok", response: {} }],
      ["1", null, "room:1", "info", "joined"],
    ]);
    expect(socket.send("later")).toBe(true);
    expect(await received()).toEqual([["1", null, "room:1", "info", "later"]]);
    sendFrames(send("2", "phx_leave"));
    await received();
    expect([socket.send("too late"), socket.push("x", {}), socket.isJoined]).toEqual([false, false, false]);
  });

  test("broadcasts to the clients of its topic", async () => {
    const Room = channel()({
      join: () => accept(0),
      handleIn: (event, payload, count, socket) => {
        if (event === "all") socket.broadcast("said", payload);
        else socket.broadcastFrom("said", payload);
        return noreply(count);
      },
    });
    const { socket, ...first } = await serve({ "room:*": Room });
    const others = [await phoenixClient(socket), await phoenixClient(socket)];
    first.send(JOIN);
    others[0]!.send(["7", "7", "room:1", "phx_join", {}]);
    others[1]!.send(["7", "7", "room:2", "phx_join", {}]);
    for (const { received } of [first, ...others]) await received();
    first.send(send("2", "all", 1), send("3", "others", 2));
    socket.broadcast("room:1", "said", 3);
    const said = (payload: number) => [null, null, "room:1", "said", payload];
    expect(await first.received()).toEqual([said(1), said(3)]);
    expect(await others[0]!.received()).toEqual([said(1), said(2), said(3)]);
    expect(await others[1]!.received()).toEqual([]);
  });
});

test("handleOut receives bytes as bytes, whatever the codec of the PubSub is", async () => {
  const Room = channel()({ join: () => accept(0), handleOut: { said: (payload, n) => push("said", payload, n) } });
  const { socket, ...phoenix } = await serve({ "room:*": Room });
  phoenix.send(JOIN);
  await phoenix.received();
  socket.broadcast("room:1", "said", Uint8Array.of(0, 255));
  expect(await phoenix.received()).toEqual([[0, 1, 6, 4, ...Buffer.from("1room:1said"), 0, 255]]);
  socket.broadcast("room:1", "said", Uint8Array.of(0, 255).buffer);
  expect(await phoenix.received()).toEqual([[0, 1, 6, 4, ...Buffer.from("1room:1said"), 0, 255]]);
});

test("handleOut is called for the events that it names, and other events pass it", async () => {
  const Room = channel()({
    join: (payload) => accept(payload as { muted: boolean }),
    handleOut: {
      said: (payload, state) => (state.muted ? noreply(state) : push("said", { seen: payload }, state)),
    },
  });
  const { socket, ...loud } = await serve({ "room:*": Room });
  const muted = await phoenixClient(socket);
  loud.send(["1", "1", "room:1", "phx_join", { muted: false }]);
  muted.send(["1", "1", "room:1", "phx_join", { muted: true }]);
  await loud.received();
  await muted.received();
  socket.broadcast("room:1", "said", 1);
  socket.broadcast("room:1", "drawn", 2);
  expect(await loud.received()).toEqual([
    [null, null, "room:1", "drawn", 2],
    ["1", null, "room:1", "said", { seen: 1 }],
  ]);
  expect(await muted.received()).toEqual([[null, null, "room:1", "drawn", 2]]);
});
