// npm run example <name>: runs one of the compiled examples.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const [name = ""] = process.argv.slice(2);
if (!/^[\w-]+$/.test(name)) throw new Error("which example? See examples/README.md");
const script = new URL(`../examples/dist/${name}/server.js`, import.meta.url);
/** The commands of examples that do not run on Node. */
const commands = { bun: ["bun"], deno: ["deno", "run", "--allow-env", "--allow-net", "--allow-read"] };
const [file, ...args] = commands[name] ?? [];
if (file === undefined) await import(script.href);
else process.exitCode = spawnSync(file, [...args, fileURLToPath(script)], { stdio: "inherit" }).status ?? 1;
