/** Tests the chat demo as its users see it: the built server in a process of its own, and real browsers. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { backoff } from "../../examples/chat/page/connection.ts";
import type { FromServer } from "../../examples/chat/protocol.ts";
import { haveChromium, launchChromium } from "../../scripts/chromium.ts";
import { haveNatsServer } from "../support/nats-server.ts";
import { haveRedis, startRedis } from "../support/redis-server.ts";
import { type ChatServer, compileChat, DEMO, enter, type Person, startChat } from "./chat-server.ts";

const hasBrowser = haveChromium();

let server: ChatServer;
let url: string;

const startServer = async (port: string): Promise<void> => {
  server = await startChat([], { PORT: port });
  ({ url } = server);
};

const stopServer = (signal: NodeJS.Signals): Promise<number | null> => server.stop(signal);

const startForEachTest = (): void => {
  beforeEach(() => startServer("0"));
  afterEach(async () => void (await stopServer("SIGKILL")));
};

beforeAll(compileChat);

describe.skipIf(!hasBrowser)("in the browser", () => {
  let browser: Browser;
  let complaints: string[];

  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());
  startForEachTest();
  beforeEach(() => {
    complaints = [];
  });
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    await stopServer("SIGKILL"); // if this hook fails, the next one does not run
    expect(complaints).toEqual([]);
  });

  const openDoor = async (): Promise<Page> => {
    const page = await (await browser.newContext()).newPage();
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("dialog", (dialog) => complaints.push(dialog.message()));
    page.on("console", (message) => {
      // The browser logs a refused connection, whatever the page does.
      if (message.type() === "error" && !message.text().includes("ERR_CONNECTION_REFUSED")) {
        complaints.push(message.text());
      }
    });
    await page.goto(url);
    return page;
  };

  const enter = async (name: string, room: string): Promise<Page> => {
    const page = await openDoor();
    await page.getByLabel("Your name").fill(name);
    await page.getByLabel("Room").fill(room);
    await page.getByRole("button", { name: "Join" }).click();
    await status(page, "Connected");
    return page;
  };

  const status = (page: Page, text: string) =>
    page
      .getByRole("status")
      .filter({ hasText: new RegExp(`^${text}$`) })
      .waitFor();

  const say = async (page: Page, text: string): Promise<void> => {
    await page.getByLabel("Your message").fill(text);
    await page.keyboard.press("Enter");
  };

  const hears = (page: Page, text: string) => page.getByRole("log").getByText(text, { exact: true }).waitFor();

  /** Waits until the list of people contains exactly these names. */
  const present = (page: Page, ...names: string[]) =>
    page.waitForFunction(
      (expected) =>
        Array.from(document.querySelectorAll("#people .name"), (name) => name.textContent).join() === expected,
      names.join(),
    );

  test("people in a room see and hear each other, and nobody else", async () => {
    const ada = await enter("Ada", "lobby");
    const ben = await enter("Ben", "Lobby ");
    const eve = await enter("Eve", "cellar");
    await present(ada, "Ada (you)", "Ben");
    await present(ben, "Ada", "Ben (you)");
    await present(eve, "Eve (you)");
    await ada.getByRole("log").getByText("Ben joined").waitFor();

    await say(ada, "hello");
    await hears(ben, "hello");
    await say(ben, "hello yourself");
    await hears(ada, "hello yourself");
    // A message in Eve's own room arrives after any that were wrongly sent to it before.
    await say(eve, "anybody?");
    await hears(eve, "anybody?");
    expect(await eve.locator("#log .words").allTextContents()).toEqual(["anybody?"]);

    await ben.getByRole("button", { name: "Leave" }).click();
    await ada.getByRole("log").getByText("Ben left").waitFor();
    await present(ada, "Ada (you)");
    const cy = await enter("Cy", "lobby");
    expect(await cy.locator("#log .words").allTextContents()).toEqual(["hello", "hello yourself"]);
  });

  test("the page can be used with the keyboard alone, and shows the focus", async () => {
    const page = await openDoor();
    const focused = async (): Promise<string> => {
      const [id, outline] = await page.evaluate(() => {
        const element = document.activeElement!;
        return [element.id || (element.textContent ?? "").trim(), getComputedStyle(element).outlineStyle];
      });
      expect(outline, `the focus ring of ${id}`).not.toBe("none");
      return id!;
    };
    const press = async (...keys: string[]): Promise<string> => {
      for (const key of keys) await page.keyboard.press(key);
      return focused();
    };

    expect(await focused()).toBe("name");
    await page.keyboard.type("Ada");
    expect(await press("Tab")).toBe("room");
    await page.keyboard.type("keys");
    expect(await press("Enter")).toBe("draft");
    await status(page, "Connected");
    await page.keyboard.type("two");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("lines");
    expect(await press("Enter")).toBe("draft");
    await hears(page, "two lines"); // a line break is white space here
    expect(await page.locator("#log .words").textContent()).toBe("two\nlines");

    expect(await press("Tab")).toBe("Send");
    expect(await press("Tab")).toMatch(/^Inspector/);
    await page.keyboard.press("Enter");
    await page.getByRole("region", { name: "Frames" }).waitFor();
    expect(await press("Tab")).toBe("frames-clear");
    expect(await press("Tab")).toBe("frames-scroll");
    expect(await press("Shift+Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab")).toBe("draft");
    expect(await press("Shift+Tab")).toBe("scroll");
    expect(await press("Shift+Tab", "Shift+Tab")).toBe("leave");
    expect(await press("Shift+Tab")).toBe("Skip to your message");
    expect(await press("Enter")).toBe("draft");
    expect(await press("Shift+Tab", "Shift+Tab", "Shift+Tab", "Enter")).toBe("name");
  });

  test("the inspector shows the messages in both directions", async () => {
    const page = await enter("Ada", "lobby");
    await page.getByText("Inspector", { exact: true }).click();
    await say(page, "grüß dich");
    await hears(page, "grüß dich");
    const rows = await page
      .locator("#frames tr")
      .evaluateAll((found) => found.map((row) => Array.from(row.querySelectorAll("td"), (cell) => cell.textContent)));
    expect(rows.map(([way]) => way)).toEqual(["· connection", "↓ received", "↓ received", "↑ sent", "↓ received"]);
    expect(rows.map(([, , , content]) => content === "open" || JSON.parse(content!).type)).toEqual([
      true,
      "welcome",
      "joined",
      "say",
      "said",
    ]);
    for (const [, time, size, content] of rows.slice(1)) {
      expect(time).toMatch(/^\d\d:\d\d:\d\d\.\d{3}$/);
      expect(size).toBe(`${Buffer.byteLength(content!)} B`);
    }
    await page.getByRole("button", { name: "Clear" }).click();
    expect(await page.locator("#frames tr").count()).toBe(0);
  });

  test("a log at its end scrolls to new messages; one that was scrolled up does not, and shows a button", async () => {
    const ada = await enter("Ada", "lobby");
    const ben = await enter("Ben", "lobby");
    const newest = ada.getByRole("button", { name: "New messages" });
    const atEnd = () =>
      ada.waitForFunction(() => {
        const scroll = document.querySelector("#scroll")!;
        const last = scroll.querySelector("#log")!.lastElementChild!.getBoundingClientRect();
        return scroll.scrollTop > 0 && last.bottom <= scroll.getBoundingClientRect().bottom;
      });
    for (let count = 0; count < 30; count++) await say(ben, `message ${count}`);
    await hears(ada, "message 29");
    await atEnd();
    await ada.getByText("Inspector", { exact: true }).click();
    await atEnd();
    expect(await newest.isVisible()).toBe(false);

    await ada.locator("#scroll").press("Home");
    await ada.waitForFunction(() => document.querySelector("#scroll")!.scrollTop === 0);
    await say(ben, "one more");
    await newest.waitFor();
    expect(await ada.locator("#scroll").evaluate((scroll) => scroll.scrollTop)).toBe(0);
    await newest.press("Enter");
    await atEnd();
    expect(await newest.isVisible()).toBe(false);
  });

  test("when the server is killed and restarted, the pages show it, reconnect, and lose no messages", async () => {
    const ada = await enter("Ada", "lobby");
    const ben = await enter("Ben", "lobby");
    await say(ada, "before");
    await hears(ben, "before");

    await stopServer("SIGKILL");
    await Promise.all([status(ada, "Reconnecting…"), status(ben, "Reconnecting…")]);
    await ada.getByText("Connection lost.").waitFor();
    await say(ada, "meanwhile");
    await ada.getByText("not sent yet").waitFor();
    await ada.getByLabel("Your message").fill("unfinished");

    await startServer(new URL(url).port);
    await Promise.all([status(ada, "Connected"), status(ben, "Connected")]);
    await Promise.all([present(ada, "Ada (you)", "Ben"), present(ben, "Ada", "Ben (you)")]);
    await hears(ada, "meanwhile");
    expect(await ada.getByText("not sent yet").count()).toBe(0);
    expect(await ada.getByText("Connection lost.").isVisible()).toBe(false);
    expect(await ada.getByLabel("Your message").inputValue()).toBe("unfinished");
    await hears(ben, "meanwhile");
    await say(ben, "after");
    await hears(ada, "after");
    expect(await ada.locator("#log .words").allTextContents()).toEqual(["before", "meanwhile", "after"]);
  });

  test("a button reconnects immediately, and afterwards the message field has the focus", async () => {
    // The page's clock stands still: only the button makes the page reconnect.
    const page = await openDoor();
    await page.clock.install();
    await page.clock.pauseAt(Date.now() + 60_000);
    await page.keyboard.type("Ada");
    await page.keyboard.press("Enter");
    await status(page, "Connected");
    await stopServer("SIGKILL");
    await page.getByText("Next try in 1 s.").waitFor();
    await startServer(new URL(url).port);
    await page.keyboard.press("Shift+Tab");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("retry");
    await page.keyboard.press("Enter");
    await status(page, "Connected");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("draft");
  });

  test("on several nodes, a page shows which one serves it, and reconnects when that one is killed", async () => {
    await stopServer("SIGKILL");
    server = await startChat(["--nodes", "2"]);
    ({ url } = server);
    const ada = await enter("Ada", "lobby");
    const ben = await enter("Ben", "lobby");
    const nodeOf = async (page: Page): Promise<number> => {
      const label = page.getByRole("banner").getByText(/^node [12] of 2$/);
      return Number((await label.textContent())!.split(" ")[1]);
    };
    process.kill(server.nodes.get(await nodeOf(ada))!, "SIGKILL");
    await status(ada, "Reconnecting…");
    await status(ada, "Connected");
    await nodeOf(ada);
    await present(ada, "Ada (you)", "Ben");
    await say(ada, "here again");
    await hears(ben, "here again");
    await present(ben, "Ada", "Ben (you)");
    expect(await stopServer("SIGTERM")).toBe(0);
  });

  test("what people write is shown as text, never as HTML", async () => {
    const name = "<img src=x onerror=a()>";
    const text = `<img src=x onerror="alert(1)"><script>alert(2)</script><b>bold</b>`;
    const mallory = await enter(name, "lobby");
    const ada = await enter("Ada", "lobby");
    await say(mallory, text);
    for (const page of [mallory, ada]) {
      await hears(page, text);
      expect(await page.locator("#log .who").textContent()).toBe(name);
      expect(await page.locator("#chat").locator("img, script, b").count()).toBe(0);
    }
    await present(ada, name, "Ada (you)");
  });

  test("a user whom the server refuses returns to the form, which shows the reason", async () => {
    const page = await openDoor();
    await page.getByLabel("Your name").fill("\u200b");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText("The server said: a name is needed.").waitFor();
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("name");
  });
});

describe("the server", () => {
  startForEachTest();
  const connect = (query: string, headers = {}): WebSocket =>
    new WebSocket(`${url.replace("http", "ws")}/room?${query}`, { headers });
  const closed = async (socket: WebSocket): Promise<[number, string]> => {
    const [code, reason] = (await once(socket, "close")) as [number, Buffer];
    return [code, reason.toString()];
  };

  test.each([
    ["no JSON", "{", "this is not JSON"],
    ["no object", "null", "this is not an object"],
    ["another type", '{"type":"shout"}', "the only type is say"],
    ["no id", '{"type":"say","text":"x"}', "an id is needed"],
    ["no text", '{"type":"say","id":"x","text":" "}', "a text is needed"],
    [
      "too long a text",
      JSON.stringify({ type: "say", id: "x", text: "x".repeat(1001) }),
      "the text is longer than 1000 characters",
    ],
    ["a binary message", new Uint8Array(1), "only text messages, please"],
  ])("closes with 4000 on %s", async (_what, data, why) => {
    const socket = connect("room=lobby&name=Mallory");
    socket.on("open", () => socket.send(data));
    expect(await closed(socket)).toEqual([4000, why]);
  });

  test.each([
    ["room=lobby", "a name is needed"],
    [`room=lobby&name=${"x".repeat(25)}`, "the name is longer than 24 characters"],
    ["room=lobby&name=%E2%80%AEevil", "the name has characters that cannot be seen"],
    ["name=Mallory", "a room is needed"],
  ])("closes with 4001 on %s", async (query, why) => {
    expect(await closed(connect(query))).toEqual([4001, why]);
  });

  test("refuses pages of other origins, and closes with 1009 on a message that is too large", async () => {
    const [error] = await once(connect("room=lobby&name=Mallory", { origin: "https://elsewhere.example" }), "error");
    expect(error.message).toContain("403");
    const socket = connect("room=lobby&name=Mallory");
    socket.on("open", () => socket.send("x".repeat(16_385)));
    expect((await closed(socket))[0]).toBe(1009);
  });

  test("serves its files with a strict Content-Security-Policy, and nothing else", async () => {
    const page = await fetch(url);
    expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    expect(page.headers.get("content-security-policy")).toContain("require-trusted-types-for 'script'");
    expect((await fetch(`${url}/page/../server.js`)).status).toBe(404);
    expect((await fetch(url, { method: "POST" })).status).toBe(405);
    expect((await fetch(`${url}/room`)).status).toBe(426);
  });

  test.each(["SIGTERM", "SIGINT"] as const)(
    'exits with code 0 on %s, after it has closed all connections with 1012 and sent no "left"',
    async (signal) => {
      const received: string[] = [];
      const sockets = ["Ada", "Ben"].map((name) => connect(`room=lobby&name=${name}`));
      for (const socket of sockets) {
        socket.on("message", (data) => received.push(JSON.parse(String(data)).type));
        await once(socket, "message");
      }
      const ends = Promise.all(sockets.map(closed));
      expect(await stopServer(signal)).toBe(0);
      expect(await ends).toEqual([
        [1012, ""],
        [1012, ""],
      ]);
      expect(received).not.toContain("left");
    },
  );
});

describe.concurrent("several nodes", { timeout: 60_000 }, () => {
  const engines = [
    ["cluster", () => true],
    ["redis", haveRedis],
    ["nats", haveNatsServer],
  ] as const;

  /** Lets people enter until each of two nodes has one. Returns one of each. */
  const enterBoth = async (url: string): Promise<[Person, Person]> => {
    const byNode = new Map<number, Person>();
    for (let count = 1; byNode.size < 2; count++) {
      const person = await enter(url, `Person ${count}`);
      expect(person.welcome.nodes).toBe(2);
      byNode.set(person.welcome.node, person);
    }
    return [byNode.get(1)!, byNode.get(2)!];
  };

  const says = (text: string) => (message: FromServer) => message.type === "said" && message.text === text;
  const about =
    (type: "joined" | "left", { welcome }: Person) =>
    (message: FromServer) =>
      message.type === type && message.person.id === welcome.you.id;
  const textsOf = (messages: readonly FromServer[]): string[] =>
    messages.flatMap((message) => (message.type === "said" ? message.text : []));

  test.for(engines)("people on two nodes share a room (%s)", async ([engine, isInstalled], context) => {
    context.skip(!isInstalled());
    const chat = await startChat(["--nodes", "2", "--engine", engine]);
    context.onTestFinished(async () => void (await chat.stop("SIGTERM")));

    const [ada, ben] = await enterBoth(chat.url);
    const sees = async (person: Person, other: Person): Promise<void> => {
      const { people } = person.welcome;
      if (!people.some(({ id }) => id === other.welcome.you.id)) await person.hears(about("joined", other));
    };
    await Promise.all([sees(ada, ben), sees(ben, ada)]);
    for (const [speaker, text] of [
      [ada, "hello"],
      [ben, "hello yourself"],
    ] as const) {
      speaker.say(text);
      await Promise.all([ada, ben].map((person) => person.hears(says(text))));
    }
    const late = await enterBoth(chat.url);
    for (const { welcome } of late) expect(textsOf(welcome.history)).toEqual(["hello", "hello yourself"]);

    // Of the people of a node that is killed, only Dee comes back.
    const [, cy] = late;
    let key = "";
    let dee: Person;
    do {
      key = crypto.randomUUID();
      dee = await enter(chat.url, "Dee", key);
    } while (dee.welcome.node !== 2);
    await sees(ada, dee);
    process.kill(chat.nodes.get(2)!, "SIGKILL");
    expect(await Promise.all([ben, cy, dee].map(({ closed }) => closed))).toEqual([1006, 1006, 1006]);
    const again = await enter(chat.url, "Dee", key);
    expect(again.welcome.people.filter(({ id }) => id === dee.welcome.you.id)).toEqual([again.welcome.you]);
    await Promise.all([ada.hears(about("left", ben)), ada.hears(about("left", cy))]);
    again.say("still here");
    await ada.hears(says("still here"));
    expect(ada.heard.filter(about("left", dee))).toEqual([]);

    // Node 2 was started again.
    const newest = await enterBoth(chat.url);
    const texts = newest.map(({ welcome }) => textsOf(welcome.history));
    expect(texts).toEqual(Array(2).fill(["hello", "hello yourself", "still here"]));
    const everybody = [ada, again, ...newest];
    expect(await chat.stop("SIGTERM")).toBe(0);
    expect(await Promise.all(everybody.map(({ closed }) => closed))).toEqual([1012, 1012, 1012, 1012]);
    expect(chat.errors).toBe("");
  });

  test("what is said while the engine is away reaches the other nodes when it is back", async (context) => {
    context.skip(!haveRedis());
    await using redis = await startRedis();
    const chat = await startChat(["--nodes", "2", "--engine", "redis"], { REDIS_URL: redis.url });
    context.onTestFinished(async () => void (await chat.stop("SIGTERM")));
    const [ada, ben] = await enterBoth(chat.url);
    await redis.kill9();
    ada.say("from ada");
    ben.say("from ben");
    await Promise.all([ada.hears(says("from ada")), ben.hears(says("from ben"))]);
    expect([textsOf(ada.heard), textsOf(ben.heard)]).toEqual([["from ada"], ["from ben"]]);
    await redis.restart();
    await Promise.all([ada.hears(says("from ben")), ben.hears(says("from ada"))]);
    for (const { heard } of [ada, ben]) expect(heard.map(({ type }) => type)).not.toContain("left");
    expect(await chat.stop("SIGTERM")).toBe(0);
    for (const node of [1, 2]) expect(chat.errors).toContain(`node ${node}: {\n  type: 'away',`);
  });

  const run = (options: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<unknown> =>
    promisify(execFile)(process.execPath, [DEMO, ...options], { env: { ...process.env, ...env } }).catch(
      (error: unknown) => error,
    );

  test.for([
    [["--nodes", "0"], "--nodes must be a number from 1 to 16, not 0\n"],
    [["--nodes", "two"], "--nodes must be a number from 1 to 16, not two\n"],
    [["--nodes", "2", "--engine", "mqtt"], "--engine must be one of cluster, redis, nats, not mqtt\n"],
    [["--engine", "redis"], "--engine needs several nodes: --nodes 2\n"],
    [["--node", "2"], "Unknown option '--node'\n"],
  ] as const)("%s is an error", async ([options, stderr]) => {
    expect(await run(options)).toMatchObject({ code: 1, stderr });
  });

  test("an engine that is not installed is an error", async () => {
    expect(await run(["--nodes", "2", "--engine", "redis"], { PATH: "/nowhere", REDIS_URL: undefined })).toMatchObject({
      code: 1,
      stderr: "redis-server is not installed: run scripts/install-engines.sh, or set REDIS_URL\n",
    });
  });

  test("a port that is taken is an error", async (context) => {
    const server = createServer().listen(0, "127.0.0.1");
    context.onTestFinished(() => void server.close());
    await once(server, "listening");
    const PORT = String((server.address() as AddressInfo).port);
    const stderr = `port ${PORT} is taken; try another: PORT=4001 npm run demo\n`;
    expect(await run(["--nodes", "2"], { HOST: "127.0.0.1", PORT })).toMatchObject({ code: 1, stderr });
  });
});

test("each wait is about twice the previous one, at most 15 s, and random, so that pages do not reconnect together", () => {
  expect([0, 1, 2, 3].map((failures) => backoff(failures, 0))).toEqual([250, 500, 1000, 2000]);
  expect([0, 1, 2, 3].map((failures) => backoff(failures, 1))).toEqual([500, 1000, 2000, 4000]);
  expect([backoff(50, 0), backoff(5000, 1)]).toEqual([7500, 15_000]);
});
