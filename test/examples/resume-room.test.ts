/** The room of the example `resume`, without servers: on a store in memory. */
import { expect, test, vi } from "vitest";
import type { PubSub } from "websock-js/pubsub";
import { connect, type TestClient, testPubSub } from "websock-js/testing";
import * as Room from "../../examples/resume/room.ts";
import { type Entry, isUpTo, NEWEST, PAGE, START, type Store, withSharedReads } from "../../examples/resume/store.ts";
import { deferred, nextTick } from "../support/promises.ts";

const memoryStore = (count = 0) => {
  const entries: Entry[] = [];
  const store = {
    reads: 0,
    append: async (data: string) => {
      const id = `${entries.length + 1}-0`;
      entries.push({ id, data });
      return id;
    },
    after: async (last: string) => {
      store.reads++;
      const at = entries.findIndex(({ id }) => id === last);
      return last === START || at !== -1 ? entries.slice(at + 1, at + 1 + PAGE) : undefined;
    },
    newest: async () => entries.slice(-NEWEST),
  };
  for (let n = 1; n <= count; n++) void store.append(JSON.stringify({ from: "old", n }));
  return store;
};

const roomOn = (store: Store, pubsub: PubSub = testPubSub()): Room.Room => ({
  store: withSharedReads(store),
  topic: pubsub.topic<Room.Signal>("lobby"),
});
const enter = (room: Room.Room, last?: string): Promise<TestClient> => connect(Room, { ...room, last });
const messages = ({ received }: TestClient): { type: string; id?: string }[] =>
  received.map(({ data }) => JSON.parse(String(data)));
const ids = (client: TestClient): unknown[] => messages(client).flatMap(({ id }) => id ?? []);
const idsFrom = (first: number, last: number): string[] =>
  Array.from({ length: last - first + 1 }, (_, i) => `${first + i}-0`);
const ticks = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await nextTick();
};

test("a client without a last entry begins with the newest ones, and one with a last entry gets all after it", async () => {
  const room = roomOn(memoryStore(3 * PAGE));
  const fresh = await enter(room);
  const returning = await enter(room, "100-0");
  await ticks(20);
  expect(ids(fresh)).toEqual(idsFrom(3 * PAGE - NEWEST + 1, 3 * PAGE));
  expect(ids(returning)).toEqual(idsFrom(101, 3 * PAGE));
  for (const client of [fresh, returning]) expect(messages(client).at(-1)).toEqual({ type: "ready" });
});

test("all members of a node share one read of what is new, however many there are", async () => {
  const store = memoryStore(1);
  const room = roomOn(store);
  const members = await Promise.all(Array.from({ length: 50 }, () => enter(room, "1-0")));
  await ticks(5);
  store.reads = 0;
  members[0]!.send(JSON.stringify({ from: "ada", n: 1 }));
  await ticks(10);
  expect(store.reads).toBe(1);
  for (const member of members) expect(ids(member)).toEqual(["2-0"]);
});

test("signals in the wrong order, of entries that are known, and without an id: each entry arrives once, in order", async () => {
  const store = memoryStore(1);
  const room = roomOn(store);
  const ada = await enter(room, "1-0");
  await ticks(5);
  for (let i = 2; i <= 4; i++) await store.append("");
  for (const upTo of ["4-0", "2-0", "3-0", "4-0"]) room.topic.broadcast({ upTo });
  await ticks(10);
  expect(ids(ada)).toEqual(idsFrom(2, 4));
  await store.append("");
  room.topic.broadcast({});
  await ticks(10);
  expect(ids(ada)).toEqual(idsFrom(2, 5));
});

test("an entry that is appended while a connection reads, after the read, is sent when its signal arrives", async () => {
  const store = memoryStore(1);
  const [begun, answer] = [deferred(), deferred()];
  const slow: Store = {
    ...store,
    after: async (last) => {
      const entries = await store.after(last);
      begun.resolve();
      await answer.promise;
      return entries;
    },
  };
  const room = roomOn(slow);
  const entering = enter(room, "1-0");
  await begun.promise;
  const id = await store.append("");
  room.topic.broadcast({ upTo: id });
  // Another connection that begins now must not be given the answer of the read that has begun.
  const other = enter(room, "1-0");
  await ticks(5);
  answer.resolve();
  for (const client of [await entering, await other]) {
    await ticks(10);
    expect(ids(client)).toEqual(["2-0"]);
  }
});

test("the store is read only when the other nodes can reach the connection", async () => {
  const store = memoryStore(1);
  const room = roomOn(store);
  const ready = deferred<boolean>();
  const subscribe = room.topic.subscribe.bind(room.topic);
  vi.spyOn(room.topic, "subscribe").mockImplementation((...args) => ({
    ...subscribe(...args),
    ready: ready.promise,
  }));
  const entering = enter(room, "1-0");
  await ticks(5);
  expect(store.reads).toBe(0);
  ready.resolve(true);
  await entering;
  expect(store.reads).toBe(1);
});

test("a client whose last entry is not in the store is told so, and begins with the newest entries", async () => {
  const ada = await enter(roomOn(memoryStore(2)), "7-0");
  await ticks(10);
  expect(messages(ada).map(({ type }) => type)).toEqual(["resync", "message", "message", "ready"]);
});

test("an error of the store closes the connection", async () => {
  const failing: Store = { ...memoryStore(), append: () => Promise.reject(new Error("no connection")) };
  const ada = await enter(roomOn(failing));
  ada.send(JSON.stringify({ from: "ada", n: 1 }));
  expect((await ada.ended).code).toBe(1011);
});

test.each(["", "null", "1", '{"from":"ada"}', '{"from":1,"n":1}', `{"from":"${"a".repeat(37)}","n":1}`])(
  "the invalid message %s closes the connection",
  async (message) => {
    const ada = await enter(roomOn(memoryStore()));
    ada.send(message);
    expect((await ada.ended).code).toBe(4000);
  },
);

test("ids are compared as two numbers, of which the second may be missing", () => {
  expect(isUpTo("9-5", "10-0")).toBe(true);
  expect(isUpTo("10-9", "10-10")).toBe(true);
  expect(isUpTo("10-10", "10-10")).toBe(true);
  expect(isUpTo("10-11", "10-10")).toBe(false);
  expect(isUpTo("10", "10-1795824099437354800")).toBe(true);
  expect(isUpTo("11", "10-1795824099437354800")).toBe(false);
});
