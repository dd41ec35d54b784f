/** What the results depend on: the machine, and the versions of everything that runs. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { canPin } from "./child.mjs";
import { versionOf } from "./engines.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

const PACKAGES = [
  ...["ws", "crossws", "express", "fastify", "@fastify/websocket", "socket.io", "socket.io-client"],
  ...["@socket.io/redis-adapter", "redis", "ioredis", "@nats-io/transport-node"],
];

/** @param {string} folder */
const packageVersion = (folder) => {
  const file = join(folder, "package.json");
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).version : undefined;
};

const commit = () => {
  try {
    const git = (/** @type {string[]} */ ...args) => execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).trim();
    return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", "src") === "" ? "" : " (changed)");
  } catch {
    return undefined; // not a clone
  }
};

/** @param {string} program */
const programVersion = (program) => {
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
  const { stdout } = spawnSync(program, ["--version"], { encoding: "utf8", env });
  return /\d+\.\d+(\.\d+)?/.exec(stdout ?? "")?.[0];
};

export const machine = () => ({
  cpu: os.cpus()[0]?.model.trim(),
  cores: os.cpus().length,
  memory: os.totalmem(),
  kernel: `${os.type()} ${os.release()}`,
  pinned: canPin,
});

/** @param {import("./engines.mjs").Engines} engines @returns {Record<string, string | undefined>} */
export const versions = (engines) => ({
  "websock-js": packageVersion(ROOT),
  commit: commit(),
  node: versionOf(undefined, engines),
  "node of the load": process.versions.node,
  ...Object.fromEntries(
    /** @type {const} */ (["node-20", "node-24", "node-26", "bun", "deno"]).map((one) => [
      one,
      versionOf(one, engines),
    ]),
  ),
  "node of uWebSockets.js": versionOf("uws", engines),
  "uWebSockets.js": process.env.UWS === undefined ? undefined : packageVersion(process.env.UWS),
  ...Object.fromEntries(PACKAGES.map((name) => [name, packageVersion(join(ROOT, "node_modules", name))])),
  "redis-server": programVersion("redis-server"),
  "nats-server": programVersion("nats-server"),
  cc: programVersion("cc"),
});
