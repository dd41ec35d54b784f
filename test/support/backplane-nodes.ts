/** Nodes of a backplane in several workers of one program, test/hosts/backplane-nodes.mjs, controlled from a test. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Backplane, BackplaneLink } from "../../src/pubsub/backplane.ts";
import { commandFor } from "./runtimes.ts";

const SCRIPT = "test/hosts/backplane-nodes.mjs";

/** U+2028 would end a line for readline. */
const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

interface RemoteEvent {
  readonly node: string;
  readonly event: "ready" | "error" | "connected" | "receive" | "up" | "away" | "warn" | "answer";
  readonly channel: string;
  readonly bytes: string;
  readonly cause: string;
  readonly forever?: boolean;
  readonly message: string;
  readonly maxBytes: number;
  readonly id: number;
  readonly ok: boolean;
}

export interface BackplaneNodes {
  /** A backplane whose connection is in this worker. 0 is the primary process, or the main thread. */
  in(agent: number): Backplane;
  /** Ends a worker at once. */
  kill(agent: number): void;
  /** Runs a command in a worker: `block` until a file exists, `disconnect` or `exit`. */
  run(agent: number, command: "block" | "disconnect" | "exit", file?: string): void;
  /** What was written to stderr until now. */
  stderr(): string;
  /** Ends the program. */
  stop(): Promise<void>;
}

/** Starts the program with its two workers. */
export const startBackplaneNodes = async (
  mode: "cluster" | "threads",
  {
    runtime = "node",
    options = {},
    serialization = "json",
  }: {
    readonly runtime?: "node" | "bun" | "deno";
    readonly options?: { readonly maxBacklog?: number };
    readonly serialization?: "json" | "advanced";
  } = {},
): Promise<BackplaneNodes> => {
  const [file, ...flags] =
    runtime === "node"
      ? [process.execPath, "--unhandled-rejections=strict", fileURLToPath(new URL(`../../${SCRIPT}`, import.meta.url))]
      : commandFor(runtime, SCRIPT);
  const child: ChildProcess = spawn(file, [...flags, mode, JSON.stringify(options), serialization], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr!.setEncoding("utf8").on("data", (text) => (stderr += text));
  child.stdin!.on("error", () => undefined);
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()));

  // What a test does in one event-loop tick is done in one tick there too.
  let commands: object[] = [];
  const send = (command: object): void => {
    if (commands.push(command) > 1) return;
    setImmediate(() => {
      child.stdin!.write(`${JSON.stringify(commands).replace(/[\u007f-\uffff]/g, escaped)}\n`);
      commands = [];
    });
  };
  const nodes = new Map<string, (event: RemoteEvent) => void>();
  await new Promise<void>((resolve, reject) => {
    void exited.then(() => reject(new Error(`${mode} on ${runtime} has ended:\n${stderr}`)));
    nodes.set("", ({ event, message }) => (event === "ready" ? resolve() : reject(new Error(message))));
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const event: RemoteEvent = JSON.parse(line);
      nodes.get(event.node)?.(event);
    });
  });

  const connect = (agent: number, link: BackplaneLink): ReturnType<Backplane["connect"]> => {
    const { node } = link;
    const answers = new Map<number, (ok: boolean) => void>();
    let [ids, maxBytes] = [0, 0];
    const request = (command: object, answer: (ok: boolean) => void): void => {
      answers.set(++ids, answer);
      send({ agent, node, ...command, id: ids });
    };
    nodes.set(node, (event) => {
      if (event.event === "connected") maxBytes = event.maxBytes;
      else if (event.event === "receive") link.receive(event.channel, Buffer.from(event.bytes, "base64"));
      else if (event.event === "up") link.up();
      else if (event.event === "away") link.away(event.cause, event.forever);
      else if (event.event === "warn") link.warn(event.message);
      else answers.get(event.id)!(event.ok);
    });
    send({ agent, run: "connect", node });
    return {
      get maxBytes() {
        return maxBytes;
      },
      publish: (channel, bytes, settled) =>
        request({ run: "publish", channel, bytes: Buffer.from(bytes).toString("base64"), count: 1 }, settled),
      subscribe: (channels) => new Promise((resolve) => request({ run: "subscribe", channels }, () => resolve())),
      unsubscribe: (channels) => send({ agent, run: "unsubscribe", node, channels }),
      reconnect: () => send({ agent, run: "reconnect", node }),
      close: () => new Promise((resolve) => request({ run: "close" }, () => resolve())),
    };
  };

  return {
    in: (agent) => ({ connect: (link) => connect(agent, link) }),
    kill: (agent) => send({ run: "kill", agent }),
    run: (agent, run, path) => send({ agent, run, file: path }),
    stderr: () => stderr,
    stop: () => {
      child.stdin!.end();
      return exited;
    },
  };
};
