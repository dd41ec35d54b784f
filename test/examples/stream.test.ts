/** The streaming example, without a server. */
import { expect, onTestFinished, test, vi } from "vitest";
import { connect } from "websock-js/testing";
import * as Stream from "../../examples/stream/stream.ts";
import { deferred, nextTick } from "../support/promises.ts";

/** A source that counts what it has produced. `ended` resolves when it has ended. */
const counting = () => {
  const ended = deferred();
  const count = { produced: 0 };
  const source: Stream.Source = async function* (signal) {
    try {
      while (!signal.aborted) {
        yield { n: ++count.produced, value: "#".repeat(1_000) };
        await nextTick();
      }
    } finally {
      ended.resolve();
    }
  };
  return { source, count, ended: ended.promise };
};

const ticks = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await nextTick();
};

test("a client that stops reading pauses the source, and receives everything when it reads again", async () => {
  const { source, count } = counting();
  const client = await connect(Stream, source);
  client.send("start");
  await ticks(10);
  client.stopReading();
  await ticks(500);
  const { produced } = count;
  // 64 KiB may be buffered.
  expect(produced).toBeLessThan(100);
  await ticks(100);
  expect(count.produced).toBe(produced);
  client.resumeReading();
  await ticks(100);
  expect(count.produced).toBeGreaterThan(produced);
  client.send("stop");
  const numbers = client.received.map(({ data }) => JSON.parse(String(data)).n);
  expect(numbers).toEqual(numbers.map((_, i) => i + 1));
});

test('"stop" cancels the stream, and "start" begins another one', async () => {
  const { source, count, ended } = counting();
  const client = await connect(Stream, source);
  client.send("start");
  await ticks(10);
  client.send("stop");
  await ended;
  const { produced } = count;
  await ticks(10);
  expect(count.produced).toBe(produced);
  client.send("start");
  await ticks(10);
  expect(count.produced).toBeGreaterThan(produced);
  client.drop();
});

test.each(["drop", "close"] as const)("the source ends with the connection: %s", async (how) => {
  const { source, ended } = counting();
  const client = await connect(Stream, source);
  client.send("start");
  await ticks(5);
  client[how]();
  await ended;
});

test("the source ends with the connection of a client that has stopped reading", async () => {
  const { source, count, ended } = counting();
  const client = await connect(Stream, source);
  client.stopReading();
  client.send("start");
  await ticks(500);
  const { produced } = count;
  client.drop();
  await ended;
  expect(count.produced).toBe(produced);
});

test("a source that rejects when it is cancelled does not end the connection", async () => {
  const ended = deferred();
  const pending: Stream.Source = async function* (signal) {
    try {
      yield 1;
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    } finally {
      ended.resolve();
    }
  };
  const client = await connect(Stream, pending);
  client.send("start");
  await ticks(5);
  client.send("stop");
  await ended.promise;
  await ticks(5);
  client.send("start");
  await ticks(5);
  expect(client.received.map(({ data }) => data)).toEqual(["1", "1"]);
  client.drop();
});

test("an error of the source is logged, and closes the connection", async () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
  onTestFinished(() => log.mockRestore());
  const failing: Stream.Source = async function* () {
    yield 1;
    throw new Error("no more");
  };
  const client = await connect(Stream, failing);
  client.send("start");
  expect(await client.ended).toMatchObject({ code: 1011, reason: { error: new Error("no more") } });
  expect(log.mock.calls).toEqual([[new Error("no more")]]);
});

test("any other message closes the connection", async () => {
  const client = await connect(Stream, counting().source);
  client.send("begin");
  expect((await client.ended).code).toBe(4000);
});
