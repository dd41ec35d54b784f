/**
 * A whole process with the Redis backplane: nothing that happens to the server ends it, and it ends when it is closed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { freePort, haveRedis, startRedis } from "../../support/redis-server.ts";
import { commandFor, haveRuntime } from "../../support/runtimes.ts";

const script = "test/pubsub/backplanes/redis-node.mjs";
const root = fileURLToPath(new URL("../../../", import.meta.url));

const have = haveRedis();

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

class Program {
  readonly lines: string[] = [];
  stderr = "";
  readonly #child: ChildProcess;
  readonly #output: Interface;
  readonly #closed: Promise<unknown[]>;

  constructor([file, ...args]: readonly [file: string, ...args: string[]]) {
    this.#child = spawn(file, args, { cwd: root, env: { ...process.env, NO_COLOR: "1" } });
    this.#closed = once(this.#child, "close");
    this.#output = createInterface({ input: this.#child.stdout! });
    this.#output.on("line", (line) => this.lines.push(line));
    this.#child.stderr!.setEncoding("utf8").on("data", (text) => {
      this.stderr += text;
    });
    cleanups.push(() => this.#child.kill("SIGKILL"));
  }

  /** Resolves when it has written a line like this, and forgets what it has written until then. */
  async line(like: RegExp): Promise<string> {
    for (;;) {
      const index = this.lines.findIndex((line) => like.test(line));
      if (index !== -1) return this.lines.splice(0, index + 1)[index]!;
      const ended = await Promise.race([once(this.#output, "line").then(() => false), this.#closed.then(() => true)]);
      if (ended) throw new Error(`it has ended:\n${this.stderr}`);
    }
  }

  do(command: string): void {
    this.#child.stdin!.write(`${command}\n`);
  }

  /** Resolves with its exit code when it has ended by itself. */
  async ended(): Promise<unknown> {
    const [code] = await this.#closed;
    return code;
  }
}

describe.skipIf(!have).each(["redis", "ioredis", "iovalkey"])("%s", (client) => {
  const start = (port: number): Program =>
    new Program([process.execPath, "--unhandled-rejections=strict", script, client, String(port)]);

  test("survives the death of its server, without a listener for errors", async () => {
    const port = await freePort();
    const program = start(port);
    await program.line(/^away false .*ECONNREFUSED/);
    const redis = await startRedis({ port });
    cleanups.push(redis.stop);
    await program.line(/^up$/);
    for (let i = 0; i < 3; i++) {
      await redis.kill9();
      await program.line(/^away false/);
      program.do("publish");
      await program.line(/^settled false$/);
      await redis.restart();
      await program.line(/^up$/);
    }
    program.do("publish");
    await program.line(/^received x hello$/);
    program.do("close");
    await program.line(/^closed$/);
    program.do("end");
    expect(await program.ended()).toBe(0);
    expect(program.stderr).toBe("");
  });

  test("ends after close while its server is down", async () => {
    const redis = await startRedis();
    cleanups.push(redis.stop);
    const program = start(redis.port);
    await program.line(/^up$/);
    await redis.kill9();
    await program.line(/^away/);
    program.do("close");
    await program.line(/^closed$/);
    // Without our listener, the next error of node-redis would end the process: this is up to the application.
    program.do("end");
    await program.ended();
  });

  test("ends after close while its server is frozen", async () => {
    const redis = await startRedis();
    cleanups.push(redis.stop);
    const program = start(redis.port);
    await program.line(/^up$/);
    redis.pause();
    program.do("close\nend");
    expect(await program.ended()).toBe(0);
    expect(program.stderr).toBe("");
  });

  test("ends after the application has closed its client, even if it has forgotten the backplane", async () => {
    const redis = await startRedis();
    cleanups.push(redis.stop);
    const program = start(redis.port);
    await program.line(/^up$/);
    program.do("end");
    await program.line(/^away true/);
    expect(await program.ended()).toBe(0);
    expect(program.stderr).toBe("");
  });

  describe.each(["bun", "deno"] as const)("on %s", (runtime) => {
    test.skipIf(!haveRuntime(runtime))("publishes, receives, and survives the death of its server", async () => {
      const redis = await startRedis();
      cleanups.push(redis.stop);
      const [file, ...args] = commandFor(runtime, script);
      const program = new Program([file, ...args, client, String(redis.port)]);
      await program.line(/^up$/);
      program.do("publish");
      await program.line(/^received x hello$/);
      await redis.kill9();
      await program.line(/^away false/);
      await redis.restart();
      await program.line(/^up$/);
      program.do("publish");
      await program.line(/^received x hello$/);
      program.do("close");
      await program.line(/^closed$/);
      program.do("end");
      expect(await program.ended()).toBe(0);
    });
  });
});
