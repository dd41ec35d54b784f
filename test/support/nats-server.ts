/** A nats-server for tests: `NATS_SERVER_PATH`, or where Debian's package puts it. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isUsable } from "../../scripts/installed.ts";
import { freeze } from "./freeze.ts";

const path = process.env.NATS_SERVER_PATH ?? "/usr/sbin/nats-server";

/**
 * Whether there is a nats-server to test with. If there is none, the tests are skipped with a warning.
 *
 * @throws Error in CI, if there is none
 */
export const haveNatsServer = (): boolean =>
  isUsable(existsSync(path), `there is no nats-server at ${path}: scripts/install-engines.sh, or set NATS_SERVER_PATH`);

export interface NatsServerOptions {
  /** Default: a free port. */
  readonly port?: number;
  /** Enables JetStream. Its files are deleted by `stop()`, but not by `kill9()`. Default: `false`. */
  readonly jetstream?: boolean;
  /** Further lines of the configuration file. */
  readonly config?: string;
}

/** A nats-server that accepts connections. */
export interface NatsServer {
  readonly port: number;
  /** For `connect({ servers: url })`. */
  readonly url: string;
  /** The port for WebSocket clients, if the configuration has a section `websocket`. */
  readonly webSocketPort: number | undefined;
  /** The subjects of all subscriptions of clients. */
  subjects(): Promise<readonly string[]>;
  /** Kills the server. `start` starts it again. */
  kill9(): Promise<void>;
  /** Starts the server again on the same port, and waits until it accepts connections. */
  start(): Promise<void>;
  /** Freezes the server (SIGSTOP): its connections remain open, and nothing is answered. */
  pause(): void;
  /** Continues after `pause`. */
  resume(): void;
  /** Ends the server for good, and deletes its files. */
  stop(): Promise<void>;
}

interface Started {
  readonly child: ChildProcess;
  readonly exited: Promise<void>;
  readonly log: string;
}

/** Starts a server, and waits until it accepts connections. */
const launch = (file: string): Promise<Started> => {
  const child = spawn(path, ["--config", file], { stdio: ["ignore", "ignore", "pipe"] });
  const killed = (): void => void child.kill("SIGKILL");
  process.once("exit", killed);
  const exited = new Promise<void>((resolve) => {
    child.once("close", () => {
      process.off("exit", killed);
      resolve();
    });
  });
  return new Promise((resolve, reject) => {
    let log = "";
    child.once("error", reject);
    child.stderr.setEncoding("utf8").on("data", (text) => {
      if (log.includes("Server is ready")) return; // only what is written until then is of interest
      log += text;
      if (log.includes("Server is ready")) resolve({ child, exited, log });
    });
    void exited.then(() => reject(new Error(`nats-server has ended:\n${log}`)));
  });
};

/** Starts a nats-server. It must be ended with `stop()`. */
export const startNatsServer = async (options: NatsServerOptions = {}): Promise<NatsServer> => {
  const folder = await mkdtemp(join(tmpdir(), "websock-js-nats-"));
  const file = join(folder, "nats.conf");
  const configure = (port: number): Promise<void> =>
    writeFile(
      file,
      [
        `listen: "127.0.0.1:${port}"`,
        'http: "127.0.0.1:-1"',
        options.jetstream === true ? `jetstream { store_dir: ${JSON.stringify(join(folder, "jetstream"))} }` : "",
        options.config ?? "",
      ].join("\n"),
    );
  const portIn = (log: string, pattern: RegExp): number => Number(pattern.exec(log)?.[1]);

  await configure(options.port ?? -1);
  let running = await launch(file);
  const port = portIn(running.log, /client connections on 127\.0\.0\.1:(\d+)/);
  const webSocketPort = portIn(running.log, /websocket clients on wss?:\/\/[^\s]*:(\d+)/);
  await configure(port);

  const kill = (signal: NodeJS.Signals): Promise<void> => {
    running.child.kill("SIGCONT");
    running.child.kill(signal);
    return running.exited;
  };
  return {
    port,
    url: `nats://127.0.0.1:${port}`,
    webSocketPort: Number.isNaN(webSocketPort) ? undefined : webSocketPort,
    subjects: async () => {
      const monitor = portIn(running.log, /http monitor on 127\.0\.0\.1:(\d+)/);
      const response = await fetch(`http://127.0.0.1:${monitor}/connz?subs=1&limit=10000`);
      const { connections } = (await response.json()) as { connections: { subscriptions_list?: string[] }[] };
      return connections.flatMap(({ subscriptions_list = [] }) => subscriptions_list);
    },
    kill9: () => kill("SIGKILL"),
    start: async () => {
      running = await launch(file);
    },
    pause: () => freeze(running.child),
    resume: () => void running.child.kill("SIGCONT"),
    stop: async () => {
      await kill("SIGTERM");
      await rm(folder, { recursive: true });
    },
  };
};
