/** Real Redis servers for tests: on a free port of this machine, in a folder of their own, without persistence. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isUsable } from "../../scripts/installed.ts";
import { freeze } from "./freeze.ts";

const file = process.env.REDIS_SERVER_PATH ?? "/usr/bin/redis-server";

/**
 * Whether there is a Redis server to test with. In CI, a missing one is a failure; elsewhere its tests are skipped with
 * a message.
 *
 * @throws Error in CI, if there is none
 */
export const haveRedis = (): boolean =>
  isUsable(existsSync(file), `there is no Redis at ${file}: scripts/install-engines.sh, or set REDIS_SERVER_PATH`);

/** A port on which nothing listens. */
export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address !== "object" || address === null) throw new Error("the server has no port");
  return address.port;
};

export interface RedisServerOptions {
  /** Default: a free one. */
  readonly port?: number;
  /** More directives of redis.conf, one for each string: `"requirepass secret"`. */
  readonly config?: readonly string[];
  /** Starts a sentinel instead of a server. */
  readonly sentinel?: boolean;
}

export interface RedisServer {
  readonly port: number;
  /** `redis://127.0.0.1:<port>` */
  readonly url: string;
  /** The server is ready to accept connections, or it has been ended. */
  readonly running: boolean;
  /** Runs a command on a connection of its own. Resolves with the reply in RESP2, each byte as a character. */
  command(...args: readonly string[]): Promise<string>;
  /** Ends the process with SIGKILL. The port is kept for `restart`. */
  kill9(): Promise<void>;
  /** Starts it again on the same port; ends it before, if it runs. */
  restart(): Promise<void>;
  /** Freezes the process (SIGSTOP): its connections stay open, and nothing is answered. */
  pause(): void;
  resume(): void;
  /** Ends the process, and removes its folder. */
  stop(): Promise<void>;
}

const READY = /Ready to accept connections|Sentinel ID is/;

/** Resolves when the process has written that it is ready. */
const ready = (child: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    let printed = "";
    child.stdout!.setEncoding("utf8").on("data", (text) => {
      printed += text;
      // What it writes later is read too, or the pipe would fill.
      if (READY.test(printed)) resolve();
    });
    child.once("error", reject);
    child.once("close", (code, signal) => reject(new Error(`redis-server ended (${code ?? signal}):\n${printed}`)));
  });

/** Where the reply in RESP2 that starts at an index ends; -1 if the rest of it has not arrived. */
const endOfReply = (reply: string, start = 0): number => {
  const line = reply.indexOf("\r\n", start);
  if (line === -1) return -1;
  let end = line + 2;
  const size = Number(reply.slice(start + 1, line));
  if (reply[start] === "$" && size >= 0) end += size + 2;
  if (reply[start] === "*") for (let i = 0; i < size && end !== -1; i++) end = endOfReply(reply, end);
  return end > reply.length ? -1 : end;
};

/** Starts a server, and waits until it accepts connections. */
export const startRedis = async ({
  port: chosen,
  config = [],
  sentinel = false,
}: RedisServerOptions = {}): Promise<RedisServer & AsyncDisposable> => {
  const port = chosen ?? (await freePort());
  const folder = mkdtempSync(join(tmpdir(), "websock-js-redis-"));
  const conf = join(folder, "redis.conf");
  // A sentinel writes what it has learnt into this file, so it is written once.
  const persistence = sentinel ? [] : ['save ""', "appendonly no"];
  writeFileSync(
    conf,
    [`port ${port}`, "bind 127.0.0.1", `dir ${folder}`, "daemonize no", ...persistence, ...config, ""].join("\n"),
  );
  let child: ChildProcess | undefined;
  // A test run that is interrupted leaves no server behind.
  const atExit = (): void => void child?.kill("SIGKILL");
  process.once("exit", atExit);

  const start = async (): Promise<void> => {
    child = spawn(file, [conf, ...(sentinel ? ["--sentinel"] : [])], { stdio: ["ignore", "pipe", "ignore"] });
    await ready(child);
  };
  const kill9 = async (): Promise<void> => {
    const ended = child;
    child = undefined;
    if (ended === undefined || ended.exitCode !== null || ended.signalCode !== null) return;
    ended.kill("SIGKILL");
    await once(ended, "close");
  };
  const stop = async (): Promise<void> => {
    process.off("exit", atExit);
    await kill9();
    rmSync(folder, { recursive: true, force: true });
  };

  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    get running() {
      return child !== undefined;
    },
    command: async (...args) => {
      const socket = connect(port, "127.0.0.1").setEncoding("latin1");
      const parts = args.map((arg) => `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`);
      socket.write(`*${args.length}\r\n${parts.join("")}`);
      let reply = "";
      for await (const text of socket) {
        reply += text;
        if (endOfReply(reply) !== -1) break;
      }
      return reply;
    },
    kill9,
    restart: async () => {
      await kill9();
      await start();
    },
    pause: () => child && freeze(child),
    resume: () => void child?.kill("SIGCONT"),
    stop,
    [Symbol.asyncDispose]: stop,
  };
};
