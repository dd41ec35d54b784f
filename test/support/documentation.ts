/**
 * The code blocks of the documentation. A block whose first line is a comment with a file name, `// server.ts`, is a
 * whole file; all other blocks are fragments. The files of a page can import each other.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, onTestFinished } from "vitest";
import { freePort } from "./redis-server.ts";
import { commandForFile, type RuntimeName } from "./runtimes.ts";

export const root = fileURLToPath(new URL("../../", import.meta.url));

export interface Block {
  /** The Markdown file, relative to the root of the repository. */
  readonly page: string;
  /** The language of the block: `ts`, `js`, `nginx`, … */
  readonly language: string;
  /** The name of the file that the block contains; `undefined` for a fragment. */
  readonly name: string | undefined;
  readonly code: string;
}

/** The Markdown files with documentation for users. */
export const pages: readonly string[] = [
  "README.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md") && !/^(reference|\.vitepress)\//.test(name))
    .map((name) => `docs/${name}`)
    .sort(),
  "packages/websock-conformance/README.md",
];

/** All code blocks of a page, in order. */
export const blocksOf = (page: string): readonly Block[] =>
  [...readFileSync(join(root, page), "utf8").matchAll(/^```(\w+)[^\n]*\n(.*?)^```$/gms)].map(([, language, code]) => ({
    page,
    language: language!,
    name: /^(?:\/\/|#) ([\w.-]+\.\w+|Caddyfile)(?:: [^\n]*)?\n/.exec(code!)?.[1],
    code: code!,
  }));

/** The file of this name on a page. */
export const fileOn = (page: string, name: string): string => {
  const found = blocksOf(page).filter((block) => block.name === name);
  if (found.length !== 1) throw new Error(`${page} has ${found.length} blocks named ${name}`);
  return found[0]!.code;
};

/** What the surrounding text of a fragment takes for granted. An example that declares a name itself shadows it. */
const GLOBALS = `
import type { Server } from "node:http";
import type { Express, Request } from "express";
import type * as vitest from "vitest";
import type * as websock from "websock-js";
import type { DurableObjectContext } from "websock-js/cloudflare";
import type { Attachment, attach as attachNode } from "websock-js/node";
import type * as pubsub from "websock-js/pubsub";
import type * as testing from "websock-js/testing";
declare global {
  class DurableObject {
    readonly ctx: DurableObjectContext;
  }
  const app: Express;
  const req: Request;
  const arg: string;
  const cookie: string;
  const server: Server;
  const sockets: Attachment;
  const attach: typeof attachNode;
  const refusals: { inc(labels: object): void };
  const Echo: websock.WebSock<string, number>;
  const Chat: websock.WebSock<any, number>;
  const state: number;
  const self: websock.Self;
  const { binary, json, ok, push, stop, text, upgrade }: typeof websock;
  const { PubSub }: typeof pubsub;
  const { connect, connectRoute, ManualClock }: typeof testing;
  const { expect, vi, beforeEach, afterEach }: typeof vitest;
  const [client, ada, ben]: testing.TestClient[];
}`;

/** What programs use of Bun, Deno and Cloudflare, whose own types would be there in a project of theirs. */
const RUNTIMES = join(root, "examples/runtimes.d.ts");

/** As `@types/phoenix` has it: the payload of an event is `any`. */
const PHOENIX = `
declare module "phoenix" {
  export class Socket {
    constructor(url: string, options?: object);
    connect(): void;
    channel(topic: string): Channel;
  }
  interface Channel {
    on(event: string, listener: (payload: any) => void): number;
    push(event: string, payload: unknown): this;
    join(): this;
    receive(status: string, listener: (response: any) => void): this;
  }
}`;

// Programs run where they are compiled, so imports of .ts files become imports of .js files.
const FLAGS = [
  ...["--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2023", "--types", "node"],
  ...["--allowImportingTsExtensions", "--rewriteRelativeImportExtensions", "--allowJs", "--checkJs"],
];

/** The folder of a page's files, in the folder of all pages. */
const folderOf = (page: string): string => page.replace(/\.md$/, "").replaceAll("/", "-").toLowerCase();

/** The languages that are compiled. */
const SOURCES = new Set(["ts", "js"]);

/** The configuration files of jest are CommonJS. */
const extensionOf = ({ language, code }: Block): string => (code.includes("module.exports") ? "cjs" : language);

export interface Documentation {
  /** The folder with the compiled files of a page. */
  folder(page: string): string;
  /** What the compiler printed: nothing, if every block compiles. */
  readonly errors: string;
  /** How many blocks were compiled. */
  readonly compiled: number;
}

/** The port in the documentation, where it is a port: not in `code: 4000`. */
const PORT = /(?<=localhost:|127\.0\.0\.1:|listen\(|port: )4000\b/g;

/** The code of a program with another port than 4000. */
export const withPort = (code: string, port: number): string => code.replaceAll(PORT, String(port));

/** A folder in which the sources of the documentation are compiled, with the packages that they import. */
const workspace = (): string => {
  const output = mkdtempSync(join(tmpdir(), "websock-docs-"));
  const modules = join(output, "node_modules");
  mkdirSync(modules);
  for (const name of readdirSync(join(root, "node_modules")))
    if (!name.startsWith(".")) symlinkSync(join(root, "node_modules", name), join(modules, name));
  symlinkSync(root, join(modules, "websock-js"));
  writeFileSync(join(output, "package.json"), '{ "type": "module" }');
  writeFileSync(join(output, "globals.d.ts"), GLOBALS);
  writeFileSync(join(output, "phoenix.d.ts"), PHOENIX);
  return output;
};

/** @returns what the compiler printed: nothing, if everything compiles */
const compile = (output: string, ...args: readonly string[]): Promise<string> =>
  promisify(execFile)(
    join(root, "node_modules/.bin/tsc"),
    [...FLAGS, "--outDir", "built", "--rootDir", ".", "globals.d.ts", "phoenix.d.ts", RUNTIMES, ...args],
    { cwd: output },
  ).then(
    () => "",
    (error) => error.stdout,
  );

/**
 * Compiles fragments, each a module of its own.
 *
 * @param flags more flags of `tsc`
 * @returns what the compiler printed
 */
export const compileFragments = async (
  fragments: ReadonlyMap<string, string>,
  ...flags: readonly string[]
): Promise<string> => {
  const output = workspace();
  try {
    for (const [name, code] of fragments) writeFileSync(join(output, name), `${code}\nexport {};\n`);
    return await compile(output, ...flags, ...fragments.keys());
  } finally {
    rmSync(output, { recursive: true });
  }
};

/** Compiles the blocks of pages once for a test file. The programs of a page listen on a free port instead of 4000. */
export const compiledDocumentation = (files: readonly string[]): Documentation => {
  let output: string;
  const result = { errors: "", compiled: 0, folder: (page: string) => join(output, "built", folderOf(page)) };
  beforeAll(async () => {
    output = workspace();
    const ports = await Promise.all(files.map(freePort));
    const sources = files.flatMap((page, n) => {
      mkdirSync(join(output, folderOf(page)), { recursive: true });
      return blocksOf(page)
        .filter(({ language }) => SOURCES.has(language))
        .map((block, i) => {
          const { name, code } = block;
          const path = join(
            folderOf(page),
            name?.match(/\.[cm]?[jt]s$/) ? name : `fragment-${i + 1}.${extensionOf(block)}`,
          );
          // A fragment has no import or export, and would be a script.
          const isModule = !path.endsWith(".cjs");
          writeFileSync(join(output, path), withPort(code, ports[n]!) + (isModule ? "\nexport {};\n" : ""));
          return path;
        });
    });
    result.compiled = sources.length;
    result.errors = await compile(output, ...sources);
  });
  afterAll(() => rmSync(output, { recursive: true }));
  return result;
};

export interface Program {
  readonly child: ChildProcess;
  /** The first URL that it has printed. */
  readonly url: URL;
  /** What it has printed on stderr so far. */
  stderr(): string;
}

/** Starts a program, and waits until it has printed its URL. It is killed at the end of the test. */
export const startFile = async (
  file: string,
  { runtime = "node", args = [], env = {}, cwd = dirname(file) }: StartOptions = {},
): Promise<Program> => {
  const [command, ...flags] = runtime === "node" ? [process.execPath, file] : commandForFile(runtime, file);
  const child = spawn(command!, [...flags, ...args], {
    cwd,
    env: { ...process.env, NO_COLOR: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit");
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
  for await (const line of createInterface(child.stdout)) {
    const url = /\b(?:https?|wss?):\/\/\S+/.exec(line)?.[0];
    if (url === undefined) continue;
    child.stdout.resume();
    return { child, url: new URL(url), stderr: () => stderr };
  }
  throw new Error(`${basename(file)} has ended without printing a URL:\n${stderr}`);
};

export interface StartOptions {
  readonly runtime?: "node" | Exclude<RuntimeName, "workerd">;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}
