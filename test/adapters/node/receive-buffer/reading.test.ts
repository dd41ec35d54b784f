/** Tests of sockets that are read into the shared memory, and of those that are not. Each in a process of its own. */
import { describe, expect, test } from "vitest";
import { compiledForChildren } from "../../../support/child.ts";

const runChild = compiledForChildren();

/**
 * Echoes messages of many sizes on several connections at once, in pieces. Prints `echoed`, and whether Node reads the
 * server's sockets into shared memory.
 */
const echoAll = (prepare: string, createServer = "http.createServer(listener)"): string => `
  import http from "node:http";
  import net from "node:net";
  import { Duplex } from "node:stream";
  import { ok, push, upgrade } from "websock-js";
  import { attach } from "websock-js/node";
  const sockets = [];
  const Echo = { init: () => ok(null), handleIn: (message, state) => push(message, state) };
  const listener = (req) => {
    sockets.push(req.socket);
    ${prepare}
    upgrade(req, Echo);
  };
  const server = ${createServer};
  attach(server);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { WebSocket } = await import(${JSON.stringify(import.meta.resolve("ws"))});
  const sizes = [0, 1, 5, 32, 64, 65, 125, 126, 1000, 16_384, 65_535, 65_536, 65_537, 131_072, 700_000, 2_000_000];
  const messages = sizes.flatMap((size) => [
    "x".repeat(size), "é".repeat(size / 2), Buffer.alloc(size, size % 251 + 1), "y".repeat(size),
  ]);
  await Promise.all(Array.from({ length: 5 }, (_, n) => new Promise((resolve, reject) => {
    const client = new WebSocket("ws://127.0.0.1:" + server.address().port);
    let answers = 0;
    client.on("error", reject).on("open", () => {
      for (const message of messages) client.send(typeof message === "string" ? message + n : message);
    });
    client.on("message", (data, isBinary) => {
      const message = messages[answers++];
      const expected = typeof message === "string" ? Buffer.from(message + n) : message;
      if (isBinary !== (typeof message !== "string") || !expected.equals(data)) reject(new Error("wrong answer " + answers));
      if (answers === messages.length) resolve();
    });
  })));
  const shared = sockets.map((socket) => {
    const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === "kBuffer");
    return socket[symbol] != null;
  });
  console.log("echoed", sockets.length, [...new Set(shared)].join());
  process.exit();
`;

describe("messages of every size are echoed", () => {
  test.each([
    ["from shared memory", "", [], true],
    ["without WebAssembly", "", ["--jitless"], true],
    [
      "from a socket whose `push` was monkey-patched",
      "req.socket.push = function (...args) { return Duplex.prototype.push.apply(this, args) };",
      [],
      false,
    ],
    ["to two `data` listeners", "req.socket.on('data', () => undefined);", [], true],
  ])("%s", async (_name, prepare, flags, shared) => {
    const { stdout, stderr } = await runChild(echoAll(prepare), ...flags);
    // V8 says that `--jitless` disables WebAssembly.
    expect(stderr.replace(/^Warning: disabling flag --expose_wasm.*\n/, "")).toBe("");
    expect(stdout).toBe(`echoed 5 ${shared}\n`);
  });
});
