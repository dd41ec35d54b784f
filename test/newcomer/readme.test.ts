/**
 * A new user: in an empty folder, with the packed package, the commands and the code of README.md, and nothing else, up
 * to the first echo.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { isUsable } from "../../scripts/installed.ts";
import { root, withPort } from "../support/documentation.ts";
import { freePort } from "../support/redis-server.ts";
import { fileOf } from "../support/runtimes.ts";
import { TextClient } from "../support/text-client.ts";

/** The runtime that a command of README.md starts: where it is. */
const RUNTIMES: Readonly<Record<string, string>> = {
  npx: process.execPath,
  node: join(root, "runtimes/node_modules/node-24/bin/node"),
  bun: fileOf("bun"),
  deno: fileOf("deno"),
};

interface Start {
  /** What the reader types to install, line by line. */
  readonly install: readonly string[];
  readonly file: string;
  readonly code: string;
  /** The commands that start the file, one for each runtime. */
  readonly commands: readonly string[];
}

const [, text] = /^## Getting started\n(.*?)^### /ms.exec(readFileSync(join(root, "README.md"), "utf8"))!;
const block = (language: string, section: string): string =>
  new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "ms").exec(section)![1]!;

/** The first program, and one for each `<details>`. */
const starts: readonly Start[] = text!.split("<summary>").map((section) => {
  const code = block("ts", section);
  const file = /^\/\/ (\S+)$/m.exec(code)![1]!;
  return {
    install: block("sh", section)
      .trim()
      .split("\n")
      .map((line) => line.replace(/ +#.*/, "")),
    file,
    code,
    commands: [...section.matchAll(/`((?:npx tsx|node|bun|deno run -A) \S+\.ts)`/g)].map(([, command]) => command!),
  };
});

let packed: string;
beforeAll(async () => {
  packed = mkdtempSync(join(tmpdir(), "websock-packed-"));
  // The package is built before all tests.
  await promisify(execFile)("npm", ["pack", "--ignore-scripts", "--pack-destination", packed], { cwd: root });
});
afterAll(() => rmSync(packed, { recursive: true }));

/** The environment of a shell in which the runtime is found first. */
const environment = (command: string): NodeJS.ProcessEnv => ({
  PATH: [dirname(RUNTIMES[command]!), process.env.PATH].join(delimiter),
  HOME: process.env.HOME,
  NO_COLOR: "1",
  // npx asks whether to install tsx.
  npm_config_yes: "true",
});

test("the README starts Express, Fastify, Hono, Bun and Deno, each on every runtime that it names", () => {
  expect(starts.map(({ file }) => file)).toEqual(["express.ts", "fastify.ts", "hono.ts", "bun.ts", "deno.ts"]);
  for (const { file, commands } of starts) {
    const on = (...words: string[]) => words.map((word) => `${word} ${file}`);
    const expected: Readonly<Record<string, readonly string[]>> = {
      "express.ts": on("npx tsx", "node", "bun", "deno run -A"),
      "bun.ts": on("bun"),
      "deno.ts": on("deno run -A"),
    };
    expect(commands).toEqual(expected[file] ?? on("npx tsx", "node"));
  }
});

describe.each(starts)("$file", ({ install, file, code, commands }) => {
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "websock-newcomer-"));
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    for (const line of install) {
      // The package is not published yet, or in another version.
      const command = line.replace("npm install websock-js", `npm install ${packed}/websock-js-${version}.tgz`);
      await promisify(execFile)("bash", ["-c", command], { cwd: folder, env: environment("npx") });
    }
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(commands)(
    "%s",
    async (command) => {
      const [word = ""] = command.split(" ");
      if (!isUsable(existsSync(RUNTIMES[word]!), `${word} is not installed: cd runtimes && npm ci`)) return;
      writeFileSync(join(folder, file), withPort(code, await freePort()));
      const child = spawn("bash", ["-c", `exec ${command}`], {
        cwd: folder,
        env: environment(word),
        stdio: ["ignore", "pipe", "pipe"],
        // npx starts another process: all end together.
        detached: true,
      });
      const exited = once(child, "exit");
      onTestFinished(async () => {
        if (child.exitCode === null) process.kill(-child.pid!, "SIGKILL");
        await exited;
      });
      let stderr = "";
      child.stderr.setEncoding("utf8").on("data", (chunk) => (stderr += chunk));
      for await (const line of createInterface(child.stdout)) {
        const port = /http:\/\/localhost:(\d+)/.exec(line)?.[1];
        if (port === undefined) continue;
        const client = new TextClient(`ws://localhost:${port}/echo/Ada`);
        await client.messages(1);
        client.socket.send("hi");
        expect(await client.messages(2)).toEqual(["hello, Ada", "hi"]);
        return;
      }
      throw new Error(`${command} has ended:\n${stderr}`);
    },
    120_000,
  );
});
