import { describe, expect, test } from "vitest";
import { type HandleResult, handler, ok, push, type Self, stop, text } from "websock-js";
import { connect, type TestClient } from "websock-js/testing";
import { nextTick } from "../support/promises.ts";
import { failOnUncaught } from "../support/uncaught.ts";

failOnUncaught();

const texts = ({ received }: { received: TestClient["received"] }): unknown[] => received.map(({ data }) => data);

describe("settled resolves when", () => {
  test("every message has been handled, one callback after the other, whatever they await", async () => {
    const client = await connect({
      init: () => ok(0),
      handleIn: async ({ data }, count: number) => {
        for (let i = 0; i < 5; i++) await (i % 2 === 0 ? nextTick() : undefined);
        return push(text(`${data}${count}`), count + 1);
      },
    });
    for (const message of ["a", "b", "c", "d"]) client.send(message);
    expect(client.received).toEqual([]);
    await client.settled();
    expect(texts(client)).toEqual(["a0", "b1", "c2", "d3"]);
  });

  test("infos have been handled, and those that they send in turn", async () => {
    const client = await connect(
      handler<number>()({
        init: () => ok(undefined),
        handleIn: (_message, state, self) => {
          self.send(3);
          return ok(state);
        },
        handleInfo: async (info, state, self) => {
          await nextTick();
          if (info > 0) self.send(info - 1);
          return push(text(String(info)), state);
        },
      }),
    );
    client.send("go");
    await client.settled();
    expect(texts(client)).toEqual(["3", "2", "1", "0"]);
    client.info(0);
    await client.settled();
    expect(texts(client)).toEqual(["3", "2", "1", "0", "0"]);
  });

  test("there is nothing to wait for", async () => {
    const client = await connect({ init: () => ok(0), handleIn: (_message, state: number) => ok(state) });
    await client.settled();
    client.send("hello");
    await client.settled();
    expect(client.received).toEqual([]);
  });

  test("init is done, where nobody has waited for it", async () => {
    let open: (result: HandleResult<number>) => void = () => undefined;
    const connecting = connect({
      init: () => new Promise<HandleResult<number>>((resolve) => (open = resolve)),
      handleIn: (message, count: number) => push(message, count),
    });
    open(push(text("hello"), 0));
    const client = await connecting;
    await client.settled();
    expect(texts(client)).toEqual(["hello"]);
  });

  test("pings are answered, and handleControl is done", async () => {
    const client = await connect({
      init: () => ok(0),
      handleIn: (_message, state: number) => ok(state),
      handleControl: async ({ opcode }, state: number) => {
        await nextTick();
        return push(text(opcode), state);
      },
    });
    client.ping("x");
    await client.settled();
    expect(client.received.map(({ opcode }) => opcode)).toEqual(["pong", "text"]);
  });

  test("a callback has failed", async () => {
    const client = await connect({
      init: () => ok(0),
      handleIn: async () => {
        await nextTick();
        throw new Error("no");
      },
    });
    client.send("x");
    await client.settled();
    expect(client.errors).toEqual([new Error("no")]);
    expect(await client.ended).toMatchObject({ code: 1011 });
  });

  test("terminate is done", async () => {
    let done = false;
    const client = await connect({
      init: () => ok(0),
      handleIn: (_message, state: number) => stop("normal", state),
      terminate: async () => {
        await nextTick();
        await nextTick();
        done = true;
      },
    });
    client.send("bye");
    await client.settled();
    expect({ done, ...(await client.ended) }).toEqual({ done: true, code: 1000, text: "", reason: "normal" });
  });

  test("messages are held back because the client does not read", async () => {
    const client = await connect({
      init: () => ok(0),
      handleIn: (_message, count: number) => push(text("x".repeat(70_000)), count + 1),
    });
    client.stopReading();
    for (let i = 0; i < 3; i++) client.send("more");
    await client.settled();
    expect(client.received).toHaveLength(0);
    client.resumeReading();
    await client.settled();
    expect(client.received).toHaveLength(3);
  });

  test("a callback that never settles has been abandoned", async () => {
    const client = await connect({
      init: () => ok(0),
      handleIn: (): Promise<HandleResult<number>> => new Promise(() => undefined),
    });
    client.send("x");
    const settled = client.settled().then(() => "settled");
    expect(await Promise.race([settled, nextTick().then(() => "pending")])).toBe("pending");
    client.drop();
    client.advance(5_000);
    expect(await settled).toBe("settled");
    expect(await client.ended).toMatchObject({ code: undefined });
  });

  test("what another connection has sent here has been handled, once that one has settled", async () => {
    const members = new Set<Self<string>>();
    const Room = handler<string>()({
      init: (_arg: undefined, self) => {
        members.add(self);
        return ok(undefined);
      },
      handleIn: async ({ data }, state) => {
        await nextTick();
        for (const member of members) member.send(String(data));
        return ok(state);
      },
      handleInfo: (info, state) => push(text(info), state),
    });
    const [ada, ben] = await Promise.all([connect(Room), connect(Room)]);
    ada!.send("hello");
    await ada!.settled();
    await ben!.settled();
    expect([texts(ada!), texts(ben!)]).toEqual([["hello"], ["hello"]]);
  });
});

test("a callback's thenable is asked once", async () => {
  let asked = 0;
  const client = await connect({
    init: () => ok(0),
    handleIn: (message, count: number) =>
      ({
        // biome-ignore lint/suspicious/noThenProperty: a query builder's is one
        then: (resolve: (result: HandleResult<number>) => void) => {
          asked++;
          resolve(push(message, count));
        },
      }) as unknown as Promise<HandleResult<number>>,
  });
  client.send("x");
  await client.settled();
  expect([asked, texts(client)]).toEqual([1, ["x"]]);
});

test("callbacks are called on the handler, as on a server", async () => {
  class Counter {
    private count = 0;
    init(): HandleResult<undefined> {
      return ok(undefined);
    }
    handleIn(): HandleResult<undefined> {
      this.count++;
      return push(text(String(this.count)), undefined);
    }
  }
  const client = await connect(new Counter());
  client.send("x");
  await client.settled();
  expect(texts(client)).toEqual(["1"]);
});
