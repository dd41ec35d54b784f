/** Tests of sockets whose queues are bypassed: data must arrive in order, with and without pauses. */
import { once } from "node:events";
import type http from "node:http";
import type { Http2ServerRequest } from "node:http2";
import net from "node:net";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { type HandleResult, ok, push, type Self, text, upgrade, type WebSock } from "websock-js";
import { selfSigned } from "../../../scripts/certificate.mjs";
import { NodeStream } from "../../../src/adapters/node/stream.ts";
import { openHttp2Stream, testHttp2 } from "../../support/http2-client.ts";
import { serveHttp2 } from "../../support/http2-server.ts";
import { type Served, serve } from "../../support/node-server.ts";
import { type Deferred, deferred, nextTick } from "../../support/promises.ts";
import { handshake, RawClient } from "../../support/raw-client.ts";
import { frame, TEXT } from "../../support/raw-frames.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();
const certificate = selfSigned();

const openTls = async (port: number): Promise<RawClient> => {
  const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  return RawClient.of(socket);
};

/** Blocks on its first message until the gate opens, and answers the others immediately. */
const slowAtFirst = (gate: Deferred<void>): WebSock<unknown, boolean> => ({
  init: () => ok(true),
  handleIn: (message, first) =>
    first ? gate.promise.then(() => push(message, false as boolean)) : push(message, false as boolean),
});

const paused = async ({ accepted: [socket] }: Served): Promise<void> => {
  while (!socket!.isPaused()) await nextTick();
};

// More messages than may be queued before reading is paused.
const many = Array.from({ length: 1100 }, (_, i) => `${i}`);
const flood = many.map((message) => frame(TEXT, message));

const start = async (options: Parameters<typeof serve>[1], open: (port: number) => Promise<RawClient>) => {
  const gate = deferred();
  const served = await serve((req) => upgrade(req, slowAtFirst(gate)), options);
  const client = await open(served.port);
  await client.send(handshake()).accepted();
  return { served, client, gate };
};

describe.each([
  ["TCP", {}, (port: number) => RawClient.open(port)],
  ["TLS", { tls: certificate }, openTls],
] as const)("over %s", (_name, options, open) => {
  test("reading resumes after a pause during which nothing arrived", async () => {
    const { served, client, gate } = await start(options, open);
    client.send(...flood);
    await paused(served);
    gate.resolve();
    for (const message of many) expect(await client.text()).toBe(message);
    const large = "w".repeat(60_000);
    for (let i = 0; i < 20; i++) expect(await client.send(frame(TEXT, large)).text()).toBe(large);
  });

  test("data that arrived during a pause is delivered first, and later data after it", async () => {
    const { served, client, gate } = await start(options, open);
    client.send(...flood);
    await paused(served);
    const later = Array.from({ length: 300 }, (_, i) => `${i} ${"x".repeat(1000)}`);
    client.send(...later.map((message) => frame(TEXT, message)));
    for (let i = 0; i < 5; i++) await nextTick();
    gate.resolve();
    for (const message of [...many, ...later]) expect(await client.text()).toBe(message);
    expect(await client.send(frame(TEXT, "last")).text()).toBe("last");
  });
});

test.each(["is reset", "ends"])("a client whose connection %s during a pause is detected", async (how) => {
  let address!: Self<never>;
  const { port, accepted } = await serve((req) =>
    upgrade(req, {
      init: (_arg: unknown, self: Self<never>) => {
        address = self;
        return ok(null);
      },
      handleIn: () => new Promise<HandleResult<null>>(() => {}),
    }),
  );
  const client = await RawClient.open(port);
  await client.send(handshake()).accepted();
  client.send(...flood);
  while (!accepted[0]!.isPaused()) await nextTick();
  expect(address.send(undefined as never)).toBe(true);
  if (how === "ends") client.socket.end();
  else client.socket.resetAndDestroy();
  while (address.send(undefined as never)) await nextTick();
});

test.each(["TCP", "HTTP/2"])("an application may pause its socket in a callback, over %s", async (over) => {
  let [stream, n]: [Duplex | undefined, number] = [undefined, 0];
  const handler: WebSock<unknown, null> = {
    init: () => ok(null),
    handleIn: (message) => {
      if (n++ % 2 === 0) stream!.pause();
      return push(message, null);
    },
  };
  const route = (req: http.IncomingMessage | Http2ServerRequest): unknown => {
    stream = "stream" in req ? req.stream : req.socket;
    return upgrade(req, handler);
  };
  const client =
    over === "TCP"
      ? await RawClient.open((await serve(route)).port)
      : RawClient.of(await openHttp2Stream(await testHttp2((await serveHttp2(route)).url)));
  if (over === "TCP") await client.send(handshake()).accepted();
  for (let i = 0; i < 10; i++) {
    const message = `${i} ${"z".repeat(30_000)}`;
    client.send(frame(TEXT, message));
    const answer = client.text();
    while (n < i + 1) await nextTick();
    for (let turns = 0; turns < 3; turns++) await nextTick();
    stream!.resume();
    expect(await answer).toBe(message);
  }
});

test("other `data` listeners of a socket still receive all data", async () => {
  const heard: number[] = [];
  const { port } = await serve((req) => {
    req.socket.on("data", (chunk: Buffer) => heard.push(chunk.length));
    return upgrade(req, { init: () => ok(null), handleIn: (message) => push(message, null) });
  });
  const client = await RawClient.open(port);
  await client.send(handshake()).accepted();
  const message = frame(TEXT, "a message");
  for (let i = 1; i <= 3; i++) {
    expect(await client.send(message).text()).toBe("a message");
    expect(heard).toEqual(Array<number>(i).fill(message.length));
  }
});

test("tools that count the bytes of a socket still count all of them", async () => {
  const served = await serve((req) => upgrade(req, { init: () => ok(null), handleIn: () => push(text("yes"), null) }));
  const client = await RawClient.open(served.port);
  await client.send(handshake()).accepted();
  const [socket] = served.accepted;
  const before = [socket!.bytesRead, socket!.bytesWritten] as const;
  const message = frame(TEXT, "a message");
  expect(await client.send(message).text()).toBe("yes");
  expect([socket!.bytesRead - before[0], socket!.bytesWritten - before[1]]).toEqual([message.length, 5]);
});

test("the progress of a large write is observed while it is pending", async () => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
  const [[socket]] = (await Promise.all([once(server, "connection"), once(client, "connect")])) as [
    [net.Socket],
    unknown,
  ];
  onTestFinished(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });
  client.pause();
  const stream = new NodeStream(socket);
  stream.write([new Uint8Array(32 * 1_048_576)]);
  expect(stream.buffered).toBeGreaterThan(16 * 1_048_576);
  const { _handle: handle } = socket as unknown as { _handle: { writeQueueSize: number } };
  const unwritten = handle.writeQueueSize;
  expect(unwritten).toBeGreaterThan(0);
  const flushed = stream.bytesFlushed;
  Object.defineProperty(handle, "writeQueueSize", { value: unwritten - 1000 });
  expect(stream.bytesFlushed).toBe(flushed + 1000);
  // What waits behind that write is no progress.
  stream.write([new Uint8Array(100_000)]);
  socket.write(new Uint8Array(50_000));
  stream.watchUnflushed();
  expect(stream.bytesFlushed).toBe(flushed + 1000 - 50_000);
});
