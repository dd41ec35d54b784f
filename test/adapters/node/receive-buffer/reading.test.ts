/** Tests of sockets that are read into the shared memory, and of those that are not. */
import { spawnSync } from "node:child_process";
import type { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { ok, push, text, upgrade } from "websock-js";
import { compiledForChildren } from "../../../support/child.ts";
import { serve } from "../../../support/node-server.ts";
import { handshake, RawClient } from "../../../support/raw-client.ts";
import { frame, TEXT } from "../../../support/raw-frames.ts";

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

/** Some versions of Node, such as 22.23, do not start with `--jitless`: they use WebAssembly when `node:http` is imported. */
const startsJitless =
  spawnSync(process.execPath, ["--jitless", "--input-type=module", "--eval", 'import "node:http"']).status === 0;

type Case = readonly [name: string, prepare: string, flags: readonly string[], isShared: boolean];

const JITLESS: Case = ["with --jitless", "", ["--jitless"], true];

const cases: readonly Case[] = [
  ["from shared memory", "", [], true],
  ["without WebAssembly", "delete globalThis.WebAssembly;", [], true],
  ...(startsJitless ? [JITLESS] : []),
  [
    "from a socket whose `push` was monkey-patched",
    "req.socket.push = function (...args) { return Duplex.prototype.push.apply(this, args) };",
    [],
    false,
  ],
  ["to two `data` listeners", "req.socket.on('data', () => undefined);", [], true],
];

describe("messages of every size are echoed", () => {
  test.each(cases)("%s", async (_name, prepare, flags, shared) => {
    const { stdout, stderr } = await runChild(echoAll(prepare), ...flags);
    // V8 says that `--jitless` disables WebAssembly.
    expect(stderr.replace(/^Warning: disabling flag --expose_wasm.*\n/, "")).toBe("");
    expect(stdout).toBe(`echoed 5 ${shared}\n`);
  });
});

test("if a callback runs the event loop, and another socket is read meanwhile, the connection is lost, and no other", async () => {
  const sockets: Socket[] = [];
  const seen: string[] = [];
  /** Reads a frame from the socket, as the event loop would do. */
  const readNow = (socket: Socket, bytes: Buffer): void => {
    const internals = socket as unknown as Record<symbol, unknown>;
    const property = (name: string): unknown =>
      internals[Object.getOwnPropertySymbols(socket).find(({ description }) => description === name)!];
    const memory = property("kBuffer") as Buffer;
    bytes.copy(memory);
    Reflect.apply(property("kBufferCb") as () => void, socket, [bytes.length, memory]);
  };
  const { port } = await serve((req) => {
    const n = sockets.push(req.socket);
    upgrade(req, {
      init: () => ok(null),
      handleIn: ({ data }) => {
        seen.push(`${n} ${data}`);
        if (data === "run the event loop") readNow(sockets[1]!, frame(TEXT, "nested"));
        return push(text(`answer to ${data}`), null);
      },
      terminate: (reason) => void seen.push(`${n} ${reason instanceof Object && (reason.error as Error).name}`),
    });
  });
  const [first, second] = [await RawClient.open(port), await RawClient.open(port)];
  await first.send(handshake()).accepted();
  await second.send(handshake()).accepted();
  first.send(Buffer.concat(["run the event loop", "a", "b", "c"].map((message) => frame(TEXT, message))));
  expect(await second.text()).toBe("answer to nested");
  await first.ended;
  expect(seen).toEqual(["1 run the event loop", "2 nested", "1 ConnectionLost"]);
  expect(await second.send(frame(TEXT, "later")).text()).toBe("answer to later");
});
