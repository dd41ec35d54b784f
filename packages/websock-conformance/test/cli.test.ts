import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { WireResult } from "websock-conformance";
import { tinyHttp2Server } from "./tiny-http2.ts";
import { tinyServer } from "./tiny-server.ts";

/** The built command, as it is installed. */
const CLI = fileURLToPath(new URL("../dist/cli.js", import.meta.url));

const run = (...args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> => {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (output.stderr += text));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, ...output })));
};

let valid: Awaited<ReturnType<typeof tinyServer>>;
let broken: typeof valid;
beforeAll(async () => {
  valid = await tinyServer();
  broken = await tinyServer("drops empty messages", "one pong for a burst", "always 1000");
});
afterAll(() => {
  valid.close();
  broken.close();
});

const jsonOf = (stdout: string): { url: string; results: WireResult[] } => JSON.parse(stdout);

test("a valid server: a table, and exit code 0", async () => {
  const { code, stdout, stderr } = await run(valid.url, "--only", "1.1.*");
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^1\.1\.1 +ok +\d+ ms {2}text in one frame: 0 bytes$/m);
  expect(stdout).toMatch(/^class +ok +informational +non-strict +unimplemented +failed$/m);
  expect(stdout).toMatch(/^1 framing +16 +- +- +- +-$/m);
  expect(stdout).toMatch(/^all +16 +- +- +- +-$/m);
});

test("a failure: its reason, and exit code 1", async () => {
  const { code, stdout } = await run(broken.url, "--only", "1.1.1", "--only", "1.1.2", "--timeout", "1000");
  expect(code).toBe(1);
  expect(stdout).toMatch(/^1\.1\.1 +failed .*\n +waited 1000 ms for text of 0 bytes$/m);
  expect(stdout).toMatch(/^1\.1\.2 +ok /m);
  expect(stdout).toMatch(/^all +1 +- +- +- +1$/m);
});

test("non-strict and informational outcomes are no failures", async () => {
  const { code, stdout } = await run(broken.url, "--only", "2.5.1", "--only", "4.1.1");
  expect(stdout).toMatch(/^all +- +1 +1 +- +-$/m);
  expect(code).toBe(0);
});

test("--quiet leaves out the cases that are ok", async () => {
  const { stdout } = await run(broken.url, "--only", "1.1.*", "--quiet", "--timeout", "1000");
  expect(stdout).toMatch(/^1\.1\.1 +failed/m);
  expect(stdout).not.toMatch(/^1\.1\.2 /m);
});

test("--json", async () => {
  const { code, stdout } = await run(broken.url, "--json", "--only", "1.1.1", "--only", "4.1.1", "--timeout", "1000");
  expect(code).toBe(1);
  const { url, results } = jsonOf(stdout);
  expect(url).toBe(broken.url);
  expect(results).toEqual([
    {
      id: "1.1.1",
      className: "framing",
      title: "text in one frame: 0 bytes",
      outcome: "failed",
      reasons: ["waited 1000 ms for text of 0 bytes"],
      ms: expect.any(Number),
    },
    expect.objectContaining({
      id: "4.1.1",
      outcome: "non-strict",
      reasons: ["failed with close 1000 instead of 1002"],
    }),
  ]);
});

test("--only takes globs, several, and matches whole ids", async () => {
  const ids = async (...args: string[]): Promise<string[]> =>
    jsonOf((await run(valid.url, "--json", ...args)).stdout).results.map(({ id }) => id);
  expect(await ids("--only", "1.1.1")).toEqual(["1.1.1"]);
  expect(await ids("--only", "10.4.*", "--only", "2.4.*")).toEqual([
    ...[1, 2, 3, 4, 5, 6].map((n) => `2.4.${n}`),
    ...[1, 2, 3].map((n) => `10.4.${n}`),
  ]);
  expect((await ids("--only", "1.*")).every((id) => id.startsWith("1."))).toBe(true);
});

test("--concurrency 1 has the same results, in the same order", async () => {
  const { results } = jsonOf((await run(valid.url, "--json", "--only", "2.*", "--concurrency", "1")).stdout);
  expect(results.map(({ outcome }) => outcome)).toEqual(results.map(() => "ok"));
  expect(results[0]!.id).toBe("2.1.1");
});

test("http: is HTTP/2, and the command ends by itself", async () => {
  const server = await tinyHttp2Server();
  onTestFinished(() => server.close());
  const { code, stdout, stderr } = await run(server.url, "--only", "1.1.*", "--only", "8.*");
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^8\.5\.1 +ok +\d+ ms {2}over HTTP\/2, valid: the example of RFC 8441$/m);
  expect(stdout).not.toMatch(/^8\.1\.1 /m);
  expect(stdout).toMatch(/^1 framing +16 +- +- +- +-$/m);
});

test("--list runs nothing and needs no server", async () => {
  const { code, stdout } = await run("--list", "--only", "6.4.*");
  expect(code).toBe(0);
  expect(stdout.split("\n")[0]).toMatch(/^6\.4\.1 +UTF-8: fail fast, fragments: /);
  const over2 = await run("--list", "--only", "8.*", "https://127.0.0.1:1/");
  expect(over2.stdout).toMatch(/^8\.4\.1 /);
  expect(over2.stdout).toMatch(/^8\.5\.1 /m);
});

test("--help", async () => {
  const { code, stdout } = await run("--help");
  expect(code).toBe(0);
  for (const option of ["--only", "--json", "--timeout", "--patience", "--concurrency", "--insecure"]) {
    expect(stdout).toContain(option);
  }
});

test("if no server listens, every case fails with the reason", async () => {
  const { code, stdout } = await run("ws://127.0.0.1:1/", "--only", "1.1.1");
  expect(code).toBe(1);
  expect(stdout).toContain("ECONNREFUSED");
});

test("wrong usage: exit code 2, and a message on the standard error", async () => {
  for (const args of [
    [],
    ["ws://a/", "ws://b/"],
    ["ftp://127.0.0.1/"],
    ["nonsense"],
    ["ws://127.0.0.1:1/", "--only", "99.*"],
    ["ws://127.0.0.1:1/", "--timeout", "soon"],
    ["ws://127.0.0.1:1/", "--concurrency", "0"],
    ["ws://127.0.0.1:1/", "--unknown"],
  ]) {
    const { code, stdout, stderr } = await run(...args);
    expect([args, code, stdout]).toEqual([args, 2, ""]);
    expect(stderr).toMatch(/^websock-conformance: ./);
  }
});
