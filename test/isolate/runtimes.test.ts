/** Isolated handlers on Bun and Deno. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { commandFor, haveRuntime } from "../support/runtimes.ts";

const SCRIPT = "test/hosts/isolate-app.mjs";
const cwd = fileURLToPath(new URL("../../", import.meta.url));

const RUNTIMES = [
  { name: "Node", command: [process.execPath, SCRIPT], have: true },
  { name: "Bun", command: commandFor("bun", SCRIPT), have: haveRuntime("bun") },
  { name: "Deno", command: commandFor("deno", SCRIPT), have: haveRuntime("deno") },
] as const;

describe.each(RUNTIMES)("on $name", ({ command: [file, ...args], have }) => {
  test.skipIf(!have)("messages, topics, a worker that exits, and one that loops", async () => {
    const { stdout } = await promisify(execFile)(file!, args, { cwd });
    expect(stdout.trim().split("\n")).toEqual(["messages", "topics", "exit", "loop", "closed"]);
  });
});
