import { expect, test } from "vitest";
import { Outbox } from "../../src/isolate/outbox.ts";
import { nextTick } from "../support/promises.ts";

const WIDTHS = [2, 3];
const PLAIN = 0;
const WITH_DATA = 1;

const collect = (beforePost: (outbox: Outbox) => void = () => undefined) => {
  const posts: (readonly unknown[])[] = [];
  const transferred: number[] = [];
  const refused: unknown[] = [];
  const outbox: Outbox = new Outbox(
    {
      postMessage: (records, transfers) => {
        posts.push(structuredClone(records, { transfer: [...transfers] }));
        transferred.push(transfers.length);
      },
    },
    WIDTHS,
    () => beforePost(outbox),
    (record, error) => refused.push([record[1], (error as Error).name]),
  );
  return { outbox, posts, transferred, refused };
};

test("all records of an event-loop tick cross in one post; without records, there is none", async () => {
  const { outbox, posts } = collect();
  outbox.add(PLAIN, 1);
  outbox.addMessage(WITH_DATA, 2, "text");
  expect(posts).toEqual([]);
  await nextTick();
  expect(posts).toEqual([[PLAIN, 1, WITH_DATA, 2, "text"]]);
  outbox.schedule();
  await nextTick();
  expect(posts.length).toBe(1);
});

test("what is added before the post crosses with the others", async () => {
  const { outbox, posts } = collect((box) => box.add(PLAIN, 9));
  outbox.add(PLAIN, 1);
  await nextTick();
  expect(posts[0]).toEqual([PLAIN, 1, PLAIN, 9]);
});

test("large binary data is transferred, small data is cloned", async () => {
  const { outbox, posts, transferred } = collect();
  const [small, large] = [new Uint8Array(4_095), new Uint8Array(4_096)];
  outbox.addMessage(WITH_DATA, 1, small);
  outbox.addMessage(WITH_DATA, 1, large);
  await nextTick();
  expect(posts[0]!.filter((_, i) => i % 3 === 2)).toEqual([new Uint8Array(4_095), new Uint8Array(4_096)]);
  expect(transferred).toEqual([1]);
  expect([small.length, large.length]).toEqual([4_095, 0]);
});

test("a record that cannot be cloned is refused, and the others cross", async () => {
  const { outbox, posts, refused } = collect();
  outbox.add(PLAIN, 1);
  outbox.add(WITH_DATA, 2, () => 0);
  outbox.addMessage(WITH_DATA, 3, new Uint8Array(5_000).fill(7));
  await nextTick();
  expect(posts).toEqual([
    [PLAIN, 1],
    [WITH_DATA, 3, new Uint8Array(5_000).fill(7)],
  ]);
  expect(refused).toEqual([[2, "DataCloneError"]]);
});

test("large bytes are transferred only if they are the whole of their ArrayBuffer: the rest may be in use", async () => {
  const { outbox, posts, transferred } = collect();
  const chunk = new Uint8Array(20_000).fill(1);
  outbox.addMessage(WITH_DATA, 1, chunk.subarray(0, 15_000));
  const whole = new Uint8Array(15_000);
  outbox.addMessage(WITH_DATA, 1, whole);
  await nextTick();
  expect(transferred).toEqual([1]);
  expect([chunk.length, whole.length]).toEqual([20_000, 0]);
  expect((posts[0]![2] as Uint8Array).length).toBe(15_000);
});
