/**
 * Builds both packages into their `dist` folders. JavaScript is emitted without comments, which are in the sources that
 * are published with it, and declarations only for the modules whose types a user can reach.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** @param {string[]} args */
const tsc = (...args) => {
  execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), ...args], { stdio: "inherit" });
};

/** @param {string} folder of a package */
const build = (folder) => {
  rmSync(join(folder, "dist"), { recursive: true, force: true });
  const project = join(folder, "tsconfig.build.json");
  tsc("-p", project, "--declaration", "false", "--declarationMap", "false", "--removeComments");
  tsc("-p", project, "--emitDeclarationOnly");
  removeUnreachableDeclarations(folder);
};

/** @param {string} folder */
const removeUnreachableDeclarations = (folder) => {
  const { exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  /** @type {Set<string>} */
  const reachable = new Set();
  /** @param {string} file */
  const visit = (file) => {
    if (reachable.has(file)) return;
    reachable.add(file);
    // Without comments: their examples import files of applications.
    const code = readFileSync(file, "utf8").replaceAll(/\/\*.*?\*\//gs, "");
    for (const [, path] of code.matchAll(/(?:from|import\() ?"(\.[^"]+)"/g)) {
      visit(resolve(dirname(file), /** @type {string} */ (path).replace(/\.[jt]s$/, ".d.ts")));
    }
  };
  for (const entry of Object.values(exports)) if (entry.types !== undefined) visit(join(folder, entry.types));
  for (const name of readdirSync(join(folder, "dist"), { recursive: true, encoding: "utf8" })) {
    const file = join(folder, "dist", name);
    if (!file.endsWith(".d.ts") || reachable.has(file)) continue;
    rmSync(file);
    if (existsSync(`${file}.map`)) rmSync(`${file}.map`);
  }
};

build(root.replace(/\/$/, ""));
build(join(root, "packages/websock-conformance"));
