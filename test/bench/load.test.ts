/** The load in C, against bare sockets that do as the tests say. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { percentile } from "../../bench/lib/histogram.mjs";
import { compileLoad } from "../../bench/load/compile.mjs";
import { type Load, startLoad } from "../../bench/load/loads.mjs";
import { isUsable } from "../../scripts/installed.ts";

/** A server that answers chunks as this says; it returns its port. */
const serve = async (answer: (chunk: Buffer, socket: net.Socket) => void): Promise<number> => {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => answer(chunk, socket));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as net.AddressInfo).port;
};

const SHORT = { protocol: "raw", connections: 4, warmup: 0.05, seconds: 0.2 } as const;

const start = (options: Parameters<typeof startLoad>[0]): Load => {
  const load = startLoad(options);
  onTestFinished(() => load.stop());
  return load;
};

const echo = (options: Partial<Parameters<typeof startLoad>[0]> & { readonly port: number }): Load =>
  start({ ...SHORT, mode: "closed", messages: { kind: "text", size: 32 }, inFlight: 4, ...options });

const { path, problem = "" } = compileLoad();

describe.skipIf(!isUsable(path !== undefined, problem))("the load in C", () => {
  test.each([
    ["short texts", { kind: "text", size: 32 }],
    ["fragmented messages", { kind: "text", size: 4_000, fragments: 4 }],
    ["messages of more than 64 KiB", { kind: "binary", size: 100_000 }],
  ] as const)("counts the answers to %s", async (_what, messages) => {
    const load = echo({ port: await serve((chunk, socket) => void socket.write(chunk)), messages });
    const { messages: count, seconds, cpu } = await load.result;
    expect(load.inC).toBe(true);
    expect(count).toBeGreaterThan(0);
    expect(seconds).toBeGreaterThanOrEqual(0.2);
    expect(cpu).toBeGreaterThan(0);
  });

  test.each<[string, (chunk: Buffer, socket: net.Socket) => void, RegExp]>([
    [
      "differ from what was sent",
      (chunk, socket) => {
        chunk[chunk.length - 1]! ^= 1;
        socket.write(chunk);
      },
      /an answer differs from what is expected/,
    ],
    [
      "come in another order",
      (chunk, socket) => {
        const half = chunk.length / 2;
        socket.write(Buffer.concat([chunk.subarray(half), chunk.subarray(0, half)]));
      },
      /an answer differs from what is expected/,
    ],
    [
      "are too many",
      (chunk, socket) => void socket.write(Buffer.concat([chunk, chunk])),
      /an answer differs|more answers/,
    ],
    ["never come, because the server closes the connection", (_chunk, socket) => socket.end(), /closed a connection/],
  ])("fails if answers %s", async (_what, answer, error) => {
    await expect(echo({ port: await serve(answer) }).result).rejects.toThrow(error);
  });

  test.each([
    ["counts handshakes, and the CPU time of the server", true],
    ["fails if the server accepts another key", false],
  ])("%s", async (_what, right) => {
    const port = await serve((chunk, socket) => {
      const key = /^sec-websocket-key: (.*)$/im.exec(String(chunk))![1]!.trim();
      const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      socket.write(`HTTP/1.1 101 x\r\nSec-WebSocket-Accept: ${right ? accept : key}\r\n\r\n`);
    });
    const messages = { kind: "text", size: 32 } as const;
    const many = { protocol: "websocket", connections: 50, inFlight: 4, server: process.pid } as const;
    const { result } = start({ ...SHORT, ...many, mode: "handshakes", port, messages });
    if (!right) return expect(result).rejects.toThrow("no upgrade");
    const { messages: count, server, opening, seconds } = await result;
    expect(count % 50).toBe(0);
    expect(count).toBeGreaterThan(0);
    expect(server).toBeGreaterThan(0);
    expect(opening).toBeLessThan(seconds);
  });

  test("measures latency from the time at which a message was to be sent", async () => {
    // The server stops for 150 ms of 300. A client that sends the next message only after the answer would notice that
    // once; at fixed times, about half of all messages are late.
    let stopped = false;
    const port = await serve((chunk, socket) => {
      if (!stopped) {
        stopped = true;
        const until = performance.now() + 150;
        while (performance.now() < until);
      }
      socket.write(chunk);
    });
    const messages = { kind: "text", size: 32 } as const;
    const load = start({ ...SHORT, mode: "open", port, messages, warmup: 0.001, seconds: 0.3, rate: 2_000 });
    const { latencies = [] } = await load.result;
    const total = latencies.reduce((sum, [, count]) => sum + count, 0);
    expect(total).toBeGreaterThan(590);
    expect(total).toBeLessThan(610);
    expect(percentile(latencies, 0.75)).toBeGreaterThan(50e6);
  });
});
