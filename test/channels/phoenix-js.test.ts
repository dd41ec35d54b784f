/** The official client, phoenix.js, against one node, and against two nodes with Redis. */
import { once } from "node:events";
import type http from "node:http";
import {
  type Channel as ClientChannel,
  Presence as ClientPresence,
  type Push,
  Socket,
  type SocketOptions,
} from "phoenix";
import { createClient } from "redis";
import { describe, expect, onTestFinished, test } from "vitest";
import { upgrade } from "websock-js";
import {
  accept,
  type ChannelFor,
  type Channels,
  channel,
  channels,
  type EndReason,
  type JoinResult,
  JoinTimeout,
  noreply,
  push,
  refuse,
  reply,
  stop,
} from "websock-js/channels";
import type { AttachOptions } from "websock-js/node";
import { Presence, PubSub } from "websock-js/pubsub";
import { redisBackplane } from "websock-js/pubsub/redis";
import { ManualClock } from "websock-js/testing";
import { WebSocket } from "ws";
import { type Served, serve } from "../support/node-server.ts";
import { deferred, nextTick } from "../support/promises.ts";
import { haveRedis, startRedis } from "../support/redis-server.ts";
import { startProxy } from "../support/tcp-proxy.ts";

interface User {
  readonly name: string;
}

interface Node {
  readonly url: string;
  readonly served: Served;
  readonly socket: Channels<http.IncomingMessage>;
}

const makeRoom = (pubsub: PubSub): ChannelFor<User> => {
  const presence = new Presence<{ name: string; mood?: string }>(pubsub);
  return channel<User>()({
    presence,
    join: (payload, { topic, shared, self }) => {
      if (topic === "room:secret") return refuse("unauthorized");
      presence.track(self, topic, shared.name, { name: shared.name });
      return accept(0, { payload, name: shared.name });
    },
    handleIn: {
      add: (n, total) => reply("ok", { total: total + Number(n) }, total + Number(n)),
      fail: (_payload, total) => reply("error", { reason: "no" }, total),
      hang: (_payload, total) => noreply(total),
      say: (payload, total, socket) => {
        socket.broadcast("said", payload);
        return noreply(total);
      },
      whisper: (payload, total, socket) => {
        socket.broadcastFrom("said", payload);
        return noreply(total);
      },
      back: (payload, total) => push("back", payload, total),
      bytes: (payload, total) =>
        reply(
          "ok",
          (payload as Uint8Array).map((byte) => byte + 1),
          total,
        ),
      mood: (mood, total, { self, topic, shared }) => {
        presence.update(self, topic, shared.name, (meta) => ({ ...meta, mood: String(mood) }));
        return reply("ok", {}, total);
      },
      stop: (_payload, total) => stop("normal", total),
      throw: () => {
        throw new Error("expected");
      },
    },
  });
};

const startNode = async (
  pubsub = new PubSub(),
  room = makeRoom(pubsub),
  options: AttachOptions = {},
): Promise<Node> => {
  const socket = channels<http.IncomingMessage, User>({
    pubsub,
    connect: ({ name = "" }, { authToken }) => {
      if (name === "") return refuse("no name");
      return accept({ name: authToken === undefined ? name : `${name} ${authToken.length}` });
    },
    id: ({ name }) => `user:${name}`,
    channels: { "room:*": room },
  });
  const served = await serve(async (req) => upgrade(req, socket, await socket.connect(req), socket.options), options);
  return { url: `ws://127.0.0.1:${served.port}/socket`, served, socket };
};

const startNodes = async (): Promise<readonly [Node, Node]> => {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  const node = async (): Promise<Node> => {
    const client = createClient({ url: redis.url });
    client.on("error", () => undefined);
    void client.connect();
    const pubsub = new PubSub({ backplane: redisBackplane({ client, prefix: "channels" }) });
    onTestFinished(async () => {
      await pubsub.close();
      client.destroy();
    });
    while (pubsub.status !== "up") await nextTick();
    return startNode(pubsub);
  };
  return [await node(), await node()];
};

/** A `WebSocket` with the interface of browsers, for phoenix.js. */
const connect = (url: string, name: string, options: SocketOptions = {}): Socket => {
  const socket = new Socket(url, {
    transport: WebSocket,
    params: { name },
    reconnectAfterMs: () => 10,
    rejoinAfterMs: () => 10,
    ...options,
  });
  onTestFinished(() => new Promise<void>((resolve) => socket.disconnect(resolve)));
  socket.connect();
  return socket;
};

type Outcome = readonly [status: string, response: unknown];

const outcomeOf = (its: Push): Promise<Outcome> =>
  new Promise((resolve) => {
    for (const status of ["ok", "error", "timeout"] as const)
      its.receive(status, (response) => resolve([status, response]));
  });

const join = async (
  socket: Socket,
  topic: string,
  payload: object = {},
): Promise<{ room: ClientChannel; outcome: Outcome }> => {
  const room = socket.channel(topic, payload);
  return { room, outcome: await outcomeOf(room.join()) };
};

/** Collects events, so that a test can wait for the next one. */
const events = (room: ClientChannel, event: string) => {
  const waiting: unknown[] = [];
  let wake = (): void => undefined;
  room.on(event, (payload) => {
    waiting.push(payload);
    wake();
  });
  return async (): Promise<unknown> => {
    while (waiting.length === 0)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    return waiting.shift();
  };
};

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await nextTick();
};

/** Who is in the room, as phoenix.js sees it: names and moods. */
const peopleIn = (presence: ClientPresence<{ name: string; mood?: string }>): string[] =>
  Object.values(presence.state)
    .flatMap(({ metas }) => metas.map(({ name, mood }) => (mood === undefined ? name : `${name} ${mood}`)))
    .sort();

const SETUPS: readonly (readonly [string, () => Promise<readonly [Node, Node]>])[] = [
  ["one node", async () => Array(2).fill(await startNode()) as [Node, Node]],
  ...(haveRedis() ? ([["two nodes with Redis", startNodes]] as const) : []),
];

describe.each(SETUPS)("phoenix.js on %s", (_name, start) => {
  test("joins, and is refused", async () => {
    const [{ url }] = await start();
    const socket = connect(url, "ada");
    expect((await join(socket, "room:1", { a: 1 })).outcome).toEqual(["ok", { payload: { a: 1 }, name: "ada" }]);
    const secret = socket.channel("room:secret");
    expect(await outcomeOf(secret.join())).toEqual(["error", { reason: "unauthorized" }]);
    secret.leave();
    const hall = socket.channel("hall");
    expect(await outcomeOf(hall.join())).toEqual(["error", { reason: "unmatched topic" }]);
    hall.leave();
    expect(await new Promise((resolve) => socket.ping(resolve))).toBeTypeOf("number");
  });

  test("pushes: ok, error, timeout, an event back, and bytes", async () => {
    const [{ url }] = await start();
    const { room } = await join(connect(url, "ada"), "room:1");
    const back = events(room, "back");
    expect(await outcomeOf(room.push("add", 2))).toEqual(["ok", { total: 2 }]);
    expect(await outcomeOf(room.push("add", 3))).toEqual(["ok", { total: 5 }]);
    expect(await outcomeOf(room.push("fail", {}))).toEqual(["error", { reason: "no" }]);
    expect((await outcomeOf(room.push("hang", {}, 20)))[0]).toBe("timeout");
    room.push("back", { b: 1 });
    expect(await back()).toEqual({ b: 1 });
    const [status, bytes] = await outcomeOf(room.push("bytes", Uint8Array.of(1, 2).buffer));
    expect([status, [...new Uint8Array(bytes as ArrayBuffer)]]).toEqual(["ok", [2, 3]]);
    room.push("back", Uint8Array.of(7).buffer);
    expect([...new Uint8Array((await back()) as ArrayBuffer)]).toEqual([7]);
  });

  test("broadcasts, also bytes, and also from outside a connection", async () => {
    const [first, second] = await start();
    const ada = await join(connect(first.url, "ada"), "room:1");
    const bob = await join(connect(second.url, "bob"), "room:1");
    const [toAda, toBob] = [events(ada.room, "said"), events(bob.room, "said")];
    ada.room.push("say", "to all");
    expect([await toAda(), await toBob()]).toEqual(["to all", "to all"]);
    ada.room.push("whisper", "to others");
    expect(await toBob()).toBe("to others");
    bob.room.push("say", Uint8Array.of(1).buffer);
    for (const next of [toAda, toBob]) expect([...new Uint8Array((await next()) as ArrayBuffer)]).toEqual([1]);
    first.socket.broadcast("room:1", "said", "from outside");
    expect([await toAda(), await toBob()]).toEqual(["from outside", "from outside"]);
  });

  test("leaves, and is closed when the channel stops", async () => {
    const [{ url }] = await start();
    const socket = connect(url, "ada");
    const { room } = await join(socket, "room:1");
    expect((await outcomeOf(room.leave()))[0]).toBe("ok");
    await until(() => room.state === "closed");
    const again = await join(socket, "room:1");
    again.room.push("stop", {});
    await until(() => again.room.state === "closed");
  });

  test("joins again after a crash of the channel, and after a loss of the connection", async () => {
    const [{ url, served }] = await start();
    const socket = connect(url, "ada");
    const { room } = await join(socket, "room:1");
    await outcomeOf(room.push("add", 2));
    room.push("throw", {});
    await until(() => room.state === "errored");
    await until(() => room.state === "joined");
    expect(served.errors).toEqual([new Error("expected")]);
    expect(await outcomeOf(room.push("add", 3))).toEqual(["ok", { total: 3 }]);
    for (const accepted of served.accepted) accepted.resetAndDestroy();
    await until(() => room.state === "errored");
    await until(() => room.state === "joined");
    expect(await outcomeOf(room.push("add", 4))).toEqual(["ok", { total: 4 }]);
  });

  test("disconnect closes the connections of a user on all nodes", async () => {
    const [first, second] = await start();
    const sockets = [connect(first.url, "ada"), connect(second.url, "ada"), connect(second.url, "bob")];
    const closes = [0, 0, 0];
    for (const [i, socket] of sockets.entries()) {
      socket.onClose(() => closes[i]!++);
      await join(socket, "room:1");
    }
    first.socket.disconnect("user:ada");
    await until(() => closes[0] === 1 && closes[1] === 1);
    await until(() => sockets.every((socket) => socket.isConnected()));
    expect(closes[2]).toBe(0);
  });

  test("presence: join, update and leave", async () => {
    const nodes = await start();
    const sockets = nodes.map(({ url }, i) => connect(url, ["ada", "bob"][i]!));
    const rooms = sockets.map((socket) => socket.channel("room:1"));
    const presences = rooms.map((room) => new ClientPresence<{ name: string; mood?: string }>(room));
    const all = (...people: string[]) =>
      until(() => presences.every((its) => String(peopleIn(its)) === String(people)));
    await outcomeOf(rooms[0]!.join());
    await until(() => String(peopleIn(presences[0]!)) === "ada");
    await outcomeOf(rooms[1]!.join());
    await all("ada", "bob");
    rooms[0]!.push("mood", "glad");
    await all("ada glad", "bob");
    rooms[1]!.push("mood", "tired");
    await all("ada glad", "bob tired");
    rooms[1]!.leave();
    await until(() => String(peopleIn(presences[0]!)) === "ada glad");
  });
});

test("a token of 6 000 characters arrives, and is not in the URL", async () => {
  const { url, served } = await startNode();
  const urls: unknown[] = [];
  served.server.prependListener("request", (req) => urls.push(req.url));
  const { outcome } = await join(connect(url, "ada", { authToken: "x".repeat(6_000) }), "room:1");
  expect(outcome).toEqual(["ok", { payload: {}, name: "ada 6000" }]);
  expect(urls).toEqual(["/socket/websocket?name=ada&vsn=2.0.0"]);
});

test.each<[string, { vsn?: string; params?: object }]>([
  ["version 1", { vsn: "1.0.0" }],
  ["a client without a name", { params: {} }],
])("%s is refused with 403, and tries again with growing delays", async (_name, options) => {
  const { url, served } = await startNode();
  const tries: number[] = [];
  const socket = connect(url, "ada", {
    ...options,
    reconnectAfterMs: (its) => {
      tries.push(its);
      return 10;
    },
  });
  await until(() => tries.length === 3);
  expect(tries).toEqual([1, 2, 3]);
  expect(socket.isConnected()).toBe(false);
  const search = new URLSearchParams({
    name: "ada",
    vsn: "2.0.0",
    ...options.params,
    ...(options.vsn && { vsn: options.vsn }),
  });
  if (options.params) search.delete("name");
  const [error] = await once(new WebSocket(`${url}/websocket?${search}`), "error");
  expect(String(error)).toContain("403");
  expect(served.errors).toEqual([]);
});

describe("a join that takes long", () => {
  /** Its first join settles when the test wants, and all others immediately. */
  const startSlowNode = async () => {
    const clock = new ManualClock();
    const first = deferred<JoinResult<string>>();
    const joins: string[] = [];
    const ends: [EndReason, string][] = [];
    const Room = channel<User>()({
      join: (): JoinResult<string> | Promise<JoinResult<string>> => {
        const name = `join ${joins.length + 1}`;
        joins.push(name);
        return joins.length === 1 ? first.promise : accept(name);
      },
      handleIn: { name: (_payload, name) => reply("ok", { name }, name) },
      terminate: (reason, name) => void ends.push([reason, name]),
    });
    const { url } = await startNode(new PubSub({ clock }), Room);
    return { clock, room: connect(url, "ada").channel("room:1"), first, joins, ends };
  };

  test("is refused after joinTimeout, and the client joins again", async () => {
    const { clock, room, first, joins, ends } = await startSlowNode();
    const outcome = outcomeOf(room.join());
    await until(() => joins.length === 1);
    clock.advance(7_999);
    expect(room.state).toBe("joining");
    clock.advance(1);
    expect(await outcome).toEqual(["error", { reason: "join timeout" }]);
    first.resolve(accept("late"));
    await until(() => room.state === "joined");
    expect(await outcomeOf(room.push("name", {}))).toEqual(["ok", { name: "join 2" }]);
    expect(ends).toEqual([[{ error: expect.any(JoinTimeout) }, "late"]]);
  });

  test("that never settles holds up the next join for joinTimeout at most", async () => {
    const { clock, room, joins, ends } = await startSlowNode();
    const outcome = outcomeOf(room.join());
    await until(() => joins.length === 1);
    clock.advance(8_000);
    expect((await outcome)[0]).toBe("error");
    let waited = 0;
    for (; joins.length === 1; waited += 100) {
      clock.advance(100);
      await nextTick();
    }
    // At least, because the next join arrives when the client has sent it.
    expect(waited).toBeGreaterThanOrEqual(8_000);
    await until(() => room.state === "joined");
    expect(await outcomeOf(room.push("name", {}))).toEqual(["ok", { name: "join 2" }]);
    expect(ends).toEqual([]);
  });

  test("for which the client does not wait is left, and the client joins again", async () => {
    const { room, first, joins, ends } = await startSlowNode();
    const outcome = outcomeOf(room.join(50));
    await until(() => joins.length === 1);
    expect((await outcome)[0]).toBe("timeout");
    await until(() => room.state === "joining");
    expect(ends).toEqual([]);
    first.resolve(accept("late"));
    await until(() => room.state === "joined");
    expect(ends[0]).toEqual(["left", "late"]);
  });
});

test("drain closes connections in batches with 1012, and each batch joins again on another node", async () => {
  const clock = new ManualClock();
  const [old, next] = [await startNode(new PubSub(), undefined, { clock }), await startNode()];
  await using proxy = await startProxy(old.served.port);
  const codes: number[] = [];
  const rooms: ClientChannel[] = [];
  for (const name of ["ada", "bob", "eve", "joe", "sue"]) {
    const socket = connect(`ws://127.0.0.1:${proxy.port}/socket`, name);
    socket.onClose(({ code }) => codes.push(code));
    rooms.push((await join(socket, "room:1")).room);
  }
  proxy.upstream(next.served.port);
  const drained = old.served.sockets.drain({ batch: 2, interval: 1_000 });
  for (const moved of [2, 4, 5]) {
    await until(() => next.served.sockets.connections === moved && rooms.every(({ state }) => state === "joined"));
    expect([...old.served.sockets]).toHaveLength(rooms.length - moved);
    clock.advance(999);
    expect([...old.served.sockets]).toHaveLength(rooms.length - moved);
    clock.advance(1);
  }
  await drained;
  expect(codes).toEqual([1012, 1012, 1012, 1012, 1012]);
  expect(old.served.errors).toEqual([]);
});
