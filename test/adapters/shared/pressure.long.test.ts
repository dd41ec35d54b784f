/** Tests of memory and backpressure under load. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { WebSockOptions } from "websock-js";
import { WebSocket } from "ws";
import { forkServer } from "../../support/measured-server.ts";

interface Told {
  readonly port: number;
  readonly base: number;
  readonly peak: number;
  readonly concurrent: number;
  readonly reason: string;
}

/** Runs the server in a process of its own, to measure its memory. */
let server: ChildProcess;
let port: number;

const told = async (): Promise<Told> => (await once(server, "message"))[0] as Told;

beforeEach(async () => {
  server = forkServer("support/pressure-server.mjs");
  ({ port } = await told());
});

afterEach(() => {
  server.kill();
});

const path = (handler: string, options: WebSockOptions): string =>
  `/${handler}?options=${encodeURIComponent(JSON.stringify(options))}`;

const connect = async (handler: string, options: WebSockOptions = {}): Promise<{ client: WebSocket; base: number }> => {
  const client = new WebSocket(`ws://127.0.0.1:${port}${path(handler, options)}`, {
    perMessageDeflate: false,
    maxPayload: 0,
  });
  const [{ base }] = await Promise.all([told(), once(client, "open")]);
  return { client, base };
};

/** A peer that never reads after the handshake. */
const connectDeaf = async (handler: string, options: WebSockOptions): Promise<{ socket: net.Socket; base: number }> => {
  const socket = net.connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(
    `GET ${path(handler, options)} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  socket.pause();
  return { socket, base: (await told()).base };
};

test("10 000 messages to a handler that takes 0–2 ms are handled in order, one at a time, in constant memory", {
  timeout: 120_000,
}, async () => {
  const { client, base } = await connect("slow");
  const count = 10_000;
  const padding = "x".repeat(2_000);
  for (let i = 0; i < count; i++) client.send(`${String(i).padStart(8, "0")}${padding}`);
  const wrong: string[] = [];
  await new Promise<void>((resolve) => {
    let next = 0;
    client.on("message", (data) => {
      if (Number(data) !== next++) wrong.push(String(data));
      if (next === count) resolve();
    });
  });
  expect(wrong).toEqual([]);
  client.close();
  const { concurrent, peak, reason } = await told();
  expect(reason).toBe("remote");
  expect(concurrent).toBe(1);
  // 20 MB were sent, and would be visible here if they had been buffered.
  expect(peak - base).toBeLessThan(12_000_000);
});

test("a gibibyte pushed to a client that never reads takes no more memory than maxBuffered, and ends with 1013", {
  timeout: 60_000,
}, async () => {
  const { socket, base } = await connectDeaf("gibibyte", {});
  const { reason, peak } = await told();
  expect(reason).toBe("SlowConsumer");
  expect(peak - base).toBeLessThan(16 * 1024 * 1024 + 10_000_000);
  // Messages accepted before the end can still be read, and then the close frame.
  let tail: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]).subarray(-4);
  });
  socket.resume();
  await once(socket, "end");
  expect([...tail]).toEqual([0x88, 2, 1013 >> 8, 1013 & 0xff]);
});

test("an echo to a peer with a closed window ends within timeout", async () => {
  const { socket } = await connectDeaf("echo", { timeout: 1_000, closeTimeout: 500 });
  const header = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4]);
  const frame = Buffer.concat([header, Buffer.alloc(65_536)]);
  for (let i = 0; i < 400; i++) socket.write(frame);
  expect((await told()).reason).toBe("SlowConsumer");
  socket.destroy();
});

test("a list of 64 MiB is refused at maxBuffered", async () => {
  const { socket } = await connectDeaf("list", {});
  socket.write(Buffer.from([0x81, 0x80, 0, 0, 0, 0]));
  expect((await told()).reason).toBe("SlowConsumer");
  socket.destroy();
});

test("a list of 64 MiB reaches the client if maxBuffered allows it", { timeout: 60_000 }, async () => {
  const { client } = await connect("list", { maxBuffered: 128 * 1024 * 1024 });
  const got: number[] = [];
  const all = new Promise<void>((resolve) => {
    client.on("message", (data: Buffer) => {
      if (data.length === 1024 * 1024 && data.equals(Buffer.alloc(1024 * 1024, data[0]))) got.push(data[0]!);
      if (got.length === 64) resolve();
    });
  });
  client.send("");
  await all;
  expect(got).toEqual(Array.from({ length: 64 }, (_, i) => i));
  client.close();
  expect((await told()).reason).toBe("remote");
});

test("16 MiB are echoed if maxMessageSize allows it", { timeout: 60_000 }, async () => {
  const { client } = await connect("echo", { maxMessageSize: 16 * 1024 * 1024, maxBuffered: 32 * 1024 * 1024 });
  const sent = Buffer.alloc(16 * 1024 * 1024, "0123456789");
  client.send(sent);
  const [data, isBinary] = await once(client, "message");
  expect(isBinary).toBe(true);
  expect(sent.equals(data)).toBe(true);
  client.close();
  expect((await told()).reason).toBe("remote");
});
