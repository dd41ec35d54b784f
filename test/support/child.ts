/** Runs a script in a process of its own, with the library compiled by plain `tsc`. */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface ChildResult {
  /** `null` if a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Compiles the library once for a test file, and returns a function that runs a script with it. The script can import
 * `"websock-js"`, `"websock-js/node"` and `"websock-js/pubsub"`.
 */
export const compiledForChildren = (): ((script: string, ...flags: string[]) => Promise<ChildResult>) => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "websock-js-"));
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    execFileSync(process.execPath, [tsc, "-p", join(ROOT, "tsconfig.build.json"), "--outDir", folder], { cwd: ROOT });
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  return (script, ...flags) => {
    const url = (path: string): string => JSON.stringify(pathToFileURL(join(folder, path)).href);
    const source = script
      .replaceAll('"websock-js/node"', url("adapters/node.js"))
      .replaceAll('"websock-js/pubsub"', url("pubsub/index.js"))
      .replaceAll('"websock-js"', url("index.js"));
    const child = spawn(process.execPath, [...flags, "--input-type=module", "--eval", source], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text) => (output.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (output.stderr += text));
    return new Promise((resolve) => child.on("close", (code) => resolve({ code, ...output })));
  };
};
