/** The engine in memory for tests, and the cases for backplanes themselves. */
import { describe, expect, test } from "vitest";
import { backplaneCases, MemoryEngine } from "websock-js/testing";
import type { Backplane, BackplaneConnection, BackplaneLink } from "../../../src/pubsub/backplane.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();

describe("the contract", () => {
  const engine = new MemoryEngine({ maxBytes: 100_000 });
  const cases = backplaneCases({
    backplane: () => engine.backplane(),
    interrupt: async () => {
      engine.away();
      return () => engine.up();
    },
  });
  for (const { name, run } of cases) test(name, run);
});

/** An engine whose steps run when the test says so. */
const stepped = (options: { readonly maxBytes?: number } = {}) => {
  const steps: (() => void)[] = [];
  const engine = new MemoryEngine({ ...options, defer: (run) => void steps.push(run) });
  const settle = (): void => {
    for (let step = steps.shift(); step !== undefined; step = steps.shift()) step();
  };
  const connect = (node: string) => {
    const events: unknown[] = [];
    const link: BackplaneLink = {
      node,
      receive: (channel, bytes) => events.push([channel, ...bytes]),
      up: () => events.push("up"),
      away: (_, forever = false) => events.push(forever ? "away forever" : "away"),
      warn: () => undefined,
    };
    return { events, connection: engine.backplane().connect(link) };
  };
  return { engine, settle, connect };
};

test("messages are dropped, duplicated and swapped by `onMessage`", () => {
  const { engine, settle, connect } = stepped();
  const { connection } = connect("one");
  const { events, connection: other } = connect("two");
  void other.subscribe(["a"]);
  settle();
  let kept: Uint8Array | undefined;
  engine.onMessage = ({ channel, bytes, from, to }) => {
    expect([channel, from, to]).toEqual(["a", "one", "two"]);
    if (bytes[0] === 0) return [];
    if (bytes[0] === 1) return [bytes, bytes];
    if (kept !== undefined) return [bytes, kept];
    kept = bytes;
    return [];
  };
  for (const byte of [0, 1, 2, 3]) connection.publish("a", Uint8Array.of(byte), () => undefined);
  settle();
  expect(events).toEqual(["up", ["a", 1], ["a", 1], ["a", 3], ["a", 2]]);
});

test("an engine that is frozen does nothing, and continues where it was", async () => {
  const { engine, settle, connect } = stepped();
  const { connection, events } = connect("one");
  settle();
  engine.hold();
  const settled: boolean[] = [];
  const confirmed: string[] = [];
  const promise = connection.subscribe(["a"]).then(() => confirmed.push("a"));
  connection.publish("a", Uint8Array.of(1), (ok) => settled.push(ok));
  settle();
  await Promise.resolve();
  expect([events, settled, confirmed]).toEqual([["up"], [], []]);
  engine.release("commands");
  settle();
  await Promise.resolve();
  expect([events, settled, confirmed]).toEqual([["up", ["a", 1]], [], []]);
  engine.release();
  settle();
  await promise;
  expect([settled, confirmed]).toEqual([[true], ["a"]]);
});

test("one node can be away while the others are up, and forever", () => {
  const { engine, settle, connect } = stepped();
  const [one, two] = [connect("one"), connect("two")];
  settle();
  engine.away({ node: "one" });
  two.connection.publish("a", new Uint8Array(), () => undefined);
  engine.up({ node: "one" });
  settle();
  engine.away({ node: "two", forever: true });
  engine.up();
  settle();
  expect([one.events, two.events]).toEqual([
    ["up", "away", "up"],
    ["up", "away forever"],
  ]);
});

test("the engine counts, refuses what is too large, and knows its subscribers", () => {
  const { engine, settle, connect } = stepped({ maxBytes: 2 });
  const [one, two] = [connect("one"), connect("two")];
  void one.connection.subscribe(["a", "b"]);
  void two.connection.subscribe(["a"]);
  settle();
  expect(engine.subscribers("a")).toEqual(["one", "two"]);
  two.connection.unsubscribe(["a"]);
  const settled: boolean[] = [];
  one.connection.publish("a", new Uint8Array(3), (ok) => settled.push(ok));
  one.connection.reconnect();
  settle();
  expect(settled).toEqual([false]);
  expect(engine.subscribers("a")).toEqual(["one"]);
  expect(engine.stats).toEqual({ publishes: 1, subscribes: 5, unsubscribes: 1, reconnects: 1 });
});

/** What a backplane does wrong, each found by a case. */
const MISTAKES: Readonly<Record<string, (connection: BackplaneConnection) => Partial<BackplaneConnection>>> = {
  "resolves subscribe() at once": (connection) => ({
    subscribe: async (channels) => void setImmediate(() => connection.subscribe(channels)),
  }),
  "settles twice": (connection) => ({
    publish: (channel, bytes, settled) =>
      connection.publish(channel, bytes, (ok) => {
        settled(ok);
        settled(ok);
      }),
  }),
  "never settles": (connection) => ({
    publish: (channel, bytes) => connection.publish(channel, bytes, () => undefined),
  }),
  "ignores unsubscribe()": () => ({ unsubscribe: () => undefined }),
  "ignores reconnect()": () => ({ reconnect: () => undefined }),
  "ignores close()": () => ({ close: async () => undefined }),
  "trims channels": (connection) => ({
    publish: (channel, bytes, settled) => connection.publish(channel.trim(), bytes, settled),
  }),
};

const methodsOf = (connection: BackplaneConnection): BackplaneConnection => ({
  get maxBytes() {
    return connection.maxBytes;
  },
  publish: (...args) => connection.publish(...args),
  subscribe: (channels) => connection.subscribe(channels),
  unsubscribe: (channels) => connection.unsubscribe(channels),
  reconnect: () => connection.reconnect(),
  close: () => connection.close(),
});

test.each(Object.keys(MISTAKES))("a case finds a backplane that %s", async (mistake) => {
  const engine = new MemoryEngine();
  const backplane: Backplane = {
    connect: (link) => {
      const connection = engine.backplane().connect(link);
      return { ...methodsOf(connection), ...MISTAKES[mistake]!(connection) };
    },
  };
  const cases = backplaneCases({ backplane: () => backplane, timeout: 200 });
  const outcomes = await Promise.allSettled(cases.map(({ run }) => run()));
  expect(outcomes.filter(({ status }) => status === "rejected").length).toBeGreaterThan(0);
});

test("a case closes all its nodes, also those that cannot be closed, and reports its own error first", async () => {
  const engine = new MemoryEngine();
  let [connects, closes] = [0, 0];
  const backplane: Backplane = {
    connect: (link) => {
      const connection = engine.backplane().connect(link);
      connects++;
      const close = async (): Promise<void> => {
        closes++;
        await connection.close();
        throw new Error("it cannot be closed");
      };
      return { ...methodsOf(connection), maxBytes: 0, close };
    },
  };
  const cases = backplaneCases({ backplane: () => backplane });
  const run = (name: RegExp): Promise<void> | undefined => cases.find((one) => name.test(one.name))?.run();
  await expect(run(/^connects, and is up/)).rejects.toThrow("maxBytes is 0");
  expect([connects, closes]).toEqual([1, 1]);
  await expect(run(/^delivers bytes unchanged/)).rejects.toThrow("it cannot be closed");
  expect([connects, closes]).toEqual([5, 5]);
});
