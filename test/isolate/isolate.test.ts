import { describe, expect, test } from "vitest";
import { isolate } from "websock-js/isolate";
import { command, isolated, until } from "../support/isolated.ts";

const textOf = async (client: { receive(): Promise<{ data: unknown }> }): Promise<unknown> =>
  (await client.receive()).data;

describe("messages", () => {
  test("texts and bytes of every size arrive in order, and come back", async () => {
    const { open } = isolated();
    const client = await open({ greet: "hello" });
    expect(await textOf(client)).toBe("hello");
    const sizes = [0, 1, 125, 4_095, 4_096, 65_536, 1_000_000];
    for (const size of sizes) {
      command(client, "echo", "ä".repeat(size));
      client.send(new Uint8Array(size).fill(size));
    }
    for (const size of sizes) {
      expect(await textOf(client)).toBe(JSON.stringify("ä".repeat(size)));
      expect(Buffer.compare((await textOf(client)) as Uint8Array, new Uint8Array(size).fill(size))).toBe(0);
    }
  });

  test("an asynchronous handler answers one message at a time, in order", async () => {
    const { open } = isolated();
    const client = await open();
    for (let i = 0; i < 500; i++) command(client, i % 3 === 0 ? "async" : "echo", i);
    for (let i = 0; i < 500; i++) expect(await textOf(client)).toBe(String(i));
  });

  test("nested data is joined, and a part of a larger ArrayBuffer crosses alone", async () => {
    const { open } = isolated();
    const client = await open();
    command(client, "nested");
    expect(await textOf(client)).toBe("aäc");
    command(client, "slices");
    expect(await textOf(client)).toEqual(new TextEncoder().encode("the pool"));
  });

  test("infos reach handleInfo, in order with messages", async () => {
    const { open } = isolated();
    const client = await open();
    for (let i = 0; i < 10; i++) client.info({ i });
    for (let i = 0; i < 10; i++) expect(await textOf(client)).toBe(`info {"i":${i}}`);
  });

  test("the facts and the id of a connection are known in the worker", async () => {
    const { open, next } = isolated();
    const client = await open();
    command(client, "facts");
    const { id, path } = JSON.parse((await textOf(client)) as string);
    expect(path).toBe("/");
    client.close(1000);
    expect((await next("terminated"))[2]).toMatchObject({ id });
  });
});

describe("how connections end, as terminate in the worker learns it", () => {
  test.each([
    ["the client closes", (c) => c.close(4000), "remote", 4000],
    ["the client is lost", (c) => c.drop(), "ConnectionLost", undefined],
    ["the server closes", (c) => c.shutdown(1001), "shutdown", 1001],
    ["the server drains", (c) => c.shutdown(1012), "shutdown", 1012],
    ["the client is idle", (c) => Object.assign(c, { answersPings: false }).advance(120_000), "timeout", 1001],
    ["a callback throws", (c) => command(c, "throw", "no"), "RangeError", 1011],
    ["a result is invalid", (c) => command(c, "invalid"), "TypeError", 1011],
    ["stop normal", (c) => command(c, "stop", ["normal", { code: 1000, text: "" }]), "normal", 1000],
    ["stop with an error", (c) => command(c, "stop", ["kicked", { code: 4001, text: "out" }]), "String", 4001],
    ["stop with what cannot be cloned", (c) => command(c, "stopWithFunction"), "Function", 1011],
  ] as readonly (readonly [string, (c: Client) => unknown, string, number | undefined])[])(
    "%s",
    async (_, end, reason, code) => {
      const { open, next } = isolated();
      const client = await open();
      end(client);
      expect((await next("terminated"))[1]).toBe(reason);
      const ended = await client.ended;
      expect(ended.code).toBe(code);
      expect(await next("aborted")).toEqual(["aborted", "AbortError"]);
    },
  );

  test("an error keeps its class, message and stack for onError, and the name of the callback is known", async () => {
    const { open } = isolated();
    const client = await open();
    command(client, "throw", "out of range");
    await client.ended;
    const [error] = client.errors as [RangeError];
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toBe("out of range");
    expect(error.stack).toContain("isolate-handler.mjs");
  });

  test("a message before the close frame is answered, also by a handler that is slow", async () => {
    const { open } = isolated();
    const client = await open();
    for (let i = 0; i < 5; i++) command(client, "async", i);
    client.close(4000);
    for (let i = 0; i < 5; i++) expect(await textOf(client)).toBe(String(i));
    expect(await client.ended).toMatchObject({ code: 4000, reason: "remote" });
  });

  test("an init that fails ends without terminate", async () => {
    const { open, told } = isolated();
    const client = await open({ init: "throw" });
    expect(await client.ended).toMatchObject({ code: 1011 });
    expect(client.errors).toEqual([new TypeError("init failed")]);
    expect(told).toEqual([]);
  });
});

type Client = Awaited<ReturnType<ReturnType<typeof isolated>["open"]>>;

describe("values that cannot be cloned", () => {
  test("the argument of init: 1011, and an error that says so; the other connections of the tick are opened", async () => {
    const { open } = isolated();
    const clients = await Promise.all([open({ greet: "a" }), open({ callback: () => 0 }), open({ greet: "c" })]);
    expect(await textOf(clients[0]!)).toBe("a");
    expect(await textOf(clients[2]!)).toBe("c");
    expect(await clients[1]!.ended).toMatchObject({ code: 1011, reason: { error: expect.any(TypeError) } });
    expect(clients[1]!.errors).toEqual([
      expect.objectContaining({ message: expect.stringMatching(/^the argument of init cannot be passed to a worker/) }),
    ]);
  });

  test("an info: the same", async () => {
    const { open, next } = isolated();
    const [client, other] = [await open(), await open()];
    client.info(() => 0);
    other.info("hello");
    expect(await textOf(other)).toBe('info "hello"');
    expect(await client.ended).toMatchObject({ code: 1011 });
    expect(client.errors).toEqual([
      expect.objectContaining({ message: expect.stringMatching(/^an info cannot be passed to a worker/) }),
    ]);
    expect((await next("terminated"))[1]).toBe("TypeError");
  });

  test("an info that is broadcast in a worker: thrown there", async () => {
    const { open } = isolated();
    const client = await open();
    command(client, "broadcastFunction", "topic");
    expect(await client.ended).toMatchObject({ code: 1011 });
    expect(client.errors).toEqual([expect.objectContaining({ name: "DataCloneError" })]);
  });
});

describe("backpressure", () => {
  test("at most maxPending messages wait in the worker, and all are handled", async () => {
    const { open, next } = isolated({ maxPending: 8 });
    const shared = new Int32Array(new SharedArrayBuffer(4));
    const client = await open({ shared });
    command(client, "wait");
    await next("waiting");
    // With the first, 9 are in the worker. 1 023 are in the mailbox, where one more pauses reading.
    for (let i = 0; i < 1_031; i++) command(client, "echo", i);
    expect(client.transport.paused).toBe(false);
    command(client, "echo", 1_031);
    expect(client.transport.paused).toBe(true);
    Atomics.store(shared, 0, 1);
    for (let i = 0; i <= 1_031; i++) expect(await textOf(client)).toBe(String(i));
    expect(client.transport.paused).toBe(false);
  });

  test("of large messages, few wait in the worker, but always one more than is handled", async () => {
    const { open, next } = isolated();
    const shared = new Int32Array(new SharedArrayBuffer(4));
    const client = await open({ shared });
    command(client, "wait");
    await next("waiting");
    for (let i = 0; i < 6; i++) client.send(new Uint8Array(50_000));
    expect(client.transport.paused).toBe(true);
    Atomics.store(shared, 0, 1);
    for (let i = 0; i < 6; i++) expect((await client.receive()).opcode).toBe("binary");
  });

  test("a client that does not read ends as a slow consumer, and the worker learns it", async () => {
    const { open, next } = isolated();
    const client = await open();
    client.stopReading();
    command(client, "pushMuch", 300);
    expect((await next("terminated"))[1]).toBe("SlowConsumer");
    client.resumeReading();
    expect(await client.ended).toMatchObject({ code: 1013 });
  });

  test("what the client has read is no longer buffered for the worker", async () => {
    const { open } = isolated();
    const client = await open();
    for (let round = 0; round < 10; round++) {
      command(client, "pushMuch", 200);
      for (let i = 0; i < 201; i++) await client.receive();
    }
    command(client, "facts");
    await client.receive();
  });
});

describe("topics", () => {
  test("publish, push, publish reach a member in this order; members are in all threads", async () => {
    const { open, pubsub } = isolated({ workers: 2 });
    const [a, b] = [await open(), await open()];
    for (const client of [a, b]) {
      command(client, "join", "room");
      expect(await textOf(client)).toBe("joined");
    }
    expect(pubsub.topic("room").size).toBe(2);
    command(a, "ordered", "room");
    for (const expected of ["a", "b", "c", "d"]) expect(await textOf(a)).toBe(expected);
    for (const expected of ["a", "c"]) expect(await textOf(b)).toBe(expected);
    command(b, "broadcast", ["room", { from: "b" }]);
    for (const client of [a, b]) expect(await textOf(client)).toBe('info {"from":"b"}');
    a.close();
    await a.ended;
    expect(pubsub.topic("room").size).toBe(1);
  });
});

describe("isolate()", () => {
  test("refuses what is no URL, and invalid options", () => {
    expect(() => isolate("./handler.js")).toThrow(TypeError);
    const url = new URL("file:///handler.js");
    for (const options of [
      { workers: 0 },
      { maxHeapSize: 1 },
      { fullsweepAfter: 0 },
      { maxCallbackTime: Number.NaN },
      { maxPending: 1.5 },
      { nice: -1 },
      { pubsub: {} },
      { unknown: 1 },
    ])
      expect(() => isolate(url, options as never)).toThrow(TypeError);
  });

  test("distributes connections to the worker with the fewest", async () => {
    const { open, handler } = isolated({ workers: 3 });
    const clients = await Promise.all([1, 2, 3, 4].map(() => open()));
    expect(handler.stats.connections.toSorted()).toEqual([1, 1, 2]);
    for (const client of clients) client.close();
    await until(() => handler.stats.connections.every((count) => count === 0));
  });

  test("close() closes connections with 1001, runs terminate, and refuses others with 1013", async () => {
    const { open, handler, next } = isolated();
    const client = await open();
    const closed = handler.close();
    expect(await client.ended).toMatchObject({ code: 1001 });
    expect((await next("terminated"))[1]).toBe("normal");
    await closed;
    expect(await (await open()).ended).toMatchObject({ code: 1013 });
    expect(handler.stats).toMatchObject({ workers: 0, refused: 1 });
  });
});
