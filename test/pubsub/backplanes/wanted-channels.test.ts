/** The wanted channels of a backplane, with connections of the test. */
import { expect, test } from "vitest";
import { WantedChannels } from "../../../src/pubsub/backplanes/wanted-channels.ts";
import { nextTick } from "../../support/promises.ts";

const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `t:${i}`);

/** A connection that confirms its chunks when it is told to. */
const connection = () => {
  const chunks: (readonly [added: readonly string[], removed: readonly string[]])[] = [];
  const unconfirmed: (() => void)[] = [];
  return {
    chunks,
    sizes: () => chunks.map(([added]) => added.length),
    send: (added: readonly string[], removed: readonly string[]): Promise<void> => {
      chunks.push([added, removed]);
      return new Promise((resolve) => unconfirmed.push(resolve));
    },
    confirm: (count: number): void => {
      for (const resolve of unconfirmed.splice(0, count)) resolve();
    },
  };
};

test("at most four chunks are not confirmed, and the call resolves after the last", async () => {
  let confirmations = 0;
  const wanted = new WantedChannels(() => confirmations++);
  const { sizes, send, confirm } = connection();
  let isConfirmed = false;
  void wanted.subscribe(names(3_000)).then(() => {
    isConfirmed = true;
  });
  wanted.connected(send);
  expect(sizes()).toEqual([512]);
  for (let i = 0; i < 8; i++) await nextTick();
  expect(sizes()).toEqual([512, 512, 512, 512]);
  confirm(1);
  for (let i = 0; i < 8; i++) await nextTick();
  expect(sizes()).toEqual([512, 512, 512, 512, 512]);
  confirm(1);
  for (let i = 0; i < 8; i++) await nextTick();
  expect(sizes()).toEqual([512, 512, 512, 512, 512, 440]);
  confirm(3);
  await nextTick();
  expect([confirmations, isConfirmed]).toEqual([0, false]);
  confirm(1);
  await nextTick();
  expect([confirmations, isConfirmed]).toEqual([1, true]);
});

test("what a lost connection has not sent or not confirmed is left to the next one", async () => {
  const wanted = new WantedChannels(() => undefined);
  const [first, second] = [connection(), connection()];
  const sent = new Set<string>();
  let isConfirmed = false;
  void wanted.subscribe(names(600)).then(() => {
    isConfirmed = true;
  });
  wanted.connected(first.send, sent);
  wanted.disconnected();
  wanted.unsubscribe(["t:0", "t:599"]);
  first.confirm(1);
  for (let i = 0; i < 3; i++) await nextTick();
  expect([first.sizes(), sent.size, isConfirmed]).toEqual([[512], 512, false]);
  // The subscriptions of the first connection still exist.
  wanted.connected(second.send, sent);
  expect(second.chunks).toEqual([[names(599).slice(512), ["t:0"]]]);
  expect(sent).toEqual(new Set(names(599).slice(1)));
  second.confirm(1);
  await nextTick();
  expect(isConfirmed).toBe(true);
});

test("channels that come and go within an event-loop tick are not sent", async () => {
  const wanted = new WantedChannels(() => undefined);
  const { chunks, send, confirm } = connection();
  wanted.connected(send);
  confirm(1);
  await nextTick();
  const promise = wanted.subscribe(["a", "b"]);
  wanted.unsubscribe(["a", "never"]);
  await nextTick();
  wanted.unsubscribe(["never"]);
  await nextTick();
  expect(chunks.slice(1)).toEqual([[["b"], []]]);
  confirm(1);
  await promise;
  wanted.close();
  await wanted.subscribe(["c"]);
  expect([wanted.has("b"), wanted.has("c"), chunks.length]).toEqual([false, false, 2]);
});
