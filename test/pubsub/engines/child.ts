/** Nodes in processes of their own: see node.mjs. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { PubSubEvent, PubSubOptions } from "websock-js/pubsub";
import type { BackplaneStats } from "../../../src/pubsub/nodes/stats.ts";
import { freeze } from "../../support/freeze.ts";
import { type ClientName, cleanUp, PREFIX, until } from "./engines.ts";

export interface ChildOptions {
  readonly client: ClientName;
  readonly port: number;
  readonly password?: string;
  readonly maxReconnectAttempts?: number;
  readonly options?: PubSubOptions;
}

export interface ChildState {
  readonly status: string;
  readonly backplane: BackplaneStats;
  /** With the time, as `Date.now()`. */
  readonly events: readonly (PubSubEvent & { readonly at: number })[];
  /** What its member has received. */
  readonly texts: readonly string[];
  readonly flood: {
    readonly published: number;
    readonly delivered: number;
    /** How often something was not delivered two event-loop ticks later. */
    readonly late: number;
    readonly maxRss: number;
    /** The longest time between two event-loop ticks that were 10 ms apart, in milliseconds. */
    readonly longestPause: number;
  };
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

export class Child {
  stderr = "";
  /** Resolves with the exit code, `null` if it was killed. */
  readonly ended: Promise<number | null>;
  /** Resolves when it has started, and the client of NATS has connected. */
  readonly started: Promise<void>;
  private readonly process: ChildProcess;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private commands = 0;

  constructor(options: ChildOptions) {
    const args = [JSON.stringify({ prefix: PREFIX, options: {}, ...options })];
    const execArgv = ["--unhandled-rejections=strict", "--expose-gc"];
    const child = fork(fileURLToPath(new URL("node.mjs", import.meta.url)), args, { execArgv, silent: true });
    this.process = child;
    child.stderr!.setEncoding("utf8").on("data", (output) => {
      this.stderr += output;
    });
    this.ended = new Promise((resolve) => {
      child.once("close", (code) => {
        resolve(code);
        for (const answer of this.waiting.values()) answer({ id: 0, error: `it has ended:\n${this.stderr}` });
      });
    });
    cleanUp(() => child.kill("SIGKILL"));
    this.started = new Promise((resolve, reject) => {
      child.on("message", (answer: Answer | { readonly isStarted: true }) => {
        if ("isStarted" in answer) return resolve();
        this.waiting.get(answer.id)?.(answer);
        this.waiting.delete(answer.id);
      });
      void this.ended.then((code) => reject(new Error(`it has ended with ${code}:\n${this.stderr}`)));
    });
    this.started.catch(() => undefined);
  }

  async command<T>(command: string, args: object = {}): Promise<T> {
    await this.started;
    const id = ++this.commands;
    const answered = new Promise<Answer>((resolve) => this.waiting.set(id, resolve));
    this.process.send({ id, command, args });
    const { result, error } = await answered;
    if (error !== undefined) throw new Error(error);
    return result as T;
  }

  state(): Promise<ChildState> {
    return this.command("state");
  }

  is(status: string): Promise<void> {
    return until(async () => (await this.state()).status === status);
  }

  /** Stops it (SIGSTOP), like a blocked event loop: its connections remain open, and nothing is read. */
  pause(): void {
    freeze(this.process);
  }

  resume(): void {
    this.process.kill("SIGCONT");
  }

  /** Publishes to the room. */
  publish(content: string): Promise<boolean> {
    return this.command("publish", { content });
  }
}

/** Starts a process whose member receives what other nodes publish. */
export const startChild = async (options: ChildOptions): Promise<Child> => {
  const child = new Child(options);
  await child.is("up");
  await until(() => child.command("ready"));
  return child;
};
