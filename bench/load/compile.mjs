/** Compiles the load in C, on first use, into the folder for temporary files. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, renameSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("load.c", import.meta.url));

/** @type {ReturnType<typeof compile> | undefined} */
let compiled;

/**
 * The path of the compiled load, or why there is none.
 *
 * @returns {{ path: string, problem?: undefined } | { path?: undefined, problem: string }}
 */
export const compileLoad = () => (compiled ??= compile());

const compile = () => {
  const hash = createHash("sha256").update(readFileSync(SOURCE)).digest("hex").slice(0, 16);
  const path = join(tmpdir(), `websock-js-load-${hash}`);
  if (existsSync(path)) return { path };
  if (process.platform !== "linux") return { problem: "the load in C needs Linux" };
  // It is compiled under another name, so that an interrupted compiler does not leave a program that looks complete.
  const building = `${path}.${process.pid}`;
  const { error, status, stderr } = spawnSync("cc", ["-O2", "-o", building, SOURCE], { encoding: "utf8" });
  if (error) return { problem: "there is no C compiler (cc): install one, such as the package gcc or clang" };
  if (status !== 0) throw new Error(`${SOURCE} cannot be compiled: ${stderr}`);
  renameSync(building, path);
  return { path };
};
