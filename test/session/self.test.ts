import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import { AbortError, type CloseReason, ok, ping, push, type Self, text } from "websock-js";
import { connect } from "websock-js/testing";

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A handler that exposes its `self` and records its calls. */
const watched = (handleIn: () => unknown = () => ok(0)) => {
  const seen = { self: undefined as Self<never> | undefined, calls: [] as string[], reasons: [] as CloseReason[] };
  const handler = {
    init: (_: undefined, self: Self<never>) => {
      seen.self = self;
      return ok(0);
    },
    handleIn: (message: { readonly data: unknown }) => {
      seen.calls.push(String(message.data));
      return handleIn() as ReturnType<typeof ok<number>>;
    },
    terminate: (reason: CloseReason) => {
      seen.calls.push("terminate");
      seen.reasons.push(reason);
    },
  };
  return { seen, handler };
};

describe("self.stop", () => {
  test("closes before it returns, and has terminate called in a later tick, not on the caller's stack", async () => {
    const { seen, handler } = watched();
    const client = await connect(handler);
    expect(seen.self!.stop("kicked", { code: 4001, text: "bye", messages: text("last") })).toBe(true);
    expect(client.received).toEqual([{ opcode: "text", data: "last" }]);
    expect(seen.calls).toEqual([]);
    await tick();
    expect(seen.calls).toEqual(["terminate"]);
    expect(await client.ended).toEqual({ code: 4001, text: "bye", reason: { error: "kicked" } });
  });

  test("waits neither for a callback that never settles nor for 300 queued messages", async () => {
    const { seen, handler } = watched(() => new Promise(() => undefined));
    const client = await connect(handler, undefined, { closeTimeout: 1_000 });
    for (let i = 0; i < 300; i++) client.send(String(i));
    seen.self!.stop("normal");
    expect(await client.closed).toEqual({ code: 1000, text: "" });
    await tick();
    expect(seen.calls).toEqual(["0"]);
    client.advance(1_000);
    expect(seen.calls).toEqual(["0", "terminate"]);
  });

  test("returns false if its messages exceed maxBuffered: the end is a slow consumer's", async () => {
    const { seen, handler } = watched();
    const client = await connect(handler, undefined, { maxBuffered: 10 });
    client.stopReading();
    expect(seen.self!.push(text("123456"))).toBe(true);
    expect(seen.self!.stop("normal", { messages: text("123456") })).toBe(false);
    expect(seen.calls).toEqual([]);
    client.resumeReading();
    expect((await client.ended).code).toBe(1013);
  });

  test("decides the reason after the client has disconnected, while messages are still handled", async () => {
    let open!: () => void;
    const { seen, handler } = watched(() => new Promise((resolve) => (open = () => resolve(ok(0)))));
    const client = await connect(handler);
    client.send("1");
    client.send("2");
    client.drop();
    expect(seen.self!.push(text("nobody there"))).toBe(false);
    expect(seen.self!.stop("normal")).toBe(true);
    open();
    await client.ended;
    expect(seen.calls).toEqual(["1", "terminate"]);
    expect(seen.reasons).toEqual(["normal"]);
  });

  test("aborts the connection with abort", async () => {
    const { seen, handler } = watched();
    const client = await connect(handler);
    seen.self!.stop("kicked", { abort: true });
    expect(await client.closed).toBeUndefined();
    expect((await client.ended).reason).toEqual({ error: "kicked" });
  });
});

describe("self.push", () => {
  test("beyond maxBuffered ends the connection, with terminate in a later tick", async () => {
    const { seen, handler } = watched();
    const client = await connect(handler, undefined, { maxBuffered: 10 });
    client.stopReading();
    expect(seen.self!.push([text("123456"), text("123456"), text("never")])).toBe(false);
    expect(seen.calls).toEqual([]);
    await tick();
    expect(seen.calls).toEqual(["terminate"]);
    client.resumeReading();
    expect(client.received).toEqual([{ opcode: "text", data: "123456" }]);
  });

  test("checks a list before it sends any of it", async () => {
    const { seen, handler } = watched();
    const client = await connect(handler);
    expect(() => seen.self!.push([text("a"), ping("x".repeat(126))])).toThrow(RangeError);
    expect(client.received).toEqual([]);
  });
});

test("if the transport disconnects within self.push, the consequences follow in a later tick", async () => {
  const { seen, handler } = watched(() => new Promise(() => undefined));
  const client = await connect(handler);
  const { transport } = client;
  transport.send = () => client.drop();
  expect(seen.self!.push(text("lost"))).toBe(false);
  expect(seen.calls).toEqual([]);
  await client.ended;
  expect(seen.calls).toEqual(["terminate"]);
  expect(seen.reasons).toMatchObject([{ error: { name: "ConnectionLost" } }]);
});

test("self.stop decides although the client is found to be disconnected when its messages are sent", async () => {
  const { seen, handler } = watched();
  const client = await connect(handler);
  client.transport.send = () => client.drop();
  expect(seen.self!.stop("normal", { messages: text("lost") })).toBe(true);
  await client.ended;
  expect(seen.reasons).toEqual(["normal"]);
});

describe("self.drained", () => {
  test("resolves once at most 64 KiB are buffered", async () => {
    const { seen, handler } = watched();
    const client = await connect(handler);
    expect(await seen.self!.drained()).toBe(true);
    client.stopReading();
    seen.self!.push([text("x".repeat(65_536)), text("x")]);
    let drained: boolean | undefined;
    const waiting = seen.self!.drained().then((value) => {
      drained = value;
    });
    await tick();
    expect(drained).toBeUndefined();
    client.resumeReading();
    await waiting;
    expect(drained).toBe(true);
  });

  test.each([
    ["self.stop", (self: Self<never>) => self.stop("normal")],
    ["a loss", (_: Self<never>, drop: () => void) => drop()],
  ])("resolves with false on %s", async (_name, end) => {
    const { seen, handler } = watched();
    const client = await connect(handler);
    client.stopReading();
    seen.self!.push([text("x".repeat(65_536)), text("x")]);
    const waiting = seen.self!.drained();
    end(seen.self!, () => client.drop());
    expect(await waiting).toBe(false);
    expect(await seen.self!.drained()).toBe(false);
  });
});

describe("self.signal", () => {
  test("has the reason that terminate gets, whether it is read before or after the end", async () => {
    const { seen, handler } = watched();
    const client = await connect(handler);
    const error = new Error("broken");
    const { signal } = seen.self!;
    let aborted = 0;
    signal.addEventListener("abort", () => aborted++);
    seen.self!.stop(error);
    expect(aborted).toBe(1);
    expect(signal.reason).toBeInstanceOf(AbortError);
    expect(signal.reason).toMatchObject({ name: "AbortError", reason: { error }, cause: error });
    await client.ended;
    expect(seen.self!.signal.reason).toMatchObject({ reason: { error } });
    const late = watched();
    const other = await connect(late.handler);
    other.close(1000);
    await other.ended;
    expect(late.seen.self!.signal.reason).toMatchObject({ name: "AbortError", reason: "remote" });
  });
});

test("nothing is handled while the error of a callback is reported", async () => {
  const { seen, handler } = watched(() => {
    throw new Error("boom");
  });
  const client = await connect(handler);
  client.errors.push = () => {
    client.send("from within onError");
    return 0;
  };
  client.send("1");
  await client.ended;
  expect(seen.calls).toEqual(["1", "terminate"]);
});

test("two calls may wait for messages of the test client", async () => {
  const client = await connect(watched(() => push(text("answer"), 0)).handler);
  const both = [client.receive(), client.receive()];
  client.send("1");
  client.send("2");
  expect(await Promise.all(both)).toHaveLength(2);
});

test("one large message never pauses reading: the ping behind it is answered while it is handled", async () => {
  const { handler } = watched(() => new Promise(() => undefined));
  const client = await connect(handler);
  client.send("pending");
  client.send("x".repeat(1_000_000));
  client.ping("alive?");
  expect(await client.receive()).toMatchObject({ opcode: "pong" });
});

test("listeners of the signal run in their connection's context, also when called from another connection's", async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: string[] = [];
  const selves = new Map<string, Self<never>>();
  const other = (name: string): string => (name === "a" ? "b" : "a");
  const Stopping = {
    init: (name: string, self: Self<never>) => {
      selves.set(name, self);
      self.signal.addEventListener("abort", () => {
        seen.push(`${name} in ${storage.getStore()}`);
        selves.get(other(name))!.stop("normal");
      });
      return ok(name);
    },
    handleIn: (_message: unknown, name: string) => {
      selves.get(other(name))!.stop("normal");
      return ok(name);
    },
  };
  const [a, b] = await Promise.all(["a", "b"].map((name) => storage.run(name, () => connect(Stopping, name))));
  a!.send("stop the other one");
  await Promise.all([a!.ended, b!.ended]);
  expect(seen).toEqual(["b in b", "a in a"]);
});
