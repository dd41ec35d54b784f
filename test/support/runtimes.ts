/** Runs programs in other runtimes than the one that runs the tests: with the binaries in `runtimes/`. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isUsable } from "../../scripts/installed.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const modules = `${root}runtimes/node_modules/`;

interface Runtime {
  readonly file: string;
  readonly flags: readonly string[];
}

const RUNTIMES = {
  bun: { file: `${modules}@oven/bun-linux-x64/bin/bun`, flags: [] },
  deno: {
    file: `${modules}@deno/linux-x64-glibc/deno`,
    flags: ["run", "--quiet", "--no-lock", "--no-prompt", "--allow-all", "--node-modules-dir=manual"],
  },
  workerd: { file: `${modules}@cloudflare/workerd-linux-64/bin/workerd`, flags: [] },
} satisfies Record<string, Runtime>;

export type RuntimeName = keyof typeof RUNTIMES;

/** Whether the runtime is installed. If not, a message is printed, and its tests are skipped; in CI, it throws. */
export const haveRuntime = (name: RuntimeName): boolean =>
  isUsable(existsSync(RUNTIMES[name].file), `${name} is not installed: cd runtimes && npm ci`);

/** The path of the runtime's binary. */
export const fileOf = (name: RuntimeName): string => RUNTIMES[name].file;

/** The command that runs a script, whose path is absolute. */
export const commandForFile = (name: RuntimeName, script: string): readonly [file: string, ...args: string[]] => {
  const { file, flags } = RUNTIMES[name];
  return [file, ...flags, script];
};

/** The command that runs a script of the repository. */
export const commandFor = (name: RuntimeName, script: string): readonly [file: string, ...args: string[]] =>
  commandForFile(name, `${root}${script}`);

/** A program that has printed `listening <port>`. */
export interface RunningProgram {
  readonly port: number;
  readonly child: ChildProcess;
  /** What it has written to stderr so far. */
  stderr(): string;
  /** Resolves with the next text in stdout that matches `like`. */
  line(like: RegExp): Promise<string>;
  /** Kills it, and resolves when it has exited. */
  stop(): Promise<void>;
}

/** Starts a program of the repository, and waits until it listens. */
export const startProgram = async (
  name: RuntimeName,
  script: string,
  { args = [], env = {} }: { readonly args?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<RunningProgram> => {
  const [file, ...flags] = commandFor(name, script);
  const child = spawn(file, [...flags, ...args], {
    cwd: root,
    env: { ...process.env, NO_COLOR: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [printed, stderr] = ["", ""];
  let wakeUp: () => void = () => undefined;
  let ended = false;
  const told = (): void => wakeUp();
  child.stdout.setEncoding("utf8").on("data", (text) => {
    printed += text;
    told();
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
    told();
  });
  const exited = new Promise<void>((resolve) => {
    child.once("close", () => {
      ended = true;
      resolve();
      told();
    });
  });
  const line = async (like: RegExp): Promise<string> => {
    for (;;) {
      const match = like.exec(printed);
      if (match !== null) {
        printed = printed.slice(match.index + match[0].length);
        return match[0];
      }
      if (ended) throw new Error(`${name} ${script} has ended:\n${stderr}`);
      await new Promise<void>((resolve) => {
        wakeUp = resolve;
      });
    }
  };
  const listening = await line(/listening \d+(?=\D)/);
  return {
    port: Number(listening.split(" ")[1]),
    child,
    stderr: () => stderr,
    line,
    stop: () => {
      child.kill("SIGKILL");
      return exited;
    },
  };
};
