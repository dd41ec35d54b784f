/** Child processes, each on a core of its own where the machine lets us say so. */
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { SERVERS } from "./servers.mjs";

const BENCH = new URL("../", import.meta.url);

/** Servers run on the first core, the load on the second. */
export const CORE = { server: 0, load: 1 };

export const canPin = Object.values(CORE).every(
  (core) => spawnSync("taskset", ["-c", String(core), "true"], { stdio: "ignore" }).status === 0,
);

const runtimes = fileURLToPath(new URL("../runtimes/node_modules/", BENCH));

/** The commands of other runtimes: see `runtimes/`. */
const COMMANDS = {
  // Else Bun would take the package's sources for the package: it reads the paths of the nearest tsconfig.json.
  bun: [
    `${runtimes}@oven/bun-linux-x64/bin/bun`,
    `--tsconfig-override=${fileURLToPath(new URL("tsconfig.json", BENCH))}`,
  ],
  deno: [
    `${runtimes}@deno/linux-x64-glibc/deno`,
    "run",
    "--quiet",
    "--no-lock",
    "--allow-all",
    "--node-modules-dir=manual",
  ],
};

/** A child that is talked to with messages. */
export class Child {
  /**
   * @param {string} script path below `bench`
   * @param {{ core: number, args?: readonly string[], execArgv?: readonly string[], runtime?: "bun" | "deno" }} options
   */
  constructor(script, { core, args = [], execArgv = [], runtime }) {
    const node = [process.execPath, ...execArgv];
    const command = [...(runtime ? COMMANDS[runtime] : node), fileURLToPath(new URL(script, BENCH)), ...args];
    if (canPin) command.unshift("taskset", "-c", String(core));
    const [file, ...rest] = command;
    this.script = script;
    this.process = spawn(/** @type {string} */ (file), rest, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    /** @type {Promise<void>} */
    this.exited = new Promise((resolve) => this.process.once("exit", () => resolve()));
  }

  /** @param {Record<string, unknown>} message */
  send(message) {
    this.process.send(message);
  }

  /**
   * The next message that has this property.
   *
   * @param {string} property
   * @param {number} timeout
   * @returns {Promise<any>}
   */
  receive(property, timeout = 30_000) {
    return new Promise((resolve, reject) => {
      const done = (/** @type {() => void} */ settle) => {
        clearTimeout(timer);
        this.process.off("message", onMessage).off("exit", onExit);
        settle();
      };
      const onMessage = (/** @type {any} */ message) => {
        if (message?.error) done(() => reject(new Error(`${this.script}: ${message.error}`)));
        else if (message && property in message) done(() => resolve(message[property]));
      };
      const onExit = () => done(() => reject(new Error(`${this.script} has gone`)));
      const timer = setTimeout(
        () => done(() => reject(new Error(`${this.script}: no "${property}" within ${timeout} ms`))),
        timeout,
      );
      this.process.on("message", onMessage).on("exit", onExit);
    });
  }

  /** @param {string} question */
  ask(question) {
    const answer = this.receive("answer");
    this.send({ ask: question });
    return answer;
  }

  async stop() {
    if (this.process.connected) this.process.send({ ask: "exit" }, () => {});
    const timer = setTimeout(() => this.process.kill("SIGKILL"), 3000);
    await this.exited;
    clearTimeout(timer);
  }
}

/**
 * Starts a server of the table.
 *
 * @param {string} name
 * @param {readonly string[]} execArgv
 */
export const startServer = async (name, execArgv = []) => {
  const row = SERVERS[name];
  if (row === undefined) throw new Error(`no server "${name}"; there are ${Object.keys(SERVERS).join(", ")}`);
  const child = new Child(`servers/${row.script}`, {
    core: CORE.server,
    args: row.args ?? [],
    execArgv,
    ...(row.runtime && { runtime: row.runtime }),
  });
  const port = /** @type {number} */ (await child.receive("listening"));
  return { child, port, raw: row.raw, http2: row.http2 ?? false, compressed: row.compressed ?? false };
};
