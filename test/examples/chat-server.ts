/** Runs the chat demo in processes of its own, and clients without a page. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { WebSocket } from "ws";
import type { FromServer, Welcome } from "../../examples/chat/protocol.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
export const DEMO = fileURLToPath(new URL("../../examples/chat/dist/demo.js", import.meta.url));

/** Compiles the demo. The package itself is built before all tests. */
export const compileChat = async (): Promise<void> => {
  const tsc = "node_modules/typescript/bin/tsc";
  await promisify(execFile)(process.execPath, [tsc, "-p", "examples/chat/tsconfig.json"], { cwd: root });
};

export interface ChatServer {
  readonly url: string;
  /** The process of each node, by its number, the first is 1. */
  readonly nodes: ReadonlyMap<number, number>;
  /** What it has printed to stderr. */
  readonly errors: string;
  /** Ends the demo, unless it has ended. Resolves with the exit code, or with `null` if a signal has ended it. */
  stop(signal: NodeJS.Signals): Promise<number | null>;
}

/** Starts the demo, and waits until all of its nodes accept connections. */
export const startChat = async (options: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<ChatServer> => {
  const child: ChildProcess = spawn(process.execPath, [DEMO, ...options], {
    env: { ...process.env, HOST: "127.0.0.1", PORT: "0", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr!.setEncoding("utf8").on("data", (text) => (errors += text));
  const nodes = new Map<number, number>();
  const url = await new Promise<string>((resolve, reject) => {
    child.once("exit", () => reject(new Error(`the demo ended without listening\n${errors}`)));
    createInterface(child.stdout!).on("line", (line) => {
      const url = /http:\S+/.exec(line)?.[0];
      const [, number, of, pid] = /^node (\d+) of (\d+) \(process (\d+)\)/.exec(line) ?? [];
      if (number !== undefined) nodes.set(Number(number), Number(pid));
      if (url !== undefined && (of === undefined || nodes.size === Number(of))) resolve(url);
    });
  });
  return {
    url,
    nodes,
    get errors() {
      return errors;
    },
    stop: async (signal) => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal);
        await once(child, "exit");
      }
      return child.exitCode;
    },
  };
};

/** A person without a page. */
export interface Person {
  readonly socket: WebSocket;
  readonly welcome: Welcome;
  /** What was received after the welcome. */
  readonly heard: readonly FromServer[];
  readonly closed: Promise<number>;
  say(text: string): void;
  /** Waits until something was received that satisfies the condition, also before the call. */
  hears(condition: (message: FromServer) => boolean): Promise<void>;
}

/** Enters the lobby. */
export const enter = async (url: string, name: string, key: string = crypto.randomUUID()): Promise<Person> => {
  const query = new URLSearchParams({ room: "lobby", name, key });
  const socket = new WebSocket(`${url.replace("http", "ws")}/room?${query}`);
  const heard: FromServer[] = [];
  const closed = once(socket, "close").then(([code]) => code as number);
  const listeners = new Set<() => void>();
  const welcome = await new Promise<Welcome>((resolve, reject) => {
    socket.once("error", reject).once("message", (first) => {
      resolve(JSON.parse(String(first)));
      socket.on("message", (data) => {
        heard.push(JSON.parse(String(data)));
        for (const listener of listeners) listener();
      });
    });
  });
  return {
    socket,
    welcome,
    heard,
    closed,
    say: (text) => socket.send(JSON.stringify({ type: "say", id: crypto.randomUUID(), text })),
    hears: (condition) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (heard.some(condition)) resolve();
        };
        listeners.add(check);
        check();
      }),
  };
};
