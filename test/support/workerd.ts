/** Runs programs in `workerd`, the runtime of Cloudflare Workers, with the built package, and without a bundler. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { fileOf } from "./runtimes.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

export interface WorkerdProgram {
  readonly port: number;
  /** What it has printed so far. */
  output(): string;
  stop(): Promise<void>;
}

type Exports = Readonly<Record<string, Readonly<Record<string, string>> | string>>;

/** The folder of the conformance package that the programs need. Its other modules need Node. */
const HANDLERS = "packages/websock-conformance/dist/handlers";

/** The names under which programs import the packages, and the files to which `exports` maps them. */
const entries = async (): Promise<readonly (readonly [name: string, file: string])[]> => {
  const { name, exports } = JSON.parse(await readFile(`${root}package.json`, "utf8")) as {
    name: string;
    exports: Exports;
  };
  const own = Object.entries(exports).flatMap(([path, files]) =>
    typeof files === "string" ? [] : [[name + path.slice(1), (files.workerd ?? files.default)!.slice(2)] as const],
  );
  return [...own, ["websock-conformance/handlers", `${HANDLERS}/index.js`]];
};

/**
 * Starts the worker `main`, a file of the repository that imports the files `more`. Its environment contains `mode` as
 * `MODE`, and the namespace of its class `Room` as `ROOMS`.
 */
export const startWorkerd = async (main: string, mode = "", more: readonly string[] = []): Promise<WorkerdProgram> => {
  const folder = await mkdtemp(join(tmpdir(), "websock-workerd-"));
  await mkdir(`${folder}/objects`);
  for (const built of ["dist", HANDLERS]) await cp(root + built, `${folder}/${built}`, { recursive: true });
  const modules: string[] = [];
  const add = (name: string, file: string): void => {
    modules.push(`(name = "${name}", esModule = embed "${file}")`);
  };
  for (const file of [main, ...more]) {
    await cp(root + file, `${folder}/${file}`);
    add(file, file);
  }
  for (const built of ["dist", HANDLERS]) {
    for (const file of await readdir(`${folder}/${built}`, { recursive: true })) {
      if (file.endsWith(".js")) add(`${built}/${file}`, `${built}/${file}`);
    }
  }
  // workerd looks for an imported module, also for a package, in the folder of the importing module.
  const folders = new Set([main, ...more].map(dirname));
  const names = (await entries()).flatMap((entry) => [...folders].map((place) => [place, ...entry] as const));
  for (const [i, [place, name, file]] of names.entries()) {
    const path = `${place}/${name}`;
    await writeFile(`${folder}/entry-${i}.js`, `export * from "${"../".repeat(path.split("/").length - 1)}${file}";\n`);
    add(path, `entry-${i}.js`);
  }
  await writeFile(
    `${folder}/config.capnp`,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [ (name = "main", worker = .worker), (name = "objects", disk = (path = "${folder}/objects", writable = true)) ],
  sockets = [ (name = "http", address = "127.0.0.1:0", http = (), service = "main") ],
);
const worker :Workerd.Worker = (
  modules = [ ${modules.join(",\n    ")} ],
  compatibilityDate = "2026-11-01",
  compatibilityFlags = [ "unsafe_module", "experimental" ],
  durableObjectNamespaces = [ (className = "Room", uniqueKey = "room") ],
  durableObjectStorage = (localDisk = "objects"),
  bindings = [ (name = "ROOMS", durableObjectNamespace = "Room"), (name = "MODE", text = "${mode}") ],
);
`,
  );
  const child = spawn(fileOf("workerd"), ["serve", `${folder}/config.capnp`, "--experimental", "--control-fd=3"], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  const exited = once(child, "close");
  const control = createInterface(child.stdio[3] as import("node:stream").Readable);
  const [line] = (await Promise.race([once(control, "line"), exited.then(() => [undefined])])) as [string | undefined];
  if (line === undefined) throw new Error(`workerd has ended:\n${output}`);
  return {
    port: (JSON.parse(line) as { port: number }).port,
    output: () => output,
    stop: async () => {
      child.kill("SIGKILL");
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
};
