/** When what was sent to NATS counts as accepted. */
import { beforeEach, expect, it } from "vitest";
import { FlushWindow } from "../../../../src/pubsub/backplanes/nats/flush-window.ts";
import { nextTick } from "../../../support/promises.ts";

let flushes: { resolve: () => void; reject: (error: unknown) => void }[];
let settled: string[];
let window: FlushWindow;
const add = (name: string): void => window.add((accepted) => settled.push(`${name} ${accepted}`));

beforeEach(() => {
  flushes = [];
  settled = [];
  window = new FlushWindow(() => new Promise((resolve, reject) => flushes.push({ resolve, reject })));
});

it("flushes once for what is added in a tick, and again for what is added meanwhile", async () => {
  add("a");
  add("b");
  expect(flushes).toHaveLength(0);
  await nextTick();
  expect(flushes).toHaveLength(1);
  add("c");
  await nextTick();
  expect(flushes).toHaveLength(1);
  flushes[0]?.resolve();
  await nextTick();
  expect(settled).toEqual(["a true", "b true"]);
  expect(flushes).toHaveLength(2);
  flushes[1]?.resolve();
  await nextTick();
  expect(settled).toEqual(["a true", "b true", "c true"]);
  expect(flushes).toHaveLength(2);
});

it("settles with false what a rejected flush covers, and only that", async () => {
  add("a");
  await nextTick();
  add("b");
  flushes[0]?.reject(new Error("disconnected"));
  await nextTick();
  flushes[1]?.resolve();
  await nextTick();
  expect(settled).toEqual(["a false", "b true"]);
});

it("settles everything with false when the connection is lost, and once", async () => {
  add("a");
  await nextTick();
  add("b");
  window.lose();
  expect(settled).toEqual(["a false", "b false"]);
  add("c");
  await nextTick();
  expect(flushes).toHaveLength(2);
  flushes[0]?.resolve(); // says nothing about what was sent later
  await nextTick();
  expect(settled).toEqual(["a false", "b false"]);
  flushes[1]?.resolve();
  await nextTick();
  expect(settled).toEqual(["a false", "b false", "c true"]);
});

it("does not flush for what was lost in the same tick", async () => {
  add("a");
  window.lose();
  await nextTick();
  expect(flushes).toHaveLength(0);
});

it("accepts what is added while it settles", async () => {
  window.add(() => add("from within"));
  await nextTick();
  flushes[0]?.resolve();
  await nextTick();
  expect(flushes).toHaveLength(2);
  flushes[1]?.resolve();
  await nextTick();
  expect(settled).toEqual(["from within true"]);
});
