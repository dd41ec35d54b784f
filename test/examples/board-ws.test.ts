/** The task board on this library and on `ws`: both do the same, and the migration guide shows both as they are. */
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

/** The files of each side; `messages.ts`, the page and its script are the same for both. */
const OURS = ["board", "hub", "server"].map((name) => `examples/board/${name}.ts`);
const THEIRS = ["board", "server"].map((name) => `examples/board-ws/${name}.ts`);

/** Lines without blank lines and comments. */
const linesOfCode = (path: string): number =>
  read(path)
    .replaceAll(/\/\*[\s\S]*?\*\//g, "")
    .split("\n")
    .filter((line) => !/^\s*(?:\/\/.*)?$/.test(line)).length;
const total = (paths: readonly string[]): number => paths.reduce((sum, path) => sum + linesOfCode(path), 0);

describe.each(["board", "board-ws"])("examples/%s", (name) => {
  let server: Server;
  let url: string;
  beforeAll(async () => {
    const { PORT } = process.env;
    process.env.PORT = "0";
    ({ server } = (await import(`../../examples/${name}/server.ts`)) as { server: Server });
    process.env.PORT = PORT;
    if (PORT === undefined) delete process.env.PORT;
    if (!server.listening) await once(server, "listening");
    url = `ws://localhost:${(server.address() as AddressInfo).port}/board`;
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  const join = async (board: string, name: string) => {
    const socket = new WebSocket(`${url}?${new URLSearchParams({ board, name })}`);
    onTestFinished(() => socket.terminate());
    const received: unknown[] = [];
    const waiters: (() => void)[] = [];
    socket.on("message", (data) => {
      received.push(JSON.parse(String(data)));
      for (const wake of waiters.splice(0)) wake();
    });
    const closed = once(socket, "close").then(([code, reason]) => [code, String(reason)]);
    await once(socket, "open");
    let taken = 0;
    return {
      socket,
      closed,
      send: (command: unknown) => socket.send(JSON.stringify(command)),
      next: async () => {
        while (taken === received.length) await new Promise<void>((resolve) => waiters.push(resolve));
        return received[taken++];
      },
    };
  };

  test("people on a board see its tasks, each other's changes, and who is there", async () => {
    const ada = await join("one", "Ada");
    const first = await ada.next();
    expect(first).toEqual({ type: "board", columns: ["to do", "doing", "done"], tasks: [], who: ["Ada"] });
    ada.send({ type: "add", title: "write" });
    const { task } = (await ada.next()) as { task: { id: number } };
    expect(task).toEqual({ id: expect.any(Number), title: "write", column: 0 });
    const ben = await join("one", "Ben");
    expect(await ben.next()).toMatchObject({ type: "board", tasks: [task], who: ["Ada", "Ben"] });
    expect(await ada.next()).toEqual({ type: "who", who: ["Ada", "Ben"] });
    ben.send({ type: "move", id: task.id, column: 2 });
    for (const client of [ada, ben])
      expect(await client.next()).toEqual({ type: "task", task: { ...task, column: 2 } });
    ben.socket.close();
    expect(await ada.next()).toEqual({ type: "who", who: ["Ada"] });
  });

  test("a user is kicked from every board", async () => {
    const [ada, here, there] = [await join("two", "Ada"), await join("two", "Mallory"), await join("three", "Mallory")];
    for (const client of [here, there]) await client.next();
    ada.send({ type: "kick", name: "Mallory" });
    for (const client of [here, there]) expect(await client.closed).toEqual([4003, "kicked"]);
    expect(ada.socket.readyState).toBe(WebSocket.OPEN);
  });

  test.each(["x", "{}", '{"type":"move","id":1,"column":3}', Buffer.from('{"type":"kick","name":"Eve"}')])(
    "what is not a command closes the connection: %s",
    async (data) => {
      const ada = await join("four", "Ada");
      await ada.next();
      ada.socket.send(data);
      expect(await ada.closed).toEqual([1007, "invalid message"]);
    },
  );

  test("without a name, the connection is closed", async () => {
    expect(await (await join("five", "")).closed).toEqual([1011, ""]);
  });

  test("a page of another host is refused", async () => {
    const socket = new WebSocket(`${url}?board=six&name=Ada`, { origin: "https://evil.example" });
    const [error] = await once(socket, "error");
    expect(String(error)).toContain("403");
  });
});

test("ours is shorter", () => {
  expect(total(OURS)).toBeLessThan(0.7 * total(THEIRS));
});

const GUIDE = "docs/migration/ws.md";
const EMBEDDED = /(<!-- (examples\/\S+) -->\n\n```ts\n)[\s\S]*?\n```/g;

test("the migration guide contains both as they are, with their numbers of lines", () => {
  const present = read(GUIDE);
  const current = present
    .replaceAll(EMBEDDED, (_block, head, path) => `${head}${read(path).trimEnd()}\n\`\`\``)
    .replaceAll(/(\*\*websock-js: )\d+( lines\*\*)/g, `$1${total(OURS)}$2`)
    .replaceAll(/(\*\*ws: )\d+( lines\*\*)/g, `$1${total(THEIRS)}$2`);
  if (process.env.UPDATE_DOCS) writeFileSync(new URL(`../../${GUIDE}`, import.meta.url), current);
  else expect(present).toBe(current);
  const embedded = [...current.matchAll(EMBEDDED)].map(([, , path]) => path);
  expect(embedded).toEqual(["examples/board/messages.ts", ...OURS, ...THEIRS]);
});
