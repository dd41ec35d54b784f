/** Runs the examples as their readers do: compiled, each in a process of its own. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { haveChromium, launchChromium } from "../../scripts/chromium.ts";
import { openHttp2Stream } from "../support/http2-client.ts";
import { RawClient } from "../support/raw-client.ts";
import { haveRedis, startRedis } from "../support/redis-server.ts";
import { commandFor, haveRuntime } from "../support/runtimes.ts";
import { startWorkerd } from "../support/workerd.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

// The package itself is built before all tests.
beforeAll(async () => {
  await promisify(execFile)(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "examples/tsconfig.json"], {
    cwd: root,
  });
});

/** The server that was started last. */
let server: ChildProcess;
/** What the servers have written since then. */
let stderr: string;

/** Starts an example, and returns the URL that it prints. It ends with the test. */
const start = async (name: string, port = "0", environment: Record<string, string> = {}): Promise<URL> => {
  const script = `examples/dist/${name}/server.js`;
  const [file, ...args] = name === "bun" || name === "deno" ? commandFor(name, script) : [process.execPath, script];
  server = spawn(file, args, {
    cwd: root,
    env: { ...process.env, PORT: port, NODE_ENV: "development", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const started = server;
  onTestFinished(() => void started.kill("SIGKILL"));
  stderr = "";
  server.stderr!.on("data", (chunk) => {
    stderr += chunk;
  });
  for await (const line of createInterface(server.stdout!)) {
    const url = /https?:\S+/.exec(line)?.[0];
    if (url !== undefined) return new URL(url);
  }
  throw new Error(`the example ended without listening: ${stderr}`);
};

const nextMessage = async (socket: WebSocket): Promise<string> => String((await once(socket, "message"))[0]);

const runtimes = (["bun", "deno"] as const).filter(haveRuntime);

describe.each(["node", "express", "fastify", "koa", "hono", "h3", "srvx", "ws", ...runtimes])("%s", (name) => {
  test("greets a known user, refuses an unknown one, and shuts down on SIGTERM", async () => {
    const url = await start(name);
    url.hostname = "localhost";
    const address = url.href.replace("http", "ws");

    const stranger = new WebSocket(address);
    const [error] = await once(stranger, "error");
    expect(error.message).toContain("401");
    expect((await fetch(url, { headers: { cookie: "user=ada" } })).status).toBe(426);
    expect((await fetch(new URL("/elsewhere", url))).status).toBe(404);
    // In development, Express itself prints the error of a refusal.
    if (name !== "express") expect(stderr).toBe("");
    stderr = "";

    const [ada, ben] = ["ada", "ben"].map((user) => new WebSocket(address, { headers: { cookie: `user=${user}` } }));
    expect(await Promise.all([nextMessage(ada!), nextMessage(ben!)])).toEqual([
      "hello ada, this is lobby",
      "hello ben, this is lobby",
    ]);
    ada!.send("one");
    expect(await nextMessage(ada!)).toBe("one");
    ada!.send("bye");
    const [code, reason] = await once(ada!, "close");
    expect([code, String(reason)]).toEqual([4000, "after 1 messages"]);

    const exit = once(server, "exit");
    server.kill("SIGTERM");
    expect((await once(ben!, "close"))[0]).toBe(1012);
    expect(await exit).toEqual([0, null]);
    expect(stderr).toBe("");
  });
});

describe("ws", () => {
  test("a socket that ws has accepted gets the same handler", async () => {
    const url = await start("ws");
    const guest = new WebSocket(`ws://localhost:${url.port}/old`);
    expect(await nextMessage(guest)).toBe("hello guest, this is old");
    const exit = once(server, "exit");
    server.kill("SIGTERM");
    expect((await once(guest, "close"))[0]).toBe(1012);
    expect(await exit).toEqual([0, null]);
    expect(stderr).toBe("");
  });
});

describe.skipIf(!haveRuntime("workerd"))("cloudflare", () => {
  test("greets a known user, and refuses an unknown one, in a Durable Object", async () => {
    const dist = "examples/dist";
    const workerd = await startWorkerd(`${dist}/cloudflare/worker.js`, "", [`${dist}/greeter.js`, `${dist}/user.js`]);
    onTestFinished(workerd.stop);
    const url = `http://localhost:${workerd.port}/rooms/lobby`;
    const address = url.replace("http", "ws");
    const [error] = await once(new WebSocket(address), "error");
    expect(error.message).toContain("401");
    expect((await fetch(url, { headers: { cookie: "user=ada" } })).status).toBe(426);
    expect((await fetch(new URL("/elsewhere", url))).status).toBe(404);
    const ada = new WebSocket(address, { headers: { cookie: "user=ada" } });
    expect(await nextMessage(ada)).toBe("hello ada, this is lobby");
    ada.send("one");
    expect(await nextMessage(ada)).toBe("one");
    ada.send("bye");
    const [code, reason] = await once(ada, "close");
    expect([code, String(reason)]).toEqual([4000, "after 1 messages"]);
    expect(workerd.output()).toBe("");
  });
});

describe("http2", () => {
  test("sends a client the method and the version of HTTP that opened its connection", async () => {
    const url = await start("http2");
    const stream = await openHttp2Stream(url.origin, { ":path": "/protocol" });
    expect(await RawClient.of(stream as never).text()).toBe("HTTP/2.0, CONNECT");
    stream.close();
    const older = new WebSocket(`wss://localhost:${url.port}/protocol`, { rejectUnauthorized: false });
    expect(await nextMessage(older)).toBe("HTTP/1.1, GET");
    const exit = once(server, "exit");
    server.kill("SIGTERM");
    expect((await once(older, "close"))[0]).toBe(1012);
    expect(await exit).toEqual([0, null]);
    expect(stderr).toBe("");
  });

  test.skipIf(!haveChromium())("its page shows HTTP/2 for the page and for its WebSocket", async () => {
    const url = await start("http2");
    const browser = await launchChromium();
    try {
      const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
      await page.goto(url.href);
      await page.getByText("This page came over h2, its WebSocket over HTTP/2.0, CONNECT.").waitFor();
    } finally {
      await browser.close();
    }
    expect(stderr).toBe("");
  });
});

describe.skipIf(!haveChromium())("channels", () => {
  const launch = async () => {
    const browser = await launchChromium();
    onTestFinished(() => browser.close());
    return async (url: URL, name: string): Promise<Page> => {
      const page = await (await browser.newContext()).newPage();
      await page.goto(`${url.origin}/?name=${name}`);
      return page;
    };
  };
  const lobby = (page: Page) => page.locator("[data-room=lobby]");
  const inState = (page: Page, state: string) => page.locator(`[data-room=lobby][data-state='${state}']`).waitFor();
  /** Resolves when all pages show these people. */
  const allSee = async (pages: readonly Page[], names: string): Promise<void> => {
    for (const page of pages) await lobby(page).locator(".people").getByText(names, { exact: true }).waitFor();
  };
  const say = async (page: Page, text: string): Promise<void> => {
    await lobby(page).locator("input").fill(text);
    await lobby(page).locator("button").click();
  };
  const allHear = async (pages: readonly Page[], text: string): Promise<void> => {
    for (const page of pages) await lobby(page).locator("li", { hasText: text }).waitFor();
  };

  test("two pages with phoenix.js: who is there, what they say, a kick, and a restart of the server", async () => {
    const url = await start("channels");
    const open = await launch();
    const [ada, bob] = [await open(url, "ada"), await open(url, "bob")];
    const both = [ada, bob];
    await allSee(both, "ada, bob");
    await bob.locator("[data-room=staff] li", { hasText: "only ada may enter" }).waitFor();
    await say(ada, "hello");
    await allHear(both, "ada: hello");

    // The client of a user who is kicked connects and joins again.
    const reconnected = bob.waitForEvent("websocket");
    await fetch(`${url.origin}/kick/bob`, { method: "POST" });
    await reconnected;
    await allSee(both, "ada, bob");

    server.kill("SIGKILL");
    for (const page of both) await inState(page, "joining again");
    await start("channels", url.port);
    for (const page of both) await inState(page, "joined");
    await allSee(both, "ada, bob");
    await say(bob, "still here");
    await allHear(both, "bob: still here");
    await bob.close();
    await allSee([ada], "ada");
    expect(stderr).toBe("");
  });

  test.skipIf(!haveRedis())("pages on two nodes with Redis: the same, and a user who is away", async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const startNode = (port?: string): Promise<URL> => start("channels", port, { REDIS_URL: redis.url });
    const first = await startNode();
    const firstServer = server;
    const second = await startNode();
    const open = await launch();
    const [ada, bob] = [await open(first, "ada"), await open(second, "bob")];
    const both = [ada, bob];
    await allSee(both, "ada, bob");
    await say(ada, "hello");
    await allHear(both, "ada: hello");
    await say(bob, "good morning");
    await allHear(both, "bob: good morning");

    await bob.getByLabel("away").check();
    await allSee(both, "ada, bob (away)");
    await bob.getByLabel("away").uncheck();
    await allSee(both, "ada, bob");
    const eve = await open(second, "eve");
    await allSee([...both, eve], "ada, bob, eve");
    await eve.close();
    await allSee(both, "ada, bob");

    const reconnected = bob.waitForEvent("websocket");
    await fetch(`${first.origin}/kick/bob`, { method: "POST" });
    await reconnected;
    await inState(bob, "joined");
    await allSee(both, "ada, bob");

    server.kill("SIGKILL");
    await inState(bob, "joining again");
    await inState(ada, "joined");
    await startNode(second.port);
    await inState(bob, "joined");
    await allSee(both, "ada, bob");
    await say(ada, "welcome back");
    await allHear(both, "ada: welcome back");
    await say(bob, "thank you");
    await allHear(both, "bob: thank you");

    const exits = [firstServer, server].map((its) => once(its, "exit"));
    for (const its of [firstServer, server]) its.kill("SIGTERM");
    expect(await Promise.all(exits)).toEqual([
      [0, null],
      [0, null],
    ]);
    expect(stderr).toBe("");
  });
});
