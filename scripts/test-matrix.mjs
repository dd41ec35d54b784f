/**
 * The unit tests and the conformance suite under every version of Node that we support, besides the one that runs this.
 * What takes long and is about the wire runs under the newest one only.
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
  const left = ["examples/**", "attacks/**", "bench/**", "fuzz/**", "adapters/shared/pressure.test.ts"];
  // What runs in another runtime, whatever Node starts it.
  left.push(
    "conformance/node-on-*.test.ts",
    "conformance/{bun,deno,cloudflare}.test.ts",
    "adapters/{bun,deno,cloudflare}/**",
  );
  const excluded = [...left.map((path) => `test/${path}`), ...(version === 26 ? [] : ["packages/**"])].flatMap(
    (path) => ["--exclude", path],
  );
  run(node, ["node_modules/vitest/vitest.mjs", "run", ...excluded, "--reporter", "dot"]);
}
