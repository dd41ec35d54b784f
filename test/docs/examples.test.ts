/**
 * The TypeScript examples in the READMEs and docs/ compile against the built package, and the README's first example
 * runs.
 */
import { execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";

const root = fileURLToPath(new URL("../../", import.meta.url));
const FILES = [
  "README.md",
  ...["channels", "compression", "diagnostics", "errors", "node", "pubsub", "testing", "typed"].map(
    (name) => `docs/${name}.md`,
  ),
  "packages/websock-conformance/README.md",
];

/** What the surrounding text of a fragment takes for granted. An example that declares a name itself shadows it. */
const GLOBALS = `
import type { Server } from "node:http";
import type { Express, Request } from "express";
import type * as vitest from "vitest";
import type * as websock from "websock-js";
import type { DurableObjectContext } from "websock-js/cloudflare";
import type { Attachment, attach as attachNode } from "websock-js/node";
import type * as testing from "websock-js/testing";
declare global {
  class DurableObject {
    readonly ctx: DurableObjectContext;
  }
  const app: Express;
  const req: Request;
  const arg: string;
  const cookie: string;
  const server: Server;
  const sockets: Attachment;
  const attach: typeof attachNode;
  const refusals: { inc(labels: object): void };
  const Echo: websock.WebSock<string, number>;
  const Chat: websock.WebSock<any, number>;
  const { push, text, upgrade }: typeof websock;
  const { connect, connectRoute, ManualClock }: typeof testing;
  const { expect, vi, beforeEach, afterEach }: typeof vitest;
  const [client, ada, ben]: testing.TestClient[];
}`;

const LINKED = [
  "express",
  "redis",
  "zod",
  "@msgpack",
  "@nats-io",
  "@types",
  "typescript",
  "vitest",
  "websock-conformance",
];
const tsc = join(root, "node_modules/.bin/tsc");
const FLAGS = ["--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2023", "--types", "node"];

const examplesOf = (file: string): string[] =>
  [...readFileSync(join(root, file), "utf8").matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) => code!);

const folder = mkdtempSync(join(tmpdir(), "websock-docs-"));
beforeAll(() => {
  const modules = join(folder, "node_modules");
  mkdirSync(modules);
  symlinkSync(root, join(modules, "websock-js"));
  for (const name of LINKED) symlinkSync(join(root, "node_modules", name), join(modules, name));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(join(folder, "globals.d.ts"), GLOBALS);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** @returns what the compiler printed */
const compile = (...args: readonly string[]): Promise<string> =>
  promisify(execFile)(tsc, [...FLAGS, ...args], { cwd: folder }).then(
    () => "",
    (error) => error.stdout,
  );

test("every example compiles", async () => {
  const written = FILES.flatMap((file) =>
    examplesOf(file).map((code, i) => {
      const path = `${file.replaceAll("/", "-")}-${i + 1}.ts`;
      // A fragment has no import or export, and would be a script.
      writeFileSync(join(folder, path), `${code}\nexport {};\n`);
      return path;
    }),
  );
  expect(written.length).toBeGreaterThan(10);
  expect(await compile("--noEmit", "globals.d.ts", ...written)).toBe("");
});

test("the README's first example serves its page and its WebSocket", async () => {
  const [code] = examplesOf("README.md");
  expect(code).toMatch(/^\/\/ server\.ts$/m);
  const listening = "app.listen(0, () => console.log((server.address() as { port: number }).port));";
  writeFileSync(join(folder, "server.ts"), code!.replace("app.listen(4000);", listening));
  expect(await compile("--outDir", "built", "server.ts")).toBe("");

  const child = spawn(process.execPath, ["built/server.js"], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill());
  const port = await new Promise((resolve, reject) => {
    child.stdout.once("data", (chunk) => resolve(Number(chunk)));
    child.once("exit", (status) => reject(new Error(`the example ended with ${status}`)));
  });
  const page = await (await fetch(`http://localhost:${port}/`)).text();
  const [, path] = /new WebSocket\("([^"]+)"\)/.exec(page)!;
  const socket = new WebSocket(`ws://localhost:${port}${path}`);
  const received = new Promise((resolve) => {
    const messages: string[] = [];
    socket.on("message", (data) => messages.push(String(data)) === 2 && resolve(messages));
  });
  socket.on("open", () => socket.send("hi"));
  expect(await received).toEqual(["hello, Ada", "hi"]);
  socket.terminate();
});
