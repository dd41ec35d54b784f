/** `npm ci` in the repository: the first thing that a contributor sees. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../", import.meta.url));

test("npm ci warns of no package that needs a newer Node", async () => {
  const { stderr } = await promisify(execFile)(
    "npm",
    ["ci", "--dry-run", "--offline", "--no-audit", "--no-fund", "--no-update-notifier"],
    // npm passes its own settings on to what `npm test` runs, `loglevel` among them.
    { cwd: root, env: { PATH: process.env.PATH, HOME: process.env.HOME } },
  );
  expect(stderr).toBe("");
});

test("npm ci warns of no deprecated package", async () => {
  const lock: { packages: Record<string, { deprecated?: string }> } = JSON.parse(
    await readFile(`${root}package-lock.json`, "utf8"),
  );
  const deprecated = Object.entries(lock.packages).filter(([, entry]) => entry.deprecated !== undefined);
  expect(deprecated).toEqual([]);
});
