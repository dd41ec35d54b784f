/** The handlers in the guides do what the text says, with the client in memory; and so does the server of Phoenix channels. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Socket } from "phoenix";
import { expect, onTestFinished, test, vi } from "vitest";
import type { DataMessage } from "websock-js";
import { isolate } from "websock-js/isolate";
import { connect, testPubSub } from "websock-js/testing";
import { WebSocket } from "ws";
import { blocksOf, compiledDocumentation, pages, startFile } from "../support/documentation.ts";
import { TextClient } from "../support/text-client.ts";

const GUIDES = ["handler", "binary", "streaming", "channels", "isolation"].map((name) => `docs/${name}.md`);
const documentation = compiledDocumentation(GUIDES);
const loaded = new Set<string>();

const pathOf = (guide: string, name: string): string => {
  loaded.add(`docs/${guide}.md: ${name}.ts`);
  return join(documentation.folder(`docs/${guide}.md`), `${name}.js`);
};
const load = async (guide: string, name: string) => import(pathToFileURL(pathOf(guide, name)).href);
const textsOf = (messages: readonly DataMessage[]): unknown[] => messages.map(({ data }) => data);

test("handler.md: results", async () => {
  const { Counter } = await load("handler", "counter");
  const client = await connect(Counter);
  for (const text of ["a", "b", "count", "list", "bye"]) client.send(text);
  expect(await client.ended).toEqual({ code: 1000, text: "see you", reason: "normal" });
  expect(textsOf(client.received as readonly DataMessage[])).toEqual(['{"count":2}', "one", "two", "bye"]);
});

test("handler.md: the timer ends with the connection", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
  const { Clock } = await load("handler", "clock");
  const client = await connect(Clock);
  vi.advanceTimersByTime(1_000);
  expect(await client.receive()).toEqual({ opcode: "text", data: "tick 0" });
  client.drop();
  await client.ended;
  expect(vi.getTimerCount()).toBe(0);
});

test("handler.md: a module", async () => {
  const client = await connect(await load("handler", "echo"), "hello");
  client.send("hi");
  client.send("bye");
  expect((await client.ended).code).toBe(1000);
  expect(textsOf(client.received as readonly DataMessage[])).toEqual(["hello", "hi"]);
});

test("binary.md: a sum", async () => {
  const { Sum } = await load("binary", "sum");
  const client = await connect(Sum);
  client.send(new Uint8Array([0, 0, 1, 0]));
  client.send(new Uint8Array([255, 255, 255, 255]));
  await client.settled();
  expect(client.received.map(({ data }) => [...(data as Uint8Array)])).toEqual([
    [0, 0, 0, 0, 0, 0, 1, 0],
    [0, 0, 0, 1, 0, 0, 0, 255],
  ]);
  client.send(new Uint8Array(3));
  expect(await client.ended).toMatchObject({ code: 4000, text: "4 bytes are expected" });
  const other = await connect(Sum);
  other.send("1");
  expect(await other.ended).toMatchObject({ code: 1003, text: "binary only" });
});

test("streaming.md: rows come no faster than the client reads, and end with the connection", async () => {
  const { Rows } = await load("streaming", "rows");
  let produced = 0;
  let signal: AbortSignal | undefined;
  const source = async function* (_table: string, given: AbortSignal) {
    signal = given;
    for (; !given.aborted; produced += 1) yield { row: "x".repeat(1_000) };
  };
  const client = await connect(Rows, source);
  client.stopReading();
  client.send("people");
  await client.settled();
  // 64 KiB are about 65 rows.
  expect(produced).toBeGreaterThan(50);
  expect(produced).toBeLessThan(100);
  client.drop();
  await client.ended;
  expect(signal?.aborted).toBe(true);
});

test("streaming.md: a stream that fails is logged, and ends the connection", async () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
  onTestFinished(() => log.mockRestore());
  const { Rows } = await load("streaming", "rows");
  const error = new Error("no such table");
  const client = await connect(Rows, () => {
    throw error;
  });
  client.send("people");
  expect(await client.ended).toEqual({ code: 1011, text: "", reason: { error } });
  expect(log.mock.calls).toEqual([[error]]);
  expect(client.errors).toEqual([]);
});

test("streaming.md: an upload", async () => {
  const folder = mkdtempSync(join(tmpdir(), "websock-upload-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const { Upload } = await load("streaming", "upload");
  const path = join(folder, "file");
  const client = await connect(Upload, path);
  for (const part of ["one ", new TextEncoder().encode("two "), "three", "done"]) client.send(part);
  expect((await client.ended).code).toBe(1000);
  expect(readFileSync(path, "utf8")).toBe("one two three");
});

test("channels.md: the server", async () => {
  const { url } = await startFile(pathOf("channels", "server"));
  const address = `ws://localhost:${url.port}/socket`;
  const socket = new Socket(address, { params: { name: "ada" }, transport: WebSocket as never });
  onTestFinished(() => socket.disconnect());
  socket.connect();
  const room = socket.channel("room:1");
  const said = new Promise((resolve) => {
    room.on("said", resolve);
  });
  const answers = new Promise((resolve) => {
    room.join().receive("ok", () => room.push("say", "hello" as never).receive("ok", resolve));
  });
  expect(await said).toEqual({ name: "ada", text: "hello" });
  expect(await answers).toEqual({});
  const refused = new Promise((resolve) => {
    socket.channel("room:secret").join().receive("error", resolve);
  });
  expect(await refused).toEqual({ reason: "members only" });
  expect(await new TextClient(`${address}/websocket?vsn=2.0.0`).refusal()).toBe(403);
});

test("isolation.md: handlers in a worker", async () => {
  const Chat = isolate(pathToFileURL(pathOf("isolation", "chat")), { workers: 1 });
  const Room = isolate(pathToFileURL(pathOf("isolation", "room")), { workers: 1, pubsub: testPubSub() });
  onTestFinished(async () => void (await Promise.all([Chat.close(), Room.close()])));
  for (const client of [await connect(Chat, { user: "ada" }), await connect(Room)]) {
    client.send("hi");
    expect(await client.receive()).toEqual({ opcode: "text", data: "hi" });
  }
});

test("every file of every page is run by a test", () => {
  const elsewhere = /^(README|docs\/getting-started|docs\/(recipes|migration|deployment)\/.*)\.md$/;
  const files = pages
    .filter((page) => !elsewhere.test(page))
    .flatMap((page) => blocksOf(page).flatMap(({ name }) => (name?.endsWith(".ts") ? `${page}: ${name}` : [])));
  expect(files.sort()).toEqual([...loaded].sort());
});
