/** Tests of many WebSockets on one HTTP/2 session: none of them may affect the others. */

import { once } from "node:events";
import http2, { type ClientHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { ok, push, type Self, text, upgrade } from "websock-js";
import { answerOf, connectHttp2, openHttp2Stream, request, testHttp2 } from "../../support/http2-client.ts";
import { serveHttp2 } from "../../support/http2-server.ts";
import { Echo, Recorder } from "../../support/node-server.ts";
import { deferred } from "../../support/promises.ts";
import { RawClient } from "../../support/raw-client.ts";
import { BINARY, frame, TEXT } from "../../support/raw-frames.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();

type Stream = Awaited<ReturnType<typeof openHttp2Stream>>;
const clientOf = (stream: Stream): RawClient<Duplex> => RawClient.of<Duplex>(stream);

/** The default window of a stream and of a session (RFC 9113 §6.9.2). */
const WINDOW = 65_535;

const onePing = (session: ClientHttp2Session): Promise<void> => new Promise((resolve) => session.ping(() => resolve()));

const inUse = (): number => {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

test("with 100 WebSockets on one session, a client that does not read one of them does not affect the others", async () => {
  let stuck!: { readonly stream: ServerHttp2Stream; readonly self: Self<never>; handled: number };
  const { url, sockets } = await serveHttp2((req) => {
    const options = { maxMessageSize: 2_000_000, timeout: Number.POSITIVE_INFINITY };
    if (req.url !== "/deaf") return upgrade(req, Echo, undefined, options);
    const init = (_: unknown, self: Self<never>) => {
      stuck = { stream: req.stream, self, handled: 0 };
      return ok(null);
    };
    const handleIn: typeof Echo.handleIn = (message) => {
      stuck.handled++;
      return push(message, null);
    };
    return upgrade(req, { init, handleIn }, undefined, options);
  });
  const session = await testHttp2(url);
  const deaf = await openHttp2Stream(session, { ":path": "/deaf" });
  const others = await Promise.all(Array.from({ length: 99 }, () => openHttp2Stream(session)));
  const before = inUse();

  // Sends for ever and reads nothing: the echoes fill its window, then our buffer, then its own writes.
  deaf.pause();
  const flood = frame(BINARY, Buffer.alloc(100_000, "x"));
  let flooded = 0;
  const pour = (): void => {
    while (!deaf.destroyed && deaf.write(flood)) flooded++;
  };
  deaf.on("drain", pour);
  pour();
  while (stuck.stream.readableFlowing !== false || deaf.readableLength < WINDOW) await onePing(session);

  // From here on, the server must spend no time on it.
  let done = 0;
  for (const method of ["write", "_write"] as const) {
    const original = stuck.stream[method];
    stuck.stream[method] = (...args: unknown[]) => {
      done++;
      return Reflect.apply(original, stuck.stream, args);
    };
  }
  stuck.stream.on("data", () => done++);
  const { handled } = stuck;
  const buffered: number[] = [];
  const padding = "y".repeat(2000);
  let answered = 0;
  await Promise.all(
    others.map(async (stream, index) => {
      const client = clientOf(stream);
      for (let round = 0; round < 50; round++) {
        const message = `${index}:${round}:${padding}`;
        expect(await client.send(frame(TEXT, message)).text()).toBe(message);
        buffered.push(stuck.self.buffered);
        answered++;
      }
    }),
  );
  // Much more than the window of the session, of which the first stream occupies only its own window.
  expect(answered).toBe(99 * 50);
  expect(answered * padding.length).toBeGreaterThan(100 * WINDOW);
  expect(deaf.readableLength).toBe(WINDOW);
  expect({ done, handled: stuck.handled }).toEqual({ done: 0, handled });
  expect(stuck.stream.readableFlowing).toBe(false);
  // Backpressure stopped it early: at 64 KiB, and the message that exceeded them.
  expect(Math.max(...buffered)).toBeLessThan(65_536 + 2 * flood.length);
  expect(flooded * flood.length).toBeLessThan(4_000_000);
  expect(inUse() - before).toBeLessThan(50_000_000);
  expect(sockets.connections).toBe(100);

  // It reads again, and nothing was lost.
  const client = clientOf(deaf);
  deaf.off("drain", pour).resume();
  for (let i = 0; i < flooded; i++) {
    const { payload } = await client.frame();
    expect(payload.equals(Buffer.alloc(100_000, "x"))).toBe(true);
  }
});

test("an async handler repeatedly causes backpressure on its client, and no message is lost", async () => {
  const gate = deferred();
  let stream!: ServerHttp2Stream;
  let taken = 0;
  let inOrder = true;
  const { url } = await serveHttp2((req) => {
    stream = req.stream;
    const handleIn: typeof Echo.handleIn = async (message) => {
      inOrder &&= String(message.data).startsWith(`${taken} `);
      if (taken++ % 100 === 0) await gate.promise;
      return taken === count ? push(text("all"), null) : ok(null);
    };
    return upgrade(req, { init: () => ok(null), handleIn });
  });
  const session = await testHttp2(url);
  const client = await openHttp2Stream(session);
  const count = 3000;
  for (let i = 0; i < count; i++) client.write(frame(TEXT, `${i} ${"z".repeat(1000)}`));
  while (stream?.readableFlowing !== false) await onePing(session);
  for (let i = 0; i < 20; i++) await onePing(session);
  expect(taken).toBe(1);
  // Only what was in flight when reading was paused.
  expect(stream.readableLength).toBeLessThan(3 * WINDOW);
  expect(client.writableLength).toBeGreaterThan(count * 1000 - 10 * WINDOW);
  gate.resolve();
  expect(await clientOf(client).text()).toBe("all");
  expect([taken, inOrder]).toEqual([count, true]);
});

test("reading resumes after a pause during which nothing arrived", async () => {
  const gate = deferred();
  let stream!: ServerHttp2Stream;
  const { url } = await serveHttp2((req) => {
    stream = req.stream;
    let first = true;
    const handleIn: typeof Echo.handleIn = (message) => {
      if (!first) return push(message, null);
      first = false;
      return gate.promise.then(() => push(message, null));
    };
    return upgrade(req, { init: () => ok(null), handleIn });
  });
  const session = await testHttp2(url);
  const client = clientOf(await openHttp2Stream(session));
  const many = Array.from({ length: 1100 }, (_, i) => `${i}`);
  client.send(...many.map((message) => frame(TEXT, message)));
  while (stream?.readableFlowing !== false) await onePing(session);
  expect(stream.readableLength).toBe(0);
  gate.resolve();
  for (const message of many) expect(await client.text()).toBe(message);
  // Several windows, none of which is opened while reading is paused.
  const large = "w".repeat(WINDOW / 3);
  for (let i = 0; i < 20; i++) expect(await client.send(frame(TEXT, large)).text()).toBe(large);
});

test("many streams of one session are served in turns, even if one of them floods", async () => {
  const { url } = await serveHttp2((req) => upgrade(req, Echo));
  const session = await testHttp2(url);
  const [flooding, ...others] = await Promise.all(Array.from({ length: 20 }, () => openHttp2Stream(session)));
  const message = frame(TEXT, "x".repeat(1000));
  let returned = 0;
  let over = false;
  flooding!.on("data", (chunk: Buffer) => {
    returned += chunk.length;
  });
  const pour = (): void => {
    while (!over && flooding!.write(message));
  };
  flooding!.on("drain", pour);
  pour();
  const clients = others.map((stream) => clientOf(stream));
  const counts = await Promise.all(
    clients.map(async (client) => {
      const start = returned;
      for (let i = 0; i < 20; i++) expect(await client.send(frame(TEXT, `${i}`)).text()).toBe(`${i}`);
      return returned - start;
    }),
  );
  over = true;
  // The flood continued, but the other streams waited for a few windows of it at most.
  expect(returned).toBeGreaterThan(0);
  for (const count of counts) expect(count).toBeLessThan(20 * 10 * 65_536);
});

test("10 000 CONNECTs reset while their upgrade is pending leak nothing and do not affect other sessions", async () => {
  const recorder = new Recorder();
  const gate = deferred();
  let [reached, upgraded] = [0, 0];
  const { url, sockets, errors } = await serveHttp2(async (req) => {
    if (req.url === "/echo") return upgrade(req, Echo);
    reached++;
    await gate.promise;
    upgrade(req, recorder);
    upgraded++;
  });
  const bystander = clientOf(await openHttp2Stream(await testHttp2(url), { ":path": "/echo" }));
  const before = inUse();

  let sent = 0;
  let session: ClientHttp2Session | undefined;
  let sessionsUsed = 0;
  while (sent < 10_000) {
    // nghttp2 limits resets and ends the session above the limit: then the attacker opens another one.
    if (session === undefined || session.closed || session.destroyed) {
      session = await connectHttp2(url);
      sessionsUsed++;
    }
    const { closed } = session;
    for (let i = 0; i < 100 && !closed && !session.destroyed && !session.closed; i++, sent++) {
      const stream = request(session);
      stream.close(http2.constants.NGHTTP2_CANCEL);
    }
    if (!session.destroyed) await onePing(session);
    if (sent % 2000 === 0) expect(await bystander.send(frame(TEXT, `${sent}`)).text()).toBe(`${sent}`);
  }
  session!.destroy();
  // Only the app's pending promises remain: a few kB each.
  expect(reached).toBeGreaterThan(1000);
  expect(inUse() - before).toBeLessThan(10_000 * 30_000);
  expect(sessionsUsed).toBeLessThan(100);
  gate.resolve();
  while (upgraded < reached) await new Promise((resolve) => setImmediate(resolve));
  expect(recorder.inits).toEqual([]);
  expect(sockets.connections).toBe(1);
  expect(errors).toEqual([]);

  expect(await bystander.send(frame(TEXT, "still here")).text()).toBe("still here");
  const fresh = request(await testHttp2(url), { ":path": "/echo" });
  expect((await answerOf(fresh))[":status"]).toBe(200);
  fresh.close();
  await once(fresh, "close");
});
