import { describe, expect, test } from "vitest";
import {
  type CloseReason,
  ConnectionLost,
  type ControlMessage,
  handler,
  MailboxOverflow,
  ok,
  push,
  type Self,
  SlowConsumer,
  stop,
  text,
} from "websock-js";
import { connect } from "websock-js/testing";
import { deferred, nextTick } from "../support/promises.ts";

/** Records its messages, and the reason of its end. */
const counting = () => {
  const reasons: CloseReason[] = [];
  return {
    reasons,
    init: () => ok(0),
    handleIn: (_message: unknown, count: number) => ok(count + 1),
    terminate: (reason: CloseReason) => void reasons.push(reason),
  };
};

describe("the idle clock", () => {
  test("fires at timeout, not a millisecond before", async () => {
    const client = await connect(counting(), undefined, { timeout: 1000, heartbeat: false });
    client.advance(999);
    expect(client.received).toEqual([]);
    client.advance(1);
    expect(await client.ended).toEqual({ code: 1001, text: "idle timeout", reason: "timeout" });
  });

  test("is not early when the clock ticks for another reason", async () => {
    const client = await connect(counting(), undefined, { timeout: 1000, heartbeat: 999 });
    client.answersPings = false;
    client.advance(999);
    expect(client.received.map(({ opcode }) => opcode)).toEqual(["ping"]);
    expect(client.info.call(client, 0 as never)).toBe(true);
    client.advance(1);
    expect((await client.ended).reason).toBe("timeout");
  });

  test("starts anew with any received byte", async () => {
    const client = await connect(counting(), undefined, { timeout: 1000, heartbeat: false });
    for (const act of [() => client.send("x"), () => client.ping(), () => client.pong()]) {
      client.advance(900);
      act();
    }
    client.advance(999);
    expect(await Promise.race([client.closed, "open"])).toBe("open");
    client.advance(1);
    expect(await client.closed).toEqual({ code: 1001, text: "idle timeout" });
  });

  test("never fires with Infinity, but heartbeats are sent", async () => {
    const client = await connect(counting(), undefined, { timeout: Number.POSITIVE_INFINITY, heartbeat: 1000 });
    client.answersPings = false;
    client.advance(10_000);
    expect(client.received.map(({ opcode }) => opcode)).toEqual(Array(10).fill("ping"));
    client.close(1000);
    await client.ended;
  });

  test("stands still while reading is paused", async () => {
    const gate = deferred<void>();
    const slow = { ...counting(), handleIn: (_: unknown, count: number) => gate.promise.then(() => ok(count + 1)) };
    const client = await connect(slow, undefined, { timeout: 1000, heartbeat: false });
    client.advance(400);
    for (let i = 0; i < 1024 + 1; i++) client.send("x");
    client.advance(100_000);
    expect(slow.reasons).toEqual([]);
    gate.resolve();
    while (client.transport.paused) await nextTick();
    client.advance(999);
    expect(slow.reasons).toEqual([]);
    client.advance(1);
    expect((await client.ended).reason).toBe("timeout");
  });

  test("sends no heartbeat if timeout is not larger", async () => {
    const client = await connect(counting(), undefined, { timeout: 1000, heartbeat: 1000 });
    client.advance(1000);
    expect(client.received).toEqual([]);
    expect((await client.ended).reason).toBe("timeout");
  });

  test("a pong with the heartbeat's payload is reported if no heartbeat was sent", async () => {
    const seen: string[] = [];
    const client = await connect({
      ...counting(),
      handleControl: (message: ControlMessage, count: number) => {
        seen.push(`${message.opcode} ${Buffer.from(message.data)}`);
        return ok(count);
      },
    });
    client.pong("websock heartbeat");
    expect(seen).toEqual(["pong websock heartbeat"]);
    client.advance(30_000);
    await nextTick();
    expect(seen).toHaveLength(1);
    client.close(1000);
    await client.ended;
  });

  test("a peer that answers no heartbeat is closed after timeout", async () => {
    const client = await connect(counting(), undefined, { timeout: 2500, heartbeat: 1000 });
    client.answersPings = false;
    client.advance(2499);
    expect(client.received.map(({ opcode }) => opcode)).toEqual(["ping", "ping"]);
    client.advance(1);
    expect((await client.ended).reason).toBe("timeout");
  });
});

describe("the close handshake", () => {
  test("a client that does not answer is aborted after closeTimeout; terminate does not wait for it", async () => {
    const handler = { ...counting(), handleIn: () => stop("normal", 1) };
    const client = await connect(handler, undefined, { closeTimeout: 1000 });
    client.answersClose = false;
    client.send("x");
    expect(handler.reasons).toEqual(["normal"]);
    const ended = client.ended;
    client.advance(999);
    expect(await Promise.race([ended, "open"])).toBe("open");
    client.advance(1);
    expect((await ended).code).toBe(1000);
  });

  test("time in which the process was suspended does not count", async () => {
    const client = await connect({ init: () => ok(0), handleIn: () => ok(0) }, undefined, {
      timeout: 60_000,
      heartbeat: false,
    });
    const { clock } = client;
    clock.activeNow = () => clock.now() - 50_000;
    client.advance(109_999);
    expect(client.received).toEqual([]);
    let over = false;
    void client.closed.then(() => (over = true));
    await Promise.resolve();
    expect(over).toBe(false);
    client.advance(1);
    expect((await client.ended).reason).toBe("timeout");
  });

  test("the code and text of the peer's answer can be read afterwards", async () => {
    let self: Self | undefined;
    const client = await connect({
      init: (_: undefined, me: Self) => {
        self = me;
        return ok(0);
      },
      handleIn: () => stop("normal", 0, { code: 4001 }),
    });
    client.send("x");
    await client.ended;
    expect(self!.connection.closeCode).toBe(4001);
  });

  test("an abandoned callback is reported, and its late result is dropped", async () => {
    const gate = deferred<ReturnType<typeof push<number>>>();
    const handler = { ...counting(), handleIn: () => gate.promise };
    const client = await connect(handler, undefined, { closeTimeout: 1000 });
    client.send("x");
    client.shutdown();
    client.advance(999);
    expect(handler.reasons).toEqual([]);
    client.advance(1);
    expect(handler.reasons).toEqual(["shutdown"]);
    gate.resolve(push(text("late"), 7));
    await nextTick();
    expect(client.received).toEqual([]);
    expect(handler.reasons).toEqual(["shutdown"]);
    expect(client.errors.map(String)).toEqual([expect.stringMatching(/"handleIn" did not settle/)]);
  });

  test("a result whose `then` throws is an error of its callback", async () => {
    const trap = new Proxy(
      {},
      {
        get: () => {
          throw new Error("trapped");
        },
      },
    );
    const client = await connect({ ...counting(), handleIn: () => trap as never });
    client.send("x");
    expect(await client.ended).toMatchObject({ code: 1011, reason: { error: { message: "trapped" } } });
    expect(client.errors).toMatchObject([{ message: "trapped" }]);
  });

  test("an init that throws ends without terminate", async () => {
    const handler = {
      ...counting(),
      init: (): never => {
        throw new Error("no");
      },
    };
    const client = await connect(handler);
    expect(await client.closed).toEqual({ code: 1011, text: "" });
    await client.ended;
    expect(handler.reasons).toEqual([]);
    expect(client.errors.map(String)).toEqual(["Error: no"]);
  });

  test("an init that never settles ends without terminate", async () => {
    const handler = { ...counting(), init: () => new Promise<never>(() => undefined) };
    const connecting = connect(handler, undefined, { closeTimeout: 1000, timeout: 1000, heartbeat: false });
    expect(await Promise.race([connecting, nextTick().then(() => "pending")])).toBe("pending");
    expect(handler.reasons).toEqual([]);
  });

  test("a terminate that never settles does not keep the connection from ending", async () => {
    const handler = { ...counting(), terminate: () => new Promise<void>(() => undefined) };
    const client = await connect(handler, undefined, { closeTimeout: 1000 });
    client.close(1000);
    await nextTick();
    client.advance(1000);
    expect((await client.ended).reason).toBe("remote");
  });
});

describe("terminate", () => {
  test("that aborts the connection itself is awaited nevertheless", async () => {
    const { promise, resolve } = deferred<void>();
    let isOver = false;
    const client = await connect({
      ...counting(),
      terminate: () => {
        client.drop();
        return promise;
      },
    });
    void client.ended.then(() => {
      isOver = true;
    });
    client.close(1000);
    await nextTick();
    expect(isOver).toBe(false);
    resolve();
    expect((await client.ended).reason).toBe("remote");
  });
});

describe("infos", () => {
  const collecting = () => {
    const seen: number[] = [];
    return {
      seen,
      ...handler<number>()({
        init: () => ok(0),
        handleIn: (_message, count: number) => ok(count),
        handleInfo: (info, count) => {
          seen.push(info);
          return ok(count);
        },
      }),
    };
  };

  test("self.send returns false once the end is decided", async () => {
    const client = await connect(collecting());
    expect(client.info(1)).toBe(true);
    client.close(1000);
    expect(client.info(2)).toBe(false);
  });

  test("a flood into a slow handler ends with MailboxOverflow", async () => {
    const { promise } = deferred<never>();
    const reasons: CloseReason[] = [];
    const client = await connect({
      ...handler<number>()({ init: () => ok(0), handleIn: () => ok(0), handleInfo: () => promise }),
      terminate: (reason: CloseReason) => void reasons.push(reason),
    });
    client.info(0);
    await nextTick();
    await nextTick();
    for (let i = 0; i < 65_536; i++) expect(client.info(i)).toBe(true);
    expect(client.info(-1)).toBe(false);
    expect(client.info(-2)).toBe(false);
    expect(await client.closed).toEqual({ code: 1011, text: "" });
    client.advance(5_000);
    const { reason } = await client.ended;
    expect(reason).toEqual({ error: expect.any(MailboxOverflow) });
    expect(reasons).toEqual([reason]);
  });

  test("keep their place among messages: the earlier one is handled first", async () => {
    const gate = deferred<void>();
    const order: string[] = [];
    const client = await connect(
      handler<string>()({
        init: () => ok(0),
        handleIn: async (message, n: number) => {
          order.push(String(message.data));
          if (message.data === "m1") await gate.promise;
          return ok(n);
        },
        handleInfo: (info, n) => {
          order.push(info);
          return ok(n);
        },
      }),
    );
    client.send("m1");
    client.info("i1");
    client.send("m2");
    client.info("i2");
    client.send("m3");
    gate.resolve();
    await nextTick();
    await nextTick();
    await nextTick();
    expect(order).toEqual(["m1", "i1", "m2", "i2", "m3"]);
    client.close(1000);
    await client.ended;
  });

  test("to a handler without handleInfo are dropped, and reported once", async () => {
    const client = await connect(counting());
    const info = client.info as unknown as (info: number) => boolean;
    expect(info.call(client, 1)).toBe(true);
    expect(info.call(client, 2)).toBe(true);
    expect(client.errors).toHaveLength(1);
    client.close(1000);
    await client.ended;
  });

  test("two connections that answer each other starve no others and do not recurse", async () => {
    const others = new Map<string, Self<number>>();
    let depth = 0;
    let deepest = 0;
    let rounds = 0;
    const player = (name: string, other: string) =>
      handler<number>()({
        init: (_: undefined, self) => {
          others.set(name, self);
          return ok(0);
        },
        handleIn: (message, count: number) => push(message, count),
        handleInfo: (ball, count) => {
          rounds++;
          deepest = Math.max(deepest, ++depth);
          others.get(other)?.send(ball + 1);
          depth--;
          return ok(count);
        },
      });
    const [a, b] = [await connect(player("a", "b")), await connect(player("b", "a"))];
    a.info(0);
    for (let i = 0; i < 100; i++) {
      await nextTick();
      b.send("x");
      await b.receive();
    }
    expect(rounds).toBeGreaterThan(10);
    expect(deepest).toBe(1);
    for (const client of [a, b]) client.close(1000);
    await Promise.all([a.ended, b.ended]);
  });

  test("while the client does not read, infos run and its messages wait", async () => {
    const order: string[] = [];
    const client = await connect(
      handler<string>()({
        init: () => ok(0),
        handleIn: (message, n: number) => {
          order.push(String(message.data));
          return ok(n);
        },
        handleInfo: (info, n) => {
          order.push(info);
          return push(text("x".repeat(40_000)), n);
        },
      }),
    );
    client.stopReading();
    for (const info of ["i1", "i2", "i3"]) client.info(info);
    await nextTick();
    await nextTick();
    client.send("m1");
    client.info("i4");
    await nextTick();
    await nextTick();
    expect(order).toEqual(["i1", "i2", "i3", "i4"]);
    client.resumeReading();
    expect(order).toEqual(["i1", "i2", "i3", "i4", "m1"]);
    client.close(1000);
    await client.ended;
  });
});

describe("a slow consumer", () => {
  const pusher = handler<number>()({
    init: () => ok(0),
    handleIn: (_message, n: number) => ok(n),
    handleInfo: (size, n) => push(text("x".repeat(size)), n),
  });

  test("one message is always accepted when nothing is buffered; the next one depends on what is buffered", async () => {
    const client = await connect(pusher, undefined, { maxBuffered: 1000 });
    client.stopReading();
    client.info(5000);
    await nextTick();
    await nextTick();
    expect(client.transport.buffered).toBe(5000);
    expect(client.info(1)).toBe(true);
    await nextTick();
    await nextTick();
    expect(client.info(1)).toBe(false);
    client.resumeReading();
    expect(await client.ended).toEqual({ code: 1013, text: "", reason: { error: expect.any(SlowConsumer) } });
    expect(client.received.map(({ data }) => data.length)).toEqual([5000]);
  });

  test("a message that just fits is accepted", async () => {
    const client = await connect(pusher, undefined, { maxBuffered: 1000 });
    client.stopReading();
    for (const size of [400, 600]) client.info(size);
    await nextTick();
    await nextTick();
    client.resumeReading();
    expect(client.received.map(({ data }) => data.length)).toEqual([400, 600]);
    client.close(1000);
    await client.ended;
  });

  test("a message that is refused within a list does not pause reading after the end", async () => {
    const client = await connect(
      { ...counting(), handleIn: () => push([text("x".repeat(70_000)), text("x")], 0) },
      undefined,
      { maxBuffered: 1000 },
    );
    client.stopReading();
    client.send("go");
    expect(client.transport.paused).toBe(false);
    client.resumeReading();
    expect(await client.ended).toMatchObject({ code: 1013, reason: { error: expect.any(SlowConsumer) } });
  });

  test("nothing flushed for timeout, however little is buffered; never early", async () => {
    const client = await connect(pusher, undefined, { timeout: 1000, heartbeat: false });
    client.stopReading();
    client.info(70_000);
    await nextTick();
    await nextTick();
    for (let i = 0; i < 9; i++) {
      client.advance(100);
      client.send("alive");
    }
    client.advance(99);
    expect(client.transport.buffered).toBe(70_000);
    client.advance(1);
    client.advance(5_000);
    expect((await client.ended).reason).toEqual({ error: expect.any(SlowConsumer) });
  });
});

test("a connection that is lost ends with ConnectionLost", async () => {
  const client = await connect(counting());
  client.drop();
  expect((await client.ended).reason).toEqual({ error: expect.any(ConnectionLost) });
});

test.each([
  [
    "a proxy that was revoked",
    () => {
      const { proxy, revoke } = Proxy.revocable([], {});
      revoke();
      return proxy;
    },
  ],
  [
    "an object that throws when it is asked for then",
    () => ({
      // biome-ignore lint/suspicious/noThenProperty: that is what is tried
      get then(): never {
        throw new Error("no");
      },
    }),
  ],
])("a result whose properties throw is treated like a throw: %s", async (_name, handleIn) => {
  const client = await connect({ ...counting(), handleIn: handleIn as never });
  client.send("x");
  expect(await client.ended).toMatchObject({ code: 1011, text: "" });
  expect(client.errors).toHaveLength(1);
});

test("class instances are called with their own this", async () => {
  class Counter {
    count = 0;
    init() {
      return ok(null);
    }
    handleIn() {
      return push(text(String(++this.count)), null);
    }
  }
  const client = await connect(new Counter());
  client.send("x");
  client.send("x");
  expect(client.received.map(({ data }) => data)).toEqual(["1", "2"]);
  client.close(1000);
  await client.ended;
});

test("self has a unique id, and a signal that may be read late", async () => {
  const selves: Self[] = [];
  const keeping = {
    init: (_: undefined, self: Self) => {
      selves.push(self);
      return ok(0);
    },
    handleIn: () => ok(0),
  };
  const [a, b] = [await connect(keeping), await connect(keeping)];
  expect(selves[0]!.id).not.toBe(selves[1]!.id);
  const early = selves[0]!.signal;
  expect(early.aborted).toBe(false);
  a.close(1000);
  b.close(1000);
  expect(early.aborted).toBe(true);
  expect(selves[1]!.signal.aborted).toBe(true);
  await Promise.all([a.ended, b.ended]);
});
