/** Finds the programs that run the servers: Node, or another runtime from `runtimes/`. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * @typedef {object} Engines
 * @property {string} [node] the Node that runs the servers: a binary, or a major version of `runtimes/`. Default: this
 * one
 * @property {string} [runtimes] the folder of the other runtimes. Default: that of this checkout
 */

const ROOT = new URL("../../", import.meta.url);

/** A runtime that is not installed. The rows that need it are left out, which is not a failure. */
export class MissingRuntime extends Error {}

/** @type {Record<"bun" | "deno", { path: string, flags: readonly string[] }>} */
const RUNTIMES = {
  bun: {
    path: "@oven/bun-linux-x64/bin/bun",
    // Otherwise Bun would run the package's sources instead of the build, because of `paths` in tsconfig.json.
    flags: [`--tsconfig-override=${fileURLToPath(new URL("bench/tsconfig.json", ROOT))}`],
  },
  deno: {
    path: "@deno/linux-x64-glibc/deno",
    flags: ["run", "--quiet", "--no-lock", "--allow-all", "--node-modules-dir=manual", "--v8-flags=--expose-gc"],
  },
};

/** @param {Engines} [engines] */
const folderOf = ({ runtimes = fileURLToPath(new URL("runtimes", ROOT)) } = {}) =>
  join(resolve(runtimes), "node_modules");

/**
 * The command that runs a script.
 *
 * @param {import("./servers.mjs").Runtime | undefined} runtime default: the Node that `engines` names
 * @param {Engines} [engines]
 * @returns {readonly string[]}
 * @throws MissingRuntime if it is not installed
 */
export const commandFor = (runtime, engines = {}) => {
  if (runtime === undefined) return [nodeOf(engines)];
  if (runtime === "uws") return uwsCommand(engines);
  if (runtime !== "bun" && runtime !== "deno") return [nodeOf({ ...engines, node: runtime.replace("node-", "") })];
  const { path, flags } = RUNTIMES[runtime];
  return [found(join(folderOf(engines), path), runtime), ...flags];
};

/** @param {Engines} engines */
const uwsCommand = (engines) => {
  const { UWS, UWS_NODE } = process.env;
  if (UWS === undefined || !existsSync(UWS))
    throw new MissingRuntime("uWebSockets.js is not installed: the environment variable UWS names no folder");
  return UWS_NODE === undefined ? [nodeOf(engines)] : UWS_NODE.split(" ");
};

/** @param {Engines} engines */
const nodeOf = ({ node, ...engines }) => {
  if (node === undefined) return process.execPath;
  if (!/^\d+$/.test(node)) return found(resolve(node), node);
  if (process.versions.node.startsWith(`${node}.`)) return process.execPath;
  return found(join(folderOf(engines), `node-${node}/bin/node`), `Node ${node}`);
};

/**
 * @param {string} file
 * @param {string} name
 */
const found = (file, name) => {
  if (existsSync(file)) return file;
  throw new MissingRuntime(`${name} is not installed: there is no ${file}; run npm ci in runtimes/`);
};

/**
 * The version that a runtime states, without "v"; `undefined` if it is not installed.
 *
 * @param {import("./servers.mjs").Runtime | undefined} runtime
 * @param {Engines} engines
 */
export const versionOf = (runtime, engines) => {
  try {
    const [file = "", ...flags] = commandFor(runtime, engines);
    const args = runtime === "uws" ? [...flags, "--version"] : ["--version"];
    return /\d+\.\d+\S*/.exec(execFileSync(file, args, { encoding: "utf8" }))?.[0];
  } catch (error) {
    if (error instanceof MissingRuntime) return undefined;
    throw error;
  }
};
