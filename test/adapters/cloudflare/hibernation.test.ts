/** Tests of hibernating Durable Objects in the real runtime, in addition to the conformance suite. */
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { connectRaw } from "../../support/raw-conformance-client.ts";
import { haveRuntime } from "../../support/runtimes.ts";
import { startWorkerd, type WorkerdProgram } from "../../support/workerd.ts";

describe.skipIf(!haveRuntime("workerd"))("a hibernating Durable Object", async () => {
  let workerd: WorkerdProgram;
  if (haveRuntime("workerd")) workerd = await startWorkerd("test/hosts/workerd-room.mjs");
  afterAll(() => workerd.stop());

  const ask = async (path: string): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${workerd.port}${path}`);
    return response.text();
  };
  const sleep = async (): Promise<void> => expect(await ask("/sleep")).toBe("asleep");
  const log = async (): Promise<string[]> => JSON.parse(await ask("/log")) as string[];
  /** Waits for this number of log entries, not counting those about the object itself. */
  const logged = async (count: number): Promise<string[]> => {
    const entries: string[] = [];
    while (entries.length < count) entries.push(...(await log()).filter((entry) => entry !== "constructed"));
    return entries;
  };

  const connect = async (name: string) => {
    const client = await connectRaw(workerd.port, `/connect?name=${name}`, { "Sec-WebSocket-Protocol": "count" });
    const [, greeting] = (await client.next()) as [string, string];
    return { client, id: greeting.split(" ")[1]! };
  };

  beforeEach(async () => void (await log()));

  describe("keeps topics and addresses", () => {
    const join = async (...topics: readonly string[]) => {
      const query = new URLSearchParams(topics.map((topic) => ["topic", topic]));
      const client = await connectRaw(workerd.port, `/member?${query}`);
      const [, address] = (await client.next()) as [string, string];
      return { client, address };
    };
    const call = async ({ client }: Awaited<ReturnType<typeof join>>, ...command: readonly unknown[]) => {
      client.send("text", JSON.stringify(command));
      return (await client.next())[1];
    };

    test("while it is evicted between subscribe and publish, broadcast or stop", async () => {
      const [a, b] = [await join("news", "__proto__"), await join("news")];
      await sleep();
      expect(await ask("/publish?topic=news&data=hello")).toBe("true");
      for (const { client } of [a, b]) expect(await client.next()).toEqual(["text", "hello"]);
      await sleep();
      expect(await ask("/size?topic=news")).toBe("2 2");
      await sleep();
      await ask("/broadcast?topic=__proto__&data=1");
      expect(await a.client.next()).toEqual(["text", "info 1"]);
      await sleep();
      await ask("/kick?topic=news");
      for (const { client } of [a, b]) expect(await client.next()).toEqual(["close", 4003, ""]);
      await sleep();
      expect(await ask("/size?topic=news")).toBe("0 0");
    });

    test("after subscriptions and their ends in other lives of the object", async () => {
      const a = await join("one", "two");
      await sleep();
      expect(await call(a, "unsubscribe", "one")).toBe("done");
      await sleep();
      expect(await call(a, "subscribe", "three", { slow: "drop", maxBuffered: 100 })).toBe("done");
      await sleep();
      const sizes = await Promise.all(["one", "two", "three"].map((topic) => ask(`/size?topic=${topic}`)));
      expect(sizes).toEqual(["0 0", "1 1", "1 1"]);
      a.client.close(1000);
      expect(await a.client.next()).toEqual(["close", 1000, ""]);
      expect(await ask("/size?topic=two")).toBe("0 0");
    });

    test("an address reaches its connection, and nobody afterwards", async () => {
      const a = await join();
      await sleep();
      expect(await ask(`/sendTo?to=${a.address}`)).toBe("true");
      expect(await a.client.next()).toEqual(["text", "info hello"]);
      expect(await ask(`/sendTo?to=${a.address}x`)).toBe("false");
      a.client.close(1000);
      expect(await a.client.next()).toEqual(["close", 1000, ""]);
      expect(await ask(`/sendTo?to=${a.address}`)).toBe("false");
    });

    test("a member that wakes up publishes to others that have not, with except", async () => {
      const [a, b, c] = [await join("news"), await join("news"), await join("news")];
      await sleep();
      expect(await call(a, "publishToOthers", "news", "hello", b.address)).toBe("true");
      expect(await c.client.next()).toEqual(["text", "hello"]);
      await sleep();
      expect(await call(b, "publishToOthers", "news", "again")).toBe("true");
      for (const { client } of [a, c]) expect(await client.next()).toEqual(["text", "again"]);
      for (const { client } of [a, b, c]) client.drop();
    });

    test.each(["close", "drop"] as const)(
      "a client may %s while the object sleeps: it is no member any more in terminate, and others are told",
      async (how) => {
        const [leaving, other] = [await join("ends", "news"), await join("ends")];
        await sleep();
        leaving.client[how](1000);
        expect(await other.client.next()).toEqual(["text", "end: 1 left, in []"]);
        await sleep();
        expect(await ask("/size?topic=ends")).toBe("1 1");
        expect(await ask("/size?topic=news")).toBe("0 0");
        expect(await ask(`/sendTo?to=${leaving.address}`)).toBe("false");
        other.client.drop();
      },
    );

    test("subscribing again in another life has the effect of once; cancelling that does not end the first", async () => {
      const a = await join("news", "other");
      await sleep();
      expect(await call(a, "subscribe", "news")).toBe("done");
      expect(await call(a, "subscribeAndCancel", "news")).toBe("done");
      await sleep();
      expect(await call(a, "topicsOf")).toBe("news,other");
      expect(await ask("/size?topic=news")).toBe("1 1");
      await ask("/publish?topic=news&data=once");
      await ask("/publish?topic=other&data=end");
      for (const data of ["once", "end"]) expect(await a.client.next()).toEqual(["text", data]);
      expect(await call(a, "unsubscribe", "news")).toBe("done");
      await sleep();
      expect(await call(a, "topicsOf")).toBe("other");
      a.client.drop();
    });

    test("an address stays the same, and stops its connection", async () => {
      const a = await join();
      await sleep();
      expect(await call(a, "address")).toBe(a.address);
      await sleep();
      expect(await ask(`/stopAt?to=${a.address}`)).toBe("true");
      expect(await a.client.next()).toEqual(["close", 4004, ""]);
      expect(await ask(`/stopAt?to=${a.address}`)).toBe("false");
      await sleep();
      expect(await ask(`/stopAt?to=${a.address}`)).toBe("false");
    });

    test("topics that do not fit into the attachment are an error", async () => {
      const a = await join();
      let accepted = 0;
      let answer = "done";
      for (; answer === "done"; accepted++)
        answer = String(await call(a, "subscribe", `${accepted}`.padStart(500, "x")));
      expect(answer).toMatch(/must fit into the socket's attachment/);
      expect(accepted).toBeGreaterThan(5);
      await sleep();
      expect(await ask(`/size?topic=${"0".padStart(500, "x")}`)).toBe("1 1");
      expect(await ask(`/size?topic=${`${accepted - 1}`.padStart(500, "x")}`)).toBe("0 0");
      a.client.drop();
    });
  });

  test("a refused upgrade is counted and published, in the object and in the Worker", async () => {
    expect(await ask("/connect?name=secret")).toContain("upgrade request");
    // Without `attach`, the Worker has to catch the error itself.
    await ask("/worker");
    expect(await ask("/refused")).toBe("1");
    expect(await log()).toEqual(
      expect.arrayContaining(["refused 426 GET /connect counter", "refused 426 GET /worker noted"]),
    );
  });

  test("keeps the state of a connection through messages, infos and a close between periods of hibernation", async () => {
    const ada = await connect("ada");
    const ben = await connect("ben");
    ada.client.send("text", "one");
    expect(await ada.client.next()).toEqual(["text", `one ada 1 ${ada.id} count`]);

    await sleep();
    for (const [data, count] of [
      ["two", 2],
      ["three", 3],
    ] as const) {
      ada.client.send("text", data);
      expect(await ada.client.next()).toEqual(["text", `${data} ada ${count} ${ada.id} count`]);
    }

    await sleep();
    await ask("/announce?news=hello");
    expect(await ada.client.next()).toEqual(["text", `info hello ada 3 ${ada.id}`]);
    expect(await ben.client.next()).toEqual(["text", `info hello ben 0 ${ben.id}`]);

    await sleep();
    expect(await ask(`/send?id=${ben.id}`)).toBe("true");
    expect(await ben.client.next()).toEqual(["text", `info alone ben 0 ${ben.id}`]);
    expect(await ask("/send?id=nobody")).toBe("undefined");
    expect(await ask("/connections")).toBe("2");

    await sleep();
    ada.client.close(4001, "bye");
    expect(await ada.client.next()).toEqual(["close", 4001, ""]);

    await sleep();
    expect(await ask("/connections")).toBe("1");
    ben.client.close();
    expect(await ben.client.next()).toEqual(["close", undefined, ""]);
    await sleep();
    expect(await ask("/connections")).toBe("0");

    const seen = await log();
    expect(seen.filter((entry) => entry !== "constructed")).toEqual([
      "init ada",
      "init ben",
      "terminate ada 3 remote 4001 bye",
      "terminate ben 0 remote undefined ",
    ]);
    expect(seen.filter((entry) => entry === "constructed").length).toBeGreaterThanOrEqual(6);
  });

  test("does not hibernate while a callback is pending, and handles queued messages in order", async () => {
    const { client, id } = await connect("ada");
    client.send("text", "slow");
    client.send("text", "next");
    await sleep();
    expect(await client.next()).toEqual(["text", `slow ada 1 ${id} count`]);
    expect(await client.next()).toEqual(["text", `next ada 2 ${id} count`]);
    client.drop();
    expect(await logged(2)).toEqual([
      "init ada",
      "terminate ada 2 ConnectionLost: the connection was lost without a close frame (WEBSOCK_CONNECTION_LOST) undefined undefined",
    ]);
  });

  test.each(["big", "function"])(
    "a state that can't be kept (%s) ends with 1011, and the error says what to do",
    async (data) => {
      const { client } = await connect("ada");
      client.send("text", data);
      expect(await client.next()).toEqual(["close", 1011, ""]);
      const [, error, terminated] = await logged(3);
      expect(error).toMatch(/^error the state .* ctx\.storage/);
      expect(terminated).toMatch(/^terminate ada 0 TypeError: the state .* ctx\.storage/);
    },
  );

  test("reports a client that disconnects during hibernation as lost, once", async () => {
    const { client } = await connect("ada");
    await sleep();
    client.drop();
    expect(await logged(2)).toEqual([
      "init ada",
      "terminate ada 0 ConnectionLost: the connection was lost without a close frame (WEBSOCK_CONNECTION_LOST) undefined undefined",
    ]);
    await sleep();
    expect(await ask("/connections")).toBe("0");
  });

  test("refuses a handler that attach() did not receive before it accepts the connection", async () => {
    const client = new WebSocket(`ws://127.0.0.1:${workerd.port}/unknown`);
    const error = await new Promise<Error>((resolve) => client.once("error", resolve));
    expect(error.message).toContain("500");
  });

  test("leaves other sockets to the object's own methods, and drains its own after hibernation", async () => {
    const foreign = await connectRaw(workerd.port, "/foreign");
    const { client } = await connect("ada");
    await sleep();
    foreign.send("text", "hi");
    expect(await foreign.next()).toEqual(["text", "foreign hi"]);
    await sleep();
    await ask("/drain");
    expect(await client.next()).toEqual(["close", 1012, ""]);
    expect(await logged(2)).toEqual(["init ada", "terminate ada 0 shutdown undefined undefined"]);
    foreign.drop();
  });
});

describe.skipIf(!haveRuntime("workerd"))("a Worker", async () => {
  let workerd: WorkerdProgram;
  if (haveRuntime("workerd")) workerd = await startWorkerd("test/hosts/workerd-room.mjs");
  afterAll(() => workerd.stop());

  test("handles infos from other requests, which end before the connection", async () => {
    const ask = async (path: string): Promise<string> =>
      (await fetch(`http://127.0.0.1:${workerd.port}${path}`)).text();
    const client = await connectRaw(workerd.port, "/worker");
    const seen: string[] = [];
    for (const [i, data] of ["1", "2", "3"].entries()) {
      client.send("text", data);
      expect(await client.next()).toEqual(["text", data]);
      expect(await ask("/notify")).toBe("true");
      while (seen.length <= i) seen.push(...(JSON.parse(await ask("/log")) as string[]));
    }
    expect(seen).toEqual(["info from elsewhere 1", "info from elsewhere 2", "info from elsewhere 3"]);
    client.close(1000);
    expect(await client.next()).toEqual(["close", 1000, ""]);
    while (seen.length < 4) seen.push(...(JSON.parse(await ask("/log")) as string[]));
    expect(seen[3]).toBe("terminate remote");
    expect(await ask("/notify")).toBe("false");
  });
});
