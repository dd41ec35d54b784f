/** What the client reports, in orders that a real one produces rarely. */
import { expect, it } from "vitest";
import { type NatsConnection, type NatsStatus, natsBackplane } from "websock-js/pubsub/nats";
import { deferred, nextTick } from "../../../support/promises.ts";
import { failOnUncaught } from "../../../support/uncaught.ts";

failOnUncaught();

/** A client that accepts everything, and reports what the test wants. */
const fakeClient = () => {
  const statuses: NatsStatus[] = [];
  let next = deferred();
  const closed = deferred<unknown>();
  const calls = { subscribe: 0, reconnect: 0 };
  let isOver = false;
  const connection: NatsConnection = {
    publish: () => undefined,
    subscribe: () => {
      calls.subscribe++;
      return { unsubscribe: () => undefined };
    },
    flush: () => (isOver ? Promise.reject(new Error("closed connection")) : Promise.resolve()),
    async *status() {
      for (;;) {
        const status = statuses.shift();
        if (status !== undefined) yield status;
        else if (isOver) return;
        else await next.promise;
      }
    },
    isClosed: () => isOver,
    closed: () => closed.promise,
    reconnect: async () => void calls.reconnect++,
  };
  const wake = (): void => {
    next.resolve();
    next = deferred();
  };
  return {
    connection,
    calls,
    report: (...types: string[]): void => {
      statuses.push(...types.map((type) => ({ type })));
      wake();
    },
    /** It is closed, but `closed()` has not resolved yet. */
    close: (): void => {
      isOver = true;
      wake();
    },
    resolveClosed: closed.resolve,
  };
};

const attach = (connection: NatsConnection) => {
  const events: string[] = [];
  const backplane = natsBackplane({ connection, prefix: "app" }).connect({
    node: "a",
    receive: () => undefined,
    up: () => events.push("up"),
    away: (cause, forever) => events.push(forever === true ? `away forever: ${(cause as Error).message}` : "away"),
    warn: () => undefined,
  });
  return { backplane, events };
};

const channels = Array.from({ length: 3_000 }, (_, i) => `t:${i}`);

it("is up once if the connection changes while it subscribes", async () => {
  const { connection, report } = fakeClient();
  const { backplane, events } = attach(connection);
  const subscribed = backplane.subscribe(channels);
  await nextTick();
  report("disconnect", "reconnecting", "reconnect");
  await subscribed;
  await nextTick();
  expect(events).toEqual(["away", "up"]);
});

it("is up once if the client reports several times that it has connected, as wsconnect does", async () => {
  const { connection, report } = fakeClient();
  const { events } = attach(connection);
  await nextTick();
  report("disconnect", "reconnecting", "disconnect", "reconnecting", "reconnect", "reconnect", "reconnect");
  await nextTick();
  expect(events[0]).toBe("up");
  expect(events.at(-1)).toBe("up");
  expect(events.filter((event, i) => event === events[i - 1])).toEqual([]); // it alternates
});

it("ignores statuses that say nothing about the connection", async () => {
  const { connection, report } = fakeClient();
  const { events } = attach(connection);
  await nextTick();
  report("ping", "update", "ldm", "slowConsumer", "error", "something new");
  await nextTick();
  expect(events).toEqual(["up"]);
});

it("settles what is in flight as soon as the connection is being closed, and is away when it is closed", async () => {
  const { connection, close, resolveClosed } = fakeClient();
  const { backplane, events } = attach(connection);
  await nextTick();
  const settled: boolean[] = [];
  close();
  backplane.publish("t:x", new Uint8Array(1), (ok) => settled.push(ok));
  void backplane.subscribe(["t:x"]);
  await nextTick();
  expect(settled).toEqual([false]);
  expect(events).toEqual(["up"]);
  resolveClosed(new Error("given up"));
  await nextTick();
  expect(events).toEqual(["up", "away forever: given up"]);
});

it("is away forever once, if the connection is closed while it starts", async () => {
  const { connection, close, resolveClosed } = fakeClient();
  const { events } = attach(connection);
  close();
  resolveClosed(new Error("given up"));
  await nextTick();
  expect(events).toEqual(["away forever: given up"]);
});

it("does nothing after close", async () => {
  const { connection, calls, report, close, resolveClosed } = fakeClient();
  const { backplane, events } = attach(connection);
  await nextTick();
  void backplane.subscribe(channels);
  await nextTick();
  const closed = backplane.close();
  const subscriptions = calls.subscribe;
  void backplane.subscribe(["t:late"]);
  await closed;
  backplane.reconnect();
  const settled: boolean[] = [];
  backplane.publish("t:x", new Uint8Array(1), (ok) => settled.push(ok));
  report("disconnect", "reconnect");
  await nextTick();
  close();
  resolveClosed(undefined);
  for (let i = 0; i < 10; i++) await nextTick();
  expect(settled).toEqual([false]);
  expect(events).toEqual(["up"]);
  expect(calls).toEqual({ subscribe: subscriptions, reconnect: 0 });
});
