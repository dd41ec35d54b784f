/** Tests of the limits on bytes that HTTP/2 streams pass to Node: it must never refuse new streams. */
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { ok, push, text, upgrade, type WebSock } from "websock-js";
import { SessionShare } from "../../../src/adapters/node/http2-share.ts";
import { answerOf, openHttp2Stream, request, resetStream, testHttp2 } from "../../support/http2-client.ts";
import { serveHttp2 } from "../../support/http2-server.ts";
import { Echo } from "../../support/node-server.ts";
import { deferred, nextTick } from "../../support/promises.ts";
import { RawClient } from "../../support/raw-client.ts";
import { BINARY, frame, TEXT } from "../../support/raw-frames.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();

type Stream = Awaited<ReturnType<typeof openHttp2Stream>>;
const clientOf = (stream: Stream): RawClient<Duplex> => RawClient.of<Duplex>(stream);

/** The client runs on Node as well and has the same limit, which must not be reached. */
const client = { maxSessionMemory: 1000 };

/** Node's default `maxSessionMemory` is 10 (megabytes of 1 000 000 bytes). */
const SESSION_MEMORY = 10_000_000;

describe("a share", () => {
  /** Passes its whole slice to Node and never flushes it. */
  const stall = (share: SessionShare): number => {
    const slice = share.sliceFor(0);
    share.changed(0, slice);
    return slice;
  };

  test("of a single stream is the same as for a TCP socket", () => {
    expect(new SessionShare(undefined).sliceFor(0)).toBe(262_144);
  });

  test("decreases with each stream that stops reading, so that the total stays below Node's limit", () => {
    const share = new SessionShare(undefined);
    const slices = Array.from({ length: 4000 }, () => stall(share));
    expect(slices.reduce((sum, slice) => sum + slice)).toBeLessThan(0.75 * SESSION_MEMORY);
    for (const [index, slice] of slices.entries()) expect(slice).toBeLessThanOrEqual(slices[index - 1] ?? 262_144);
    // Every stream gets at least the minimum.
    expect(slices.at(-1)).toBe(512);
  });

  test("is the same for all streams that keep reading", () => {
    const share = new SessionShare(undefined);
    const held = Array.from({ length: 100 }, () => stall(share));
    for (let round = 0; round < 100; round++) {
      for (const [index, before] of held.entries()) {
        share.changed(before, 0);
        held[index] = stall(share);
      }
    }
    expect(Math.max(...held) / Math.min(...held)).toBeLessThan(1.1);
    expect(Math.min(...held)).toBeGreaterThan(16_384);
  });

  test("is complete again after the other streams have flushed theirs", () => {
    const share = new SessionShare(undefined);
    const held = Array.from({ length: 100 }, () => stall(share));
    for (const before of held) share.changed(before, 0);
    expect(share.sliceFor(0)).toBe(262_144);
  });
});

test("with 150 slow readers on one session, new streams open, healthy ones are served, and all data arrives", async () => {
  const size = 300_000;
  const init = () => push(text("x".repeat(size)), null);
  const { url, sockets, errors } = await serveHttp2((req, res) => {
    if (req.url === "/page") return res.end("page");
    return upgrade(req, req.url === "/slow" ? { init, handleIn: () => ok(null) } : Echo);
  });
  const session = await testHttp2(url, client);
  const healthy = clientOf(await openHttp2Stream(session));
  const slow: Stream[] = [];
  for (let i = 0; i < 150; i++) {
    const stream = await openHttp2Stream(session, { ":path": "/slow" });
    stream.pause();
    slow.push(stream);
    // The head has arrived. Once later data arrives, Node has certainly been passed the maximum.
    expect(await healthy.send(frame(TEXT, `${i}`)).text()).toBe(`${i}`);
  }
  // 45 MB are queued for the slow readers, more than four times the limit of Node's session.
  expect(sockets.connections).toBe(151);
  const large = Buffer.alloc(1_000_000, "y");
  expect((await healthy.send(frame(BINARY, large)).frame()).payload.equals(large)).toBe(true);
  for (let i = 0; i < 110; i++) {
    const page = request(session, { ":method": "GET", ":protocol": undefined, ":path": "/page" }, true);
    expect((await answerOf(page))[":status"]).toBe(200);
    page.resume();
  }
  const late = clientOf(await openHttp2Stream(session));
  expect(await late.send(frame(TEXT, "late")).text()).toBe("late");

  await Promise.all(
    slow.map(async (stream) => {
      stream.resume();
      expect((await clientOf(stream).frame()).payload.length).toBe(size);
    }),
  );
  expect(errors).toEqual([]);
});

test("a session in which many slow readers were reset is retired before Node refuses its streams; other streams continue", async () => {
  const init = () => push(text("x".repeat(300_000)), null);
  const { url, sockets } = await serveHttp2((req) =>
    upgrade(req, req.url === "/slow" ? { init, handleIn: () => ok(null) } : Echo),
  );
  const first = await testHttp2(url, client);
  const healthy = clientOf(await openHttp2Stream(first));
  let session = first;
  let sessions = 1;
  // Node counts up to 200 kB of each until the session ends, and would refuse the 52nd.
  for (let i = 0; i < 500; i++) {
    if (session.closed || session.destroyed) {
      session = await testHttp2(url, client);
      sessions++;
    }
    const stream = await openHttp2Stream(session, { ":path": "/slow" });
    stream.pause();
    expect(await healthy.send(frame(TEXT, `${i}`)).text()).toBe(`${i}`);
    if (i % 2 === 0) resetStream(stream);
    else stream.destroy();
    await once(stream, "close");
    while (sockets.connections > 1) await nextTick();
    await new Promise((resolve) => session.ping(resolve));
  }
  expect(sessions).toBeGreaterThan(1);
  expect(sessions).toBeLessThan(20);
  expect(await healthy.send(frame(TEXT, "still here")).text()).toBe("still here");
  expect([first.closed, first.destroyed]).toEqual([true, false]);
});

test("with 150 clients of one session whose messages are not read, new streams open and nothing is lost", async () => {
  const gate = deferred();
  let begun = 0;
  const Busy: WebSock<unknown, number> = {
    init: () => ok(0),
    handleIn: async (_message, count) => {
      begun++;
      await gate.promise;
      return count === 9 ? push(text("all"), 0) : ok(count + 1);
    },
  };
  const { url } = await serveHttp2((req) => (req.url === "/busy" ? upgrade(req, Busy) : upgrade(req, Echo)));
  const session = await testHttp2(url, client);
  const busy = await Promise.all(Array.from({ length: 150 }, () => openHttp2Stream(session, { ":path": "/busy" })));
  for (const stream of busy) for (let i = 0; i < 10; i++) stream.write(frame(BINARY, Buffer.alloc(50_000)));
  while (begun < 150) await new Promise((resolve) => session.ping(resolve));
  for (let i = 0; i < 110; i++) {
    const late = await openHttp2Stream(session);
    expect(await clientOf(late).send(frame(TEXT, "late")).text()).toBe("late");
  }
  gate.resolve();
  for (const stream of busy) expect(await clientOf(stream).text()).toBe("all");
});
