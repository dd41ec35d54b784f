/** The recipes in docs/recipes run, with real clients, and do what their text says. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createClient } from "graphql-ws";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import { Doc } from "yjs";
import { blocksOf, compiledDocumentation, type Program, pages, root, startFile } from "../support/documentation.ts";
import { TextClient } from "../support/text-client.ts";

const RECIPES = pages.filter((page) => page.startsWith("docs/recipes/"));
const documentation = compiledDocumentation(RECIPES);
const started = new Set<string>();

const pathOf = (page: string, name: string): string => {
  started.add(`${page}: ${name}.ts`);
  return join(documentation.folder(`docs/recipes/${page}.md`), `${name}.js`);
};
const start = (page: string, name = page): Promise<Program> => startFile(pathOf(page, name));

const toSocket = (url: URL, path = ""): string => `ws://localhost:${url.port}${path}`;

describe("authentication", () => {
  test("by a cookie", async () => {
    const { url } = await start("authentication", "cookie");
    const address = toSocket(url, "/chat");
    expect(await new TextClient(address).refusal()).toBe(401);
    expect(await new TextClient(address, [], { headers: { cookie: "session=0000" } }).refusal()).toBe(401);
    const headers = { cookie: "a=b; session=4f1c" };
    expect(await new TextClient(address, [], { headers, origin: "https://evil.example" }).refusal()).toBe(403);
    expect(await new TextClient(address, [], { headers }).messages(1)).toEqual(["hello, ada"]);
  });

  test("by a token as a subprotocol", async () => {
    const { url } = await start("authentication", "subprotocol");
    expect(await new TextClient(toSocket(url)).refusal()).toBe(401);
    expect(await new TextClient(toSocket(url), ["chat.v1", "0000"]).refusal()).toBe(401);
    const client = new TextClient(toSocket(url), ["chat.v1", "7f3a"], { origin: "https://example.com" });
    expect(await client.messages(1)).toEqual(["hello, ada"]);
    expect(client.socket.protocol).toBe("chat.v1");
  });

  test("by a ticket, which is valid once", async () => {
    const { url } = await start("authentication", "ticket");
    const tickets = new URL("/tickets", url);
    expect((await fetch(tickets, { method: "POST" })).status).toBe(401);
    const answer = await fetch(tickets, { method: "POST", headers: { authorization: "Bearer 7f3a" } });
    const address = toSocket(url, `/chat?ticket=${((await answer.json()) as { ticket: string }).ticket}`);
    expect(await new TextClient(address).messages(1)).toEqual(["hello, ada"]);
    expect(await new TextClient(address).refusal()).toBe(401);
  });
});

test("refusal: the client sees the code and the text", async () => {
  const { url, stderr } = await start("refusal");
  expect(await new TextClient(toSocket(url, "/chat/ada")).messages(1)).toEqual(["hello, ada"]);
  expect(await new TextClient(toSocket(url, "/chat/mallory")).closed).toBe("4003 your account is closed");
  expect(await new TextClient(toSocket(url, "/chat/nobody")).closed).toBe("4001 please log in again");
  expect(stderr()).toBe("");
});

test("kick: all connections of the user, and no other", async () => {
  const { url } = await start("kick");
  const [one, two, ben] = ["ada", "ada", "ben"].map((user) => new TextClient(toSocket(url, `/chat/${user}`)));
  for (const client of [one!, two!, ben!]) await client.messages(1);
  expect((await fetch(new URL("/kick/ada", url), { method: "POST" })).status).toBe(204);
  expect([await one!.closed, await two!.closed]).toEqual(["4003 logged out", "4003 logged out"]);
  ben!.socket.send("still here");
  expect(await ben!.messages(2)).toEqual(["hello, ben", "still here"]);
});

describe("rate limit", () => {
  const burst = Array.from({ length: 12 }, (_, i) => String(i));
  const send = async (client: TextClient): Promise<void> => {
    await once(client.socket, "open");
    for (const text of burst) client.socket.send(text);
  };

  test("strict: the burst is answered, and the next message closes", async () => {
    const { url } = await start("rate-limit");
    const client = new TextClient(toSocket(url, "/strict"));
    await send(client);
    expect(await client.closed).toBe("1008 too many messages");
    expect(client.received).toEqual(burst.slice(0, 10));
  });

  test("patient: all are answered, the last ones later", async () => {
    const { url } = await start("rate-limit");
    const client = new TextClient(toSocket(url, "/patient"));
    await send(client);
    await client.messages(10);
    const at = performance.now();
    expect(await client.messages(12)).toEqual(burst);
    expect(performance.now() - at).toBeGreaterThan(100);
  });

  test("three connections for each user", async () => {
    const { url } = await start("rate-limit");
    const address = toSocket(url, "/three/ada");
    const clients = [];
    for (let i = 0; i < 3; i += 1) {
      clients.push(new TextClient(address));
      await clients[i]!.messages(1);
    }
    expect(await new TextClient(address).closed).toBe("4008 too many connections");
    clients[0]!.socket.close();
    await clients[0]!.closed;
    expect(await new TextClient(address).messages(1)).toEqual(["welcome"]);
  });
});

describe("reconnect", () => {
  /** A WebSocket that a test opens and closes. */
  class FakeSocket extends EventTarget {
    static last: FakeSocket;
    static opened = 0;
    static OPEN = 1;
    onmessage?: (event: { data: string }) => void;
    onclose?: (event: { code: number; reason: string }) => void;
    readyState = 0;
    readonly sent: string[] = [];
    constructor() {
      super();
      FakeSocket.last = this;
      FakeSocket.opened += 1;
    }
    message(data: string): void {
      this.dispatchEvent(new Event("message"));
      this.onmessage?.({ data });
    }
    /** As in browsers, throws while the socket connects. */
    send(data: string): void {
      if (this.readyState === 0) throw new Error("InvalidStateError");
      this.sent.push(data);
    }
    /** As in browsers, a socket that is closed while it connects reports 1006. */
    close(code: number): void {
      const reported = this.readyState === 0 ? 1006 : code;
      const isClosed = this.readyState === 3;
      this.readyState = 3;
      if (!isClosed) this.onclose!({ code: reported, reason: "" });
    }
  }

  const connected = async () => {
    vi.useFakeTimers();
    vi.stubGlobal("WebSocket", FakeSocket);
    vi.spyOn(Math, "random").mockReturnValue(1);
    onTestFinished(() => {
      vi.useRealTimers();
      vi.unstubAllGlobals();
      vi.restoreAllMocks();
    });
    FakeSocket.opened = 0;
    const { connect } = await import(pathToFileURL(pathOf("reconnect", "reconnect")).href);
    const [messages, ends]: [unknown[], number[]] = [[], []];
    const { send, close } = connect(
      "ws://localhost",
      (data: unknown) => messages.push(data),
      (code: number) => ends.push(code),
    );
    return { messages, ends, send, close };
  };

  const [block] = blocksOf("docs/recipes/reconnect.md");
  test("has at most 15 lines", () => {
    const lines = block!.code.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("// reconnect.ts"));
    expect(lines.length).toBeLessThanOrEqual(15);
  });

  const table = [
    ...readFileSync(join(root, "docs/recipes/reconnect.md"), "utf8").matchAll(/^\| (\d{4}) \|.*\| (yes|no) \|$/gm),
  ];
  test("the table has a row for each code that may be seen", () => expect(table.length).toBeGreaterThan(12));

  test.each(table.map(([, code, answer]) => [Number(code), answer]))("code %i: %s", async (code, answer) => {
    const { ends } = await connected();
    FakeSocket.last.onclose!({ code: code as number, reason: "" });
    vi.advanceTimersByTime(1_000);
    expect([FakeSocket.opened, ends]).toEqual(answer === "yes" ? [2, []] : [1, [code]]);
  });

  test("it waits longer after each failure, up to 30 seconds, until a message arrives", async () => {
    const { messages } = await connected();
    for (const delay of [1, 2, 4, 8, 16, 30, 30]) {
      const { opened } = FakeSocket;
      FakeSocket.last.onclose!({ code: 1006, reason: "" });
      vi.advanceTimersByTime(delay * 1_000 - 1);
      expect(FakeSocket.opened).toBe(opened);
      vi.advanceTimersByTime(1);
      expect(FakeSocket.opened).toBe(opened + 1);
    }
    FakeSocket.last.message("hi");
    const { opened } = FakeSocket;
    FakeSocket.last.onclose!({ code: 1006, reason: "" });
    vi.advanceTimersByTime(1_000);
    expect([FakeSocket.opened, messages]).toEqual([opened + 1, ["hi"]]);
  });

  test("close ends it, also while it connects or waits", async () => {
    const connecting = await connected();
    connecting.close();
    vi.advanceTimersByTime(60_000);
    expect([FakeSocket.opened, connecting.ends]).toEqual([1, [1006]]);
    const waiting = await connected();
    Object.assign(FakeSocket.last, { readyState: 3 }).onclose!({ code: 1012, reason: "" });
    waiting.close();
    vi.advanceTimersByTime(60_000);
    expect([FakeSocket.opened, waiting.ends]).toEqual([1, [1000]]);
  });

  test("what is sent before the connection is open is dropped", async () => {
    const { send } = await connected();
    const { last } = FakeSocket;
    expect(send("early")).toBe(false);
    last.readyState = 1;
    send("hi");
    expect(last.sent).toEqual(["hi"]);
  });
});

test("JSON with a schema: valid commands are answered, and others close", async () => {
  const { url, stderr } = await start("json-schema");
  const client = new TextClient(toSocket(url));
  await once(client.socket, "open");
  client.socket.send(JSON.stringify({ type: "add", title: "write" }));
  client.socket.send(JSON.stringify({ type: "move", id: 1, column: "done" }));
  expect((await client.messages(2)).map((text) => JSON.parse(text))).toEqual([
    { type: "added", id: 1, title: "write" },
    { type: "moved", id: 1, column: "done" },
  ]);
  client.socket.send(JSON.stringify({ type: "move", id: 1, column: "nowhere" }));
  expect(await client.closed).toBe("1007 not a valid command");
  const other = new TextClient(toSocket(url));
  await once(other.socket, "open");
  other.socket.send("{");
  expect(await other.closed).toBe("1007 not a valid command");
  expect(stderr()).toBe("");
});

describe("graphql-ws", () => {
  test("its own client receives a query and a subscription", async () => {
    const { url, stderr } = await start("graphql-ws", "graphql");
    const client = createClient({ url: toSocket(url), webSocketImpl: WebSocket });
    onTestFinished(() => void client.dispose());
    const results = async (query: string): Promise<unknown[]> => {
      const found = [];
      for await (const { data } of client.iterate({ query })) found.push(data);
      return found;
    };
    expect(await results("{ hello }")).toEqual([{ hello: "world" }]);
    expect(await results("subscription { greetings }")).toEqual([
      { greetings: "hi" },
      { greetings: "bonjour" },
      { greetings: "hola" },
    ]);
    expect(stderr()).toBe("");
  });

  test("a violation of the protocol closes with the codes of the protocol", async () => {
    const { url } = await start("graphql-ws", "graphql");
    const client = new TextClient(toSocket(url), ["graphql-transport-ws"]);
    await once(client.socket, "open");
    client.socket.send("nonsense");
    expect(await client.closed).toBe("4400 Invalid message received");
    expect(await new TextClient(toSocket(url)).closed).toMatch(/^4406 /);
  });
});

test("Yjs: two documents become equal, and each sees who else is there", async () => {
  const { url, stderr } = await start("yjs");
  const open = (name: string): { doc: Doc; provider: WebsocketProvider } => {
    const doc = new Doc();
    const provider = new WebsocketProvider(toSocket(url), "shopping-list", doc, {
      WebSocketPolyfill: WebSocket as never,
      disableBc: true,
    });
    onTestFinished(() => provider.destroy());
    provider.awareness.setLocalStateField("user", { name });
    return { doc, provider };
  };
  const until = (provider: WebsocketProvider, names: readonly string[]): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        const present = [...provider.awareness.getStates().values()].map(({ user }) => user?.name).sort();
        if (String(present) === String(names)) resolve();
      };
      provider.awareness.on("change", check);
      check();
    });

  const contains = (doc: Doc, text: string): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => void (String(doc.getText("items")) === text && resolve());
      doc.on("update", check);
      check();
    });

  const ada = open("ada");
  ada.doc.getText("items").insert(0, "milk\n");
  const ben = open("ben");
  await Promise.all([until(ada.provider, ["ada", "ben"]), until(ben.provider, ["ada", "ben"])]);
  await contains(ben.doc, "milk\n");
  ben.doc.getText("items").insert(5, "eggs\n");
  await contains(ada.doc, "milk\neggs\n");

  const left = until(ada.provider, ["ada"]);
  ben.provider.ws?.close();
  ben.provider.destroy();
  await left;

  const client = new TextClient(toSocket(url, "/shopping-list"));
  await once(client.socket, "open");
  client.socket.send(new Uint8Array([0, 2, 255]));
  expect(await client.closed).toBe("1007 not a message of Yjs");
  expect(stderr()).toBe("");
});

test("every file of a recipe was run", () => {
  const files = RECIPES.flatMap((page) =>
    blocksOf(page).flatMap(({ name }) =>
      name?.endsWith(".ts") && name !== "messages.ts" ? `${page.slice("docs/recipes/".length, -3)}: ${name}` : [],
    ),
  );
  expect(files.sort()).toEqual([...started].sort());
});
