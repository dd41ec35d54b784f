/** The programs in docs/migration: those with other libraries and those with this one do the same. */
import { once } from "node:events";
import { join } from "node:path";
import { Socket } from "phoenix";
import { io } from "socket.io-client";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { blocksOf, compiledDocumentation, type Program, pages, startFile } from "../support/documentation.ts";
import { TextClient } from "../support/text-client.ts";

// The code of docs/migration/ws.md is that of examples/, and is run by its tests.
const GUIDES = pages.filter((page) => page.startsWith("docs/migration/") && page !== "docs/migration/ws.md");
const documentation = compiledDocumentation(GUIDES);
const started = new Set<string>();

const start = (guide: string, name: string): Promise<Program> => {
  const page = `docs/migration/${guide}.md`;
  started.add(`${page}: ${name}.ts`);
  return startFile(join(documentation.folder(page), `${name}.js`));
};

describe.each([
  ["crossws", "/?user="],
  ["express-ws", "/room/"],
  ["fastify-websocket", "/room/"],
])("%s", (guide, path) => {
  test.each(["before", "after"])("%s: a room", async (name) => {
    const { url, stderr } = await start(guide, name);
    const open = (user: string): TextClient => new TextClient(`ws://localhost:${url.port}${path}${user}`);
    const ada = open("ada");
    await ada.messages(1);
    const ben = open("ben");
    await ben.messages(1);
    ada.socket.send("hi");
    expect(await ada.messages(2)).toEqual(["hello, ada", "ada: hi"]);
    expect(await ben.messages(2)).toEqual(["hello, ben", "ada: hi"]);
    ben.socket.close(1000);
    expect(await ada.messages(3)).toEqual(["hello, ada", "ada: hi", "ben left"]);
    if (guide === "crossws") expect(await open("").refusal()).toBe(401);
    expect(stderr()).toBe("");
  });
});

describe("socket-io", () => {
  test("before", async () => {
    const { url } = await start("socket-io", "before");
    const open = (user: string) => {
      const socket = io(`http://localhost:${url.port}`, { auth: { user }, forceNew: true });
      onTestFinished(() => void socket.close());
      return socket;
    };
    const next = (socket: ReturnType<typeof open>, event: string): Promise<unknown> =>
      new Promise((resolve) => {
        socket.once(event, resolve);
      });
    const [ada, ben] = [open("ada"), open("ben")];
    await Promise.all([next(ada, "connect"), next(ben, "connect")]);
    const said = next(ben, "said");
    expect(await ada.emitWithAck("say", "hello")).toEqual({ length: 5 });
    expect(await said).toEqual({ user: "ada", text: "hello" });
    const left = next(ada, "left");
    ben.close();
    expect(await left).toEqual({ user: "ben" });
    const stranger = open("");
    await next(stranger, "connect_error");
  });

  test("after", async () => {
    const { url } = await start("socket-io", "after");
    const open = (user: string) => {
      const socket = new Socket(`ws://localhost:${url.port}/socket`, {
        params: { user },
        transport: WebSocket as never,
      });
      onTestFinished(() => socket.disconnect());
      socket.connect();
      const room = socket.channel("room:lobby");
      const joined = new Promise((resolve) => {
        room.join().receive("ok", resolve);
      });
      const next = (event: string): Promise<unknown> =>
        new Promise((resolve) => {
          room.on(event, resolve);
        });
      return { socket, room, joined, next };
    };
    const [ada, ben] = [open("ada"), open("ben")];
    await Promise.all([ada.joined, ben.joined]);
    const said = ben.next("said");
    const reply = new Promise((resolve) => {
      ada.room.push("say", "hello" as never).receive("ok", resolve);
    });
    expect(await reply).toEqual({ length: 5 });
    expect(await said).toEqual({ user: "ada", text: "hello" });
    const left = ada.next("left");
    ben.socket.disconnect();
    expect(await left).toEqual({ user: "ben" });
    const stranger = new TextClient(`ws://localhost:${url.port}/socket/websocket?vsn=2.0.0`);
    expect(await stranger.refusal()).toBe(403);
  });
});

test("elixir", async () => {
  const { url, child, stderr } = await start("elixir", "after");
  const client = new TextClient(`ws://localhost:${url.port}/echo/ada`);
  await client.messages(1);
  client.socket.send("one");
  expect(await client.messages(2)).toEqual(["hello, ada", "one"]);
  const printed = once(child.stderr!, "data");
  client.socket.send("bye");
  expect(await client.closed).toBe("1000 after 1 messages");
  await printed;
  expect(stderr()).toBe("normal\n");
});

test("every program of these guides was run", () => {
  const files = GUIDES.flatMap((page) =>
    blocksOf(page).flatMap(({ name }) => (name?.endsWith(".ts") && name !== "echo.ts" ? `${page}: ${name}` : [])),
  );
  expect(files.sort()).toEqual([...started].sort());
});
