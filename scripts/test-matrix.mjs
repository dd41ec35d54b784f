/**
 * Runs the unit tests and the conformance suite on Node 22, 24 and 26. The tests in `packages/` and those with engines
 * and several server processes, which take long, run on Node 26 only.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const runtimes = fileURLToPath(new URL("../runtimes/", import.meta.url));
const run = (file, args, cwd = root) => execFileSync(file, args, { cwd, stdio: "inherit" });

run("npm", ["ci", "--no-audit", "--no-fund"], runtimes);
for (const version of [22, 24, 26]) {
  const node = `${runtimes}node_modules/node-${version}/bin/node`;
  if (!existsSync(node)) throw new Error(`no Node ${version} for ${process.platform} ${process.arch} on npm`);
  console.log(`\nNode ${execFileSync(node, ["--version"])}`);
  const left = ["attacks", "bench", "deployment", "docs", "examples", "fuzz", "newcomer"].map(
    (folder) => `${folder}/**`,
  );
  // Tests that run in another runtime, for which the version of Node does not matter.
  left.push(
    "conformance/node-on-*.test.ts",
    "conformance/{bun,deno,cloudflare}.test.ts",
    "adapters/{bun,deno,cloudflare}/**",
  );
  const excluded = [
    ...left.map((path) => `test/${path}`),
    ...(version === 26 ? [] : ["packages/**", "test/pubsub/{engines,processes}/**"]),
  ].flatMap((path) => ["--exclude", path]);
  run(node, ["node_modules/vitest/vitest.mjs", "run", ...excluded, "--reporter", "dot"]);
}
