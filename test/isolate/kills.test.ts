/** A worker that ends takes its own connections with it, and no others. */
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { CallbackTimeout, HeapExceeded, type IsolateOptions, isolate, WorkerExited } from "websock-js/isolate";
import { connect, ManualClock } from "websock-js/testing";
import { command, isolated, until } from "../support/isolated.ts";

type Client = Awaited<ReturnType<ReturnType<typeof isolated>["open"]>>;

/** Exchanges messages until it is stopped. */
const exchanging = (client: Client) => {
  let [count, stopped] = [0, false];
  const finished = (async () => {
    while (!stopped) {
      command(client, "echo", count);
      expect((await client.receive()).data).toBe(String(count));
      count++;
    }
  })();
  return {
    /** Resolves when two more messages have been exchanged, of which one was sent after this call. */
    more: (): Promise<void> => {
      const before = count;
      return until(() => count >= before + 2);
    },
    stop: (): Promise<void> => {
      stopped = true;
      return finished;
    },
  };
};

/** Two workers: one for the victim, and one for a connection that exchanges messages throughout. */
const withBystander = async (options: IsolateOptions, arg?: object) => {
  const clock = new ManualClock();
  const world = isolated({ workers: 2, clock, ...options });
  const bystander = await world.open();
  const exchange = exchanging(bystander);
  const victim = world.open(arg);
  return {
    ...world,
    clock,
    exchange,
    victim,
    /** The victim has ended: checks what everybody learns, and that the worker is replaced. */
    expectKilled: async (Class: abstract new (...args: never) => Error, message: RegExp): Promise<void> => {
      const client = await victim;
      const ended = await client.ended;
      expect(ended).toMatchObject({ code: 1011, reason: { error: expect.any(Class) } });
      const error = expect.objectContaining({ message: expect.stringMatching(message) });
      expect(client.errors).toEqual([error]);
      expect(world.workerErrors).toEqual([error]);
      // `terminate` cannot run in a worker that has ended.
      expect(world.told.filter(([what]) => what === "terminated")).toEqual([]);
      expect(world.handler.stats).toMatchObject({ workers: 1, connections: [1], failures: 1, restarts: 0 });

      clock.advance(500);
      expect(world.handler.stats).toMatchObject({ workers: 2, restarts: 1 });
      const next = await world.open();
      command(next, "echo", "again");
      expect((await next.receive()).data).toBe('"again"');
      await exchange.more();
      await exchange.stop();
      expect(bystander.errors).toEqual([]);
    },
  };
};

/** A named pipe. Whoever opens it to read waits for a writer: there is one when the test has finished. */
const pipeWithoutWriter = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "websock-js-isolate-"));
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  onTestFinished(() => {
    closeSync(openSync(pipe, "r+"));
    rmSync(folder, { recursive: true });
  });
  return pipe;
};

describe("while another worker's connection exchanges messages", () => {
  test("a heap bomb", async () => {
    const { victim, expectKilled } = await withBystander({ maxHeapSize: 64 });
    command(await victim, "bomb");
    await expectKilled(HeapExceeded, /^the worker needed/);
  });

  test("an array that grows without end, whose last growth V8 would answer by aborting the process", async () => {
    const { victim, expectKilled } = await withBystander({ maxHeapSize: 64 });
    command(await victim, "growth");
    await expectKilled(HeapExceeded, /^the worker needed/);
  });

  test("Buffers, which V8 does not count", async () => {
    const { victim, expectKilled } = await withBystander({ maxHeapSize: 64 });
    command(await victim, "buffers", 100);
    await expectKilled(HeapExceeded, /needed 1\d\d MiB, more than 64 MiB/);
  });

  test("an endless loop", async () => {
    const shared = new Int32Array(new SharedArrayBuffer(4));
    const { handler, victim, clock, exchange, expectKilled } = await withBystander(
      { maxCallbackTime: 1_000 },
      { shared },
    );
    command(await victim, "loop");
    await until(() => Atomics.load(shared, 0) === 1);
    // It is terminated after three seconds at the latest, and given up five seconds later.
    for (let i = 0; i < 6 && handler.stats.failures === 0; i++) {
      clock.advance(500);
      await exchange.more();
    }
    await until(() => handler.stats.failures === 1);
    await expectKilled(CallbackTimeout, /ran for more than 1000 ms/);
  });

  test("a system call that does not return: the worker is abandoned", async () => {
    const pipe = pipeWithoutWriter();
    const shared = new Int32Array(new SharedArrayBuffer(4));
    const { handler, victim, clock, exchange, workerErrors, open } = await withBystander(
      { maxCallbackTime: 1_000 },
      { shared },
    );
    const client = await victim;
    command(client, "block", pipe);
    await until(() => Atomics.load(shared, 0) === 1);
    for (let i = 0; i < 20; i++) {
      clock.advance(500);
      await exchange.more();
    }
    expect(await client.ended).toMatchObject({ code: 1011, reason: { error: expect.any(CallbackTimeout) } });
    expect(workerErrors).toEqual([
      expect.any(CallbackTimeout),
      expect.objectContaining({
        code: "WEBSOCK_WORKER_STUCK",
        message: expect.stringMatching(/^a worker that was terminated has not exited within 5000 ms/),
      }),
    ]);
    expect(handler.stats).toMatchObject({ workers: 2, failures: 1, restarts: 1 });
    const next = await open();
    command(next, "echo", "again");
    expect((await next.receive()).data).toBe('"again"');
    await exchange.stop();
    await handler.close();
  });

  test("the same while the pool is being closed", async () => {
    const pipe = pipeWithoutWriter();
    const shared = new Int32Array(new SharedArrayBuffer(4));
    const { handler, victim, clock, exchange, workerErrors } = await withBystander(
      { maxCallbackTime: 1_000 },
      { shared },
    );
    const client = await victim;
    command(client, "block", pipe);
    await until(() => Atomics.load(shared, 0) === 1);
    await exchange.stop();
    const closed = handler.close();
    let isClosed = false;
    void closed.then(() => {
      isClosed = true;
    });
    while (!isClosed) {
      clock.advance(500);
      await new Promise(setImmediate);
    }
    expect(workerErrors).toContainEqual(expect.objectContaining({ code: "WEBSOCK_WORKER_STUCK" }));
  });

  test("process.exit()", async () => {
    const { victim, expectKilled } = await withBystander({});
    command(await victim, "exit", 3);
    await expectKilled(WorkerExited, /exited with code 3/);
  });

  test("an uncaught exception", async () => {
    const { victim, expectKilled } = await withBystander({});
    command(await victim, "uncaught", "nobody catches this");
    await expectKilled(WorkerExited, /nobody catches this/);
  });

  test("an exception that is not an object", async () => {
    const { victim, expectKilled } = await withBystander({});
    command(await victim, "uncaughtNull");
    await expectKilled(WorkerExited, /the worker ended: null/);
  });

  test("a worker that exits during init", async () => {
    const { expectKilled } = await withBystander({}, { init: "exit" });
    await expectKilled(WorkerExited, /exited with code 4/);
  });

  test("a worker that ends while an init is pending", async () => {
    const { open, handler } = isolated();
    const victim = open({ init: "never" });
    command(await open(), "exit", 5);
    const ended = await (await victim).ended;
    expect(ended).toMatchObject({ code: 1011, reason: { error: expect.any(WorkerExited) } });
    expect(handler.stats).toMatchObject({ workers: 0, failures: 1 });
  });
});

test("Buffers that are garbage do not count", async () => {
  const { open, handler } = isolated({ maxHeapSize: 64 });
  const client = await open();
  for (let i = 0; i < 20; i++) {
    command(client, "garbageBuffers", 40);
    expect((await client.receive()).data).toBe("done");
  }
  expect(handler.stats).toMatchObject({ failures: 0 });
});

test("with no worker left, connections are closed with 1013 until there is one; the wait doubles", async () => {
  const clock = new ManualClock();
  const { open, handler } = isolated({ clock });
  for (const [failures, backoff] of [100, 200, 400].entries()) {
    const client = await open();
    command(client, "exit", 1);
    await client.ended;
    expect(await (await open()).ended).toMatchObject({ code: 1013, reason: { error: { name: "NoWorker" } } });
    expect(handler.stats).toMatchObject({ workers: 0, failures: failures + 1, restarts: failures });
    clock.advance(backoff - 1);
    expect(handler.stats.workers).toBe(0);
    clock.advance(1);
    expect(handler.stats).toMatchObject({ workers: 1, restarts: failures + 1 });
  }
  expect(handler.stats.refused).toBe(3);
});

test("a module that cannot be loaded is reported, and so is each connection that waits for it", async () => {
  const errors: Error[] = [];
  const handler = isolate(new URL("file:///no/such/module.mjs"), {
    workers: 1,
    onWorkerError: (error) => errors.push(error),
  });
  onTestFinished(() => handler.close());
  const client = await connect(handler, undefined);
  expect(await client.ended).toMatchObject({ code: 1011, reason: { error: expect.any(WorkerExited) } });
  expect(errors).toEqual([expect.objectContaining({ message: expect.stringContaining("/no/such/module.mjs") })]);
});

test("the memory of workers that have ended is returned", async () => {
  const clock = new ManualClock();
  const { open } = isolated({ maxHeapSize: 96, clock });
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 6; i++) {
    const client = await open();
    command(client, "buffers", 150);
    expect(await client.ended).toMatchObject({ reason: { error: expect.any(HeapExceeded) } });
    clock.advance(60_000);
  }
  expect(process.memoryUsage().rss - before).toBeLessThan(450 * 1_048_576);
});
