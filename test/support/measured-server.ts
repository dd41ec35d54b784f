/** A server in a process of its own, so that its costs can be measured. `measured.mjs` is the server's side. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** Runs a script, given as a path relative to `test/`. The scripts exit when this process disconnects. */
export const forkServer = (script: string, ...args: string[]): ChildProcess =>
  fork(fileURLToPath(new URL(`../${script}`, import.meta.url)), args, { execArgv: ["--expose-gc"] });

interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

export class MeasuredServer {
  readonly port: number;
  private readonly child: ChildProcess;
  private readonly pending = new Map<number, (reply: Reply) => void>();
  private lastId = 0;

  private constructor(child: ChildProcess, port: number) {
    this.child = child;
    this.port = port;
    child.on("message", (reply: Reply) => {
      this.pending.get(reply.id)?.(reply);
      this.pending.delete(reply.id);
    });
    child.once("exit", (code, signal) => {
      for (const [id, settle] of this.pending) settle({ id, error: `the server has ended with ${code ?? signal}` });
    });
  }

  static async start(script: string, config: object): Promise<MeasuredServer> {
    const child = forkServer(script, JSON.stringify(config));
    const died = once(child, "exit").then(([code]) => Promise.reject(new Error(`${script} has ended with ${code}`)));
    const [{ port }] = (await Promise.race([once(child, "message"), died])) as [{ port: number }];
    died.catch(() => undefined);
    return new MeasuredServer(child, port);
  }

  async ask<Result>(command: string, ...args: readonly unknown[]): Promise<Result> {
    const id = ++this.lastId;
    const reply = await new Promise<Reply>((resolve) => {
      this.pending.set(id, resolve);
      this.child.send({ id, command, args });
    });
    if (reply.error !== undefined) throw new Error(`${command}: ${reply.error}`);
    return reply.result as Result;
  }

  stop(): void {
    this.child.kill("SIGKILL");
  }
}
