/** The metrics of `websock-js/opentelemetry`, with connections of a server. */
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { type DataMessage, handler, ok, push, type Self, stop, text, upgrade } from "websock-js";
import { instrument } from "websock-js/opentelemetry";
import { PubSub } from "websock-js/pubsub";
import { WebSocket } from "ws";
import { serve } from "../support/node-server.ts";
import { knockHttp1 } from "../support/upgrade-client.ts";
import { measured } from "./measured.ts";

const echo = {
  name: "echo",
  init: () => ok(0),
  handleIn: (message: DataMessage, count: number) => push(message, count + 1),
};

const connect = async (port: number): Promise<WebSocket> => {
  const client = new WebSocket(`ws://127.0.0.1:${port}/socket`);
  await once(client, "open");
  return client;
};

const exchange = async (client: WebSocket, ...messages: readonly (string | Uint8Array)[]): Promise<void> => {
  for (const message of messages) {
    client.send(message);
    await once(client, "message");
  }
};

test("messages of a connection that is still open are counted, and stay counted when it has closed", async () => {
  const { collect } = measured();
  const { port, sockets } = await serve((request) => upgrade(request, echo));
  const client = await connect(port);
  await exchange(client, "abc", new Uint8Array(1000), "é");

  const check = async (connections: number): Promise<void> => {
    const { read } = await collect();
    const received = { "network.io.direction": "receive", "websock.handler": "echo" };
    const sent = { ...received, "network.io.direction": "transmit" };
    expect(read("websock.server.active_connections")).toBe(connections);
    expect(read("websock.server.messages", { ...received, "websock.opcode": "text" })).toBe(2);
    expect(read("websock.server.messages", { ...sent, "websock.opcode": "binary" })).toBe(1);
    expect(read("websock.server.io", { ...received, "websock.opcode": "text" })).toBe(5);
    expect(read("websock.server.io", { ...sent, "websock.opcode": "binary" })).toBe(1000);
    expect(read("websock.server.io.compressed", received)).toBe(0);
  };
  await check(1);
  expect((await collect()).read("websock.server.callback.duration")).toBe(4);
  const over = new Promise<void>((resolve) => {
    for (const self of sockets) self.signal.addEventListener("abort", () => resolve());
  });
  client.close(4000);
  await Promise.all([once(client, "close"), over]);
  while (sockets.connections > 0) await new Promise((resolve) => setImmediate(resolve));
  await check(0);

  const { points, read } = await collect();
  expect(points("websock.server.closes")).toMatchObject([
    { value: 1, attributes: { "websock.handler": "echo", "websock.close.reason": "remote" } },
  ]);
  expect(read("websock.server.connection.duration")).toBe(1);
  expect(read("websock.server.frames")).toBe(8);
  expect(read("websock.server.slow_consumers")).toBe(0);
});

test("upgrades by outcome", async () => {
  const { collect } = measured();
  const { port } = await serve((request) => upgrade(request, echo));
  const client = await connect(port);
  client.terminate();
  const { client: refused } = await knockHttp1(port, "/", { origin: "http://elsewhere.example" });
  refused.socket.destroy();
  const { points } = await collect();
  expect(points("websock.server.upgrades").map(({ attributes, value }) => [attributes, value])).toEqual([
    [{ "websock.upgrade.outcome": "accepted", "network.protocol.version": "1.1", "websock.handler": "echo" }, 1],
    [{ "websock.upgrade.outcome": "refused", "http.response.status_code": 403, "websock.handler": "echo" }, 1],
  ]);
});

test("what waits, errors, and slow consumers", async () => {
  const { collect } = measured();
  let first: Self | undefined;
  const { port, sockets, errors } = await serve((request) =>
    upgrade(
      request,
      handler()({
        name: "stuck",
        init: (_: void, self) => {
          first ??= self;
          return ok(null);
        },
        handleIn: (message, state) => (message.data === "throw" ? Promise.reject(new RangeError("no")) : ok(state)),
      }),
      undefined,
      { maxBuffered: 1_000_000 },
    ),
  );
  const client = await connect(port);
  client.pause();
  first!.push(text("x".repeat(16_000_000)));
  const { read } = await collect();
  expect(read("websock.server.buffered")).toBeGreaterThan(0);
  first!.push(text("x".repeat(1_000_000)));
  client.resume();
  await once(client, "close");

  const failing = await connect(port);
  failing.send("throw");
  await once(failing, "close");
  while (sockets.connections > 0) await new Promise((resolve) => setImmediate(resolve));
  const after = await collect();
  expect(errors).toHaveLength(1);
  expect(after.read("websock.server.buffered")).toBe(0);
  expect(after.read("websock.server.slow_consumers", { "websock.handler": "stuck" })).toBe(1);
  expect(after.read("websock.server.closes", { "error.type": "SlowConsumer" })).toBe(1);
  expect(after.read("websock.server.closes", { "error.type": "RangeError" })).toBe(1);
  expect(after.read("websock.server.callback.errors")).toBe(1);
  expect(after.read("websock.server.errors", { "error.type": "RangeError", "websock.callback": "handleIn" })).toBe(1);
});

test("a drain", async () => {
  const { collect } = measured();
  const { port, sockets } = await serve((request) => upgrade(request, echo));
  const client = await connect(port);
  await Promise.all([sockets.drain(), once(client, "close")]);
  const { read } = await collect();
  expect(read("websock.server.drains", { "websock.close.code": 1012 })).toBe(1);
  expect(read("websock.server.closes", { "websock.close.reason": "shutdown" })).toBe(1);
});

test("statistics and events of a PubSub", async () => {
  const pubsub = new PubSub();
  const { collect } = measured({ pubsub: [pubsub] });
  const room = pubsub.topic("room");
  const { port } = await serve((request) =>
    upgrade(request, {
      init: (_: unknown, self: Self) => {
        room.subscribe(self);
        return ok(0);
      },
      handleIn: (message: DataMessage, count: number) => {
        room.publish(message);
        return ok(count);
      },
    }),
  );
  const client = await connect(port);
  await exchange(client, "to the room");
  const { read } = await collect();
  const attributes = { "websock.pubsub.node": pubsub.node };
  expect(read("websock.pubsub.topics", attributes)).toBe(1);
  expect(read("websock.pubsub.subscriptions", attributes)).toBe(1);
  expect(read("websock.pubsub.published", attributes)).toBe(1);
  expect(read("websock.pubsub.delivered", attributes)).toBe(1);
  expect(read("websock.server.messages", { "network.io.direction": "transmit", "websock.opcode": "text" })).toBe(1);
  client.terminate();
  await pubsub.close();
  expect((await collect()).read("websock.pubsub.events", { "websock.pubsub.event": "closed" })).toBeLessThanOrEqual(1);
});

describe("callback durations", () => {
  test("of many callbacks are recorded in part, and the slow ones always", async () => {
    const { collect } = measured();
    let calls = 0;
    const { port } = await serve((request) =>
      upgrade(request, {
        init: () => ok(null),
        handleIn: (message: DataMessage) => {
          if (++calls === 3000) {
            const until = performance.now() + 30;
            while (performance.now() < until);
          }
          return calls === 6000 ? push(message, null) : ok(null);
        },
      }),
    );
    const client = await connect(port);
    for (let i = 0; i < 6000; i++) client.send("x");
    await once(client, "message");
    const { points, read } = await collect();
    const { count, buckets } = points("websock.server.callback.duration")[0]!.histogram!;
    const { boundaries, counts } = buckets;
    expect(count).toBeGreaterThan(400);
    expect(count).toBeLessThan(520);
    const slow = counts.filter((_, i) => (boundaries[i - 1] ?? 0) >= 0.025);
    expect(slow.reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(1);
    expect(read("websock.server.callback.time")).toBeGreaterThan(0.03);
    // What is recorded is not recorded again.
    expect((await collect()).read("websock.server.callback.duration")).toBe(count);
    client.terminate();
  });
});

test("every metric has a unit and a name of the same kind", async () => {
  const pubsub = new PubSub();
  const { collect } = measured({ pubsub: [pubsub] });
  const { port } = await serve((request) => upgrade(request, { ...echo, handleIn: () => stop("normal", 0) }));
  const client = await connect(port);
  client.send("bye");
  await once(client, "close");
  const { descriptors } = await collect();
  expect(descriptors.length).toBeGreaterThan(15);
  for (const { name, unit } of descriptors) {
    expect(name).toMatch(/^websock\.(?:server|pubsub)\.[a-z_.]+$/);
    expect(unit).toMatch(/^(?:s|By|\{[a-z]+\})$/);
  }
});

test("after `stop`, nothing is measured, and connections have no counts", async () => {
  const { collect, stop: end } = measured();
  end();
  const { port } = await serve((request) => upgrade(request, echo));
  const client = await connect(port);
  await exchange(client, "x");
  expect((await collect()).read("websock.server.messages")).toBe(0);
  expect((await collect()).read("websock.server.upgrades")).toBe(0);
  client.terminate();
});

test("an unknown option or value is refused", () => {
  expect(() => instrument({ span: "children" } as never)).toThrow(/unknown option "span"/);
  expect(() => instrument({ spans: true as never })).toThrow(/"children", "linked" or false, not true/);
});
