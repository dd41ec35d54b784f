/** Finds the build that this one is compared with. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** @param {string} folder */
const isBuild = (folder) => existsSync(join(folder, "index.js")) && existsSync(join(folder, "adapters/node.js"));

/**
 * @typedef {object} Build
 * @property {string} name for the table
 * @property {string} dist the folder
 */

/**
 * Finds a build: a `dist` folder, a checkout that is built, or a commit of this repository, which is built in a
 * temporary folder, once.
 *
 * @param {string} given
 * @returns {Build}
 */
export const findBuild = (given) => {
  const path = resolve(given);
  for (const dist of [path, join(path, "dist")]) {
    if (!isBuild(dist)) continue;
    return { name: basename(dist) === "dist" ? basename(dirname(dist)) : basename(dist), dist };
  }
  if (existsSync(path))
    throw new Error(`${path} is neither a dist folder nor a checkout that is built (npm run build)`);
  return { name: given, dist: buildCommit(given) };
};

/** @param {string} ref */
const buildCommit = (ref) => {
  const git = (/** @type {string[]} */ ...args) =>
    execFileSync("git", args, { cwd: ROOT, encoding: "buffer", maxBuffer: 2 ** 30, stdio: ["ignore", "pipe", "pipe"] });
  let commit;
  try {
    commit = git("rev-parse", "--verify", "--end-of-options", `${ref}^{commit}`).toString().trim();
  } catch {
    throw new Error(`--against ${ref}: neither a folder nor a commit of this repository`);
  }
  const folder = join(tmpdir(), `websock-js-${commit}`);
  if (isBuild(join(folder, "dist"))) return join(folder, "dist");
  // It is built in another folder, which is then renamed, so that an interrupted build does not look like a build.
  const building = mkdtempSync(join(tmpdir(), "websock-js-building-"));
  execFileSync("tar", ["-x", "-C", building], { input: git("archive", commit) });
  symlinkSync(join(ROOT, "node_modules"), join(building, "node_modules"));
  execFileSync(join(ROOT, "node_modules/.bin/tsc"), ["-p", "tsconfig.build.json"], { cwd: building, stdio: "inherit" });
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(dirname(folder), { recursive: true });
  renameSync(building, folder);
  return join(folder, "dist");
};
