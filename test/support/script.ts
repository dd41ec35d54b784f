/** Runs a script in a process of its own, as a file, against the built package. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ChildResult } from "./child.ts";

/** The URL of a file of `dist`, as a string literal for `import`. */
const built = (path: string): string => JSON.stringify(new URL(`../../dist/${path}`, import.meta.url).href);

/** `import … from "websock-js/pubsub/cluster"` and `"websock-js/pubsub/threads"` work in the script. */
export const runScript = async (script: string): Promise<ChildResult> => {
  const folder = mkdtempSync(join(tmpdir(), "websock-js-"));
  const file = join(folder, "script.mjs");
  writeFileSync(file, withImports(script));
  try {
    const child = spawn(process.execPath, ["--unhandled-rejections=strict", file], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text) => (output.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (output.stderr += text));
    return await new Promise((resolve) => child.on("close", (code) => resolve({ code, ...output })));
  } finally {
    rmSync(folder, { recursive: true });
  }
};

/** Replaces the names of the package's entries. */
export const withImports = (script: string): string =>
  script
    .replaceAll('"websock-js/pubsub/cluster"', built("pubsub/backplanes/cluster.js"))
    .replaceAll('"websock-js/pubsub/threads"', built("pubsub/backplanes/threads.js"));
