/**
 * The TypeScript and JavaScript in the documentation compiles against the built package, and the programs in it run: a
 * program is a block that names its file, and prints its URL.
 */
import { once } from "node:events";
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { selfSigned } from "../../scripts/certificate.mjs";
import { blocksOf, compiledDocumentation, pages, root, startFile } from "../support/documentation.ts";
import { haveRuntime } from "../support/runtimes.ts";
import { startWorkerd } from "../support/workerd.ts";

// The blocks of docs/migration/ws.md are files of examples/, as test/examples checks.
const documentation = compiledDocumentation(pages.filter((page) => page !== "docs/migration/ws.md"));

test("every block compiles", () => {
  expect(documentation.compiled).toBeGreaterThan(50);
  expect(documentation.errors).toBe("");
});

test("the names of the files on a page are different", () => {
  for (const page of pages) {
    const names = blocksOf(page).flatMap(({ name }) => name ?? []);
    expect(names, page).toEqual([...new Set(names)]);
  }
});

/** Connects to the echo of a program, and talks to it. */
const expectEcho = async (url: string): Promise<void> => {
  const socket = new WebSocket(url, { rejectUnauthorized: false });
  onTestFinished(() => socket.terminate());
  const received: string[] = [];
  socket.on("message", (data) => {
    received.push(String(data));
    socket.emit("received");
  });
  await once(socket, "received");
  socket.send("hi");
  await once(socket, "received");
  expect(received).toEqual(["hello, Ada", "hi"]);
};

const GETTING_STARTED = "docs/getting-started.md";
const FETCH_HOSTS = ["bun", "deno"] as const;
const ON_NODE = ["express", "fastify", "koa", "hono", "h3", "node-http", "http2", "ws"];

/** The programs that greet at `/echo/Ada`: page, file, and the runtime that runs it. */
const PROGRAMS = [
  ...["express", "fastify", "hono"].map((name) => ["README.md", name, "node"] as const),
  ...ON_NODE.map((name) => [GETTING_STARTED, name, "node"] as const),
  // The same programs, over `node:http` of the other runtimes.
  ...FETCH_HOSTS.filter(haveRuntime).flatMap((runtime) =>
    ON_NODE.filter((name) => name !== "http2" && name !== "ws").map(
      (name) => [GETTING_STARTED, name, runtime] as const,
    ),
  ),
  ...FETCH_HOSTS.filter(haveRuntime).flatMap((name) =>
    ["README.md", GETTING_STARTED].map((page) => [page, name, name] as const),
  ),
];

describe("the programs greet, and echo", () => {
  test("every program is run", () => {
    const listed = [...PROGRAMS, ...FETCH_HOSTS.map((name) => [GETTING_STARTED, name])].map(([, name]) => name);
    for (const page of ["README.md", GETTING_STARTED]) {
      const names = blocksOf(page).flatMap(({ name }) => name?.replace(".ts", "") ?? []);
      expect([...listed, "echo", "worker"]).toEqual(expect.arrayContaining(names));
    }
  });

  test.each(PROGRAMS)("%s: %s.ts on %s", async (page, name, runtime) => {
    const cwd = documentation.folder(page);
    for (const [file, text] of Object.entries(selfSigned())) writeFileSync(join(cwd, `${file}.pem`), text);
    const { url } = await startFile(join(cwd, `${name}.js`), { runtime });
    await expectEcho(`${url.protocol.replace("http", "ws")}//localhost:${url.port}/echo/Ada`);
  });

  test("the page of the README's first program opens a WebSocket to its route", async () => {
    const { url } = await startFile(join(documentation.folder("README.md"), "express.js"));
    const page = await (await fetch(url)).text();
    expect(/new WebSocket\("([^"]+)"\)/.exec(page)?.[1]).toBe("/echo/Ada");
  });

  test.skipIf(!haveRuntime("workerd"))(`${GETTING_STARTED}: worker.ts on workerd`, async () => {
    // Only files of the repository can be embedded in a worker.
    const files = ["worker.js", "echo.js"].map((name) => `examples/dist/documentation/${name}`);
    cpSync(documentation.folder(GETTING_STARTED), join(root, "examples/dist/documentation"), { recursive: true });
    onTestFinished(() => rmSync(join(root, "examples/dist/documentation"), { recursive: true }));
    const workerd = await startWorkerd(files[0]!, "", files.slice(1));
    onTestFinished(workerd.stop);
    await expectEcho(`ws://localhost:${workerd.port}/echo/Ada`);
  });
});
