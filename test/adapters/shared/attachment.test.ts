/** Tests of the attachment: iteration, ids, fake timers and retained stores. */
import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, expect, test, vi } from "vitest";
import { type DataMessage, ok, push, type Self, text, upgrade } from "websock-js";
import { type Attachment, attach } from "websock-js/node";
import { WebSocket } from "ws";

let server: http.Server | undefined;
let sockets: Attachment;

const listen = async (listener: http.RequestListener): Promise<string> => {
  server = http.createServer(listener);
  sockets = attach(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

afterEach(async () => {
  vi.useRealTimers();
  server?.close();
  await sockets.close();
});

const dial = async (url: string): Promise<WebSocket> => {
  const socket = new WebSocket(url);
  await once(socket, "message");
  return socket;
};

const Greeter = {
  init: (_: undefined, self: Self<never>) => push(text(self.connection.path), 0),
  handleIn: (message: DataMessage, count: number) => push(message, count),
};

test("an attachment can be iterated and finds connections by id, until their end is decided", async () => {
  const url = await listen((request) => upgrade(request, Greeter));
  const clients = [await dial(`${url}/a`), await dial(`${url}/b`)];
  const selves = [...sockets];
  expect(selves.map(({ connection }) => connection.path)).toEqual(["/a", "/b"]);
  const [a, b] = selves as [Self<unknown>, Self<unknown>];
  expect(sockets.get(a.id)).toBe(a);
  expect(sockets.get(b.id)).toBe(b);
  expect(sockets.get("nobody")).toBeUndefined();
  const closed = once(clients[0]!, "close");
  a.stop("normal");
  expect([...sockets]).toEqual([b]);
  expect(sockets.get(a.id)).toBeUndefined();
  expect((await closed)[0]).toBe(1000);
  const message = once(clients[1]!, "message");
  expect(b.push(text("hello b"))).toBe(true);
  expect(String((await message)[0])).toBe("hello b");
});

test("a connection whose id is read after its end is not retained", async () => {
  let kept: Self<never> | undefined;
  const url = await listen((request) =>
    upgrade(request, { ...Greeter, terminate: (_reason, _state, self) => void (kept = self) }),
  );
  const client = await dial(`${url}/a`);
  const closed = once(client, "close");
  client.close();
  await closed;
  await vi.waitUntil(() => kept !== undefined && sockets.connections === 0);
  expect(sockets.get(kept!.id)).toBeUndefined();
});

test.each<[string, unknown]>([
  ["a number", 7],
  ["zero", 0],
  ["an empty map", new Map()],
  ["false", false],
])("callbacks run in a context whose store is %s", async (_name, store) => {
  const storage = new AsyncLocalStorage<unknown>();
  const seen: unknown[] = [];
  const handler = {
    ...Greeter,
    handleIn: (message: DataMessage, count: number) => {
      seen.push(storage.getStore());
      return push(message, count);
    },
  };
  const url = await listen((request) => storage.run(store, () => upgrade(request, handler)));
  const client = await dial(url);
  const message = once(client, "message");
  client.send("1");
  await message;
  expect(seen).toEqual([store]);
});

test("a server keeps working while fake timers are installed", async () => {
  const url = await listen((request) => upgrade(request, Greeter));
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "setImmediate", "performance"],
  });
  const client = await dial(`${url}/fake`);
  const message = once(client, "message");
  client.send("still there?");
  expect(String((await message)[0])).toBe("still there?");
});

test("shared timers do not retain stores of connections that have ended", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const storage = new AsyncLocalStorage<object>();
  const stores: WeakRef<object>[] = [];
  const url = await listen((request) => {
    const store = { url: request.url };
    stores.push(new WeakRef(store));
    storage.run(store, () => upgrade(request, { ...Greeter, handleIn: () => ok(0) }));
  });
  const first = await dial(`${url}/first`);
  const second = await dial(`${url}/second`);
  first.close();
  await once(first, "close");
  while (sockets.connections > 1) await new Promise((resolve) => setImmediate(resolve));
  // Timers of Node from the first request, such as its cached date, end within two seconds.
  await vi.waitFor(
    () => {
      collect();
      expect(stores[0]!.deref()).toBeUndefined();
    },
    { timeout: 20_000, interval: 100 },
  );
  expect(stores[1]!.deref()).toBeDefined();
  second.terminate();
});
