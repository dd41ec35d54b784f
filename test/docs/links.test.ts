/** Links in the packed Markdown files work where the package is installed. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

test.each([".", "packages/websock-conformance"])("no link in the package in %s is dead", async (folder) => {
  const script =
    'import { deadLinks } from "./scripts/packed-links.mjs"; console.log(deadLinks(process.argv[1]).join("\\n"))';
  const args = ["--input-type=module", "--eval", script, folder];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
  expect(stdout.trim()).toBe("");
});
