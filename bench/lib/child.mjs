/** Child processes, pinned to cores with `taskset` if it is available. */
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { commandFor } from "./engines.mjs";
import { SERVERS } from "./servers.mjs";

const BENCH = new URL("../", import.meta.url);

/** Servers run on the first core, the load on the second. */
export const CORE = { server: 0, load: 1 };

export const canPin = Object.values(CORE).every(
  (core) => spawnSync("taskset", ["-c", String(core), "true"], { stdio: "ignore" }).status === 0,
);

/**
 * A command line on one core.
 *
 * @param {readonly string[]} line
 * @param {number | undefined} core `undefined`: on any
 */
export const pinned = (line, core) => (canPin && core !== undefined ? ["taskset", "-c", String(core), ...line] : line);

/** A child process that exchanges messages with us. */
export class Child {
  /**
   * @param {string} script path below `bench`
   * @param {{ core: number | undefined, args?: readonly string[], command?: readonly string[] }} options `command`:
   * what runs the
   *   script; default: this Node
   */
  constructor(script, { core, args = [], command = [process.execPath] }) {
    const [file, ...rest] = pinned([...command, fileURLToPath(new URL(script, BENCH)), ...args], core);
    this.script = script;
    /** Why the process no longer runs. @type {string | undefined} */
    this.gone = undefined;
    this.process = spawn(/** @type {string} */ (file), rest, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.process.setMaxListeners(100);
    /** @type {Promise<void>} */
    this.exited = new Promise((resolve) => {
      this.process.once("exit", (code, signal) => {
        this.gone ??= signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
        resolve();
      });
      // Without a listener, an error (a program that does not exist, a closed channel) would end the benchmark, and its
      // results would be lost.
      this.process.on("error", (error) => {
        if (this.process.pid !== undefined) return;
        this.gone ??= `could not be started: ${error.message}`;
        resolve();
      });
    });
  }

  /** @param {Record<string, unknown>} message */
  send(message) {
    this.process.send(message, () => {});
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
        this.process.off("message", onMessage);
        settle();
      };
      const onMessage = (/** @type {any} */ message) => {
        if (message?.error) done(() => reject(new Error(`${this.script}: ${message.error}`)));
        else if (message && property in message) done(() => resolve(message[property]));
      };
      const timer = setTimeout(
        () => done(() => reject(new Error(`${this.script}: no "${property}" within ${timeout} ms`))),
        timeout,
      );
      this.process.on("message", onMessage);
      void this.exited.then(() => done(() => reject(new Error(`${this.script} ${this.gone}`))));
    });
  }

  /**
   * @param {string} question
   * @param {unknown} [argument]
   */
  ask(question, argument) {
    const answer = this.receive("answer");
    this.send({ ask: question, argument });
    return answer;
  }

  async stop() {
    if (this.process.connected) this.send({ ask: "exit" });
    const timer = setTimeout(() => this.process.kill("SIGKILL"), 3000);
    await this.exited;
    clearTimeout(timer);
  }
}

/**
 * Starts a server of `servers.mjs`.
 *
 * @param {string} name
 * @param {object} [options]
 * @param {string} [options.program] what it does with messages
 * @param {string} [options.compress] which messages it compresses
 * @param {readonly string[]} [options.args]
 * @param {import("./engines.mjs").Engines} [options.engines]
 * @param {readonly string[]} [options.execArgv] flags of Node
 * @param {string} [options.dist] the build of ours that it uses; default: that of this checkout
 */
export const startServer = async (name, { program, compress, args = [], engines, execArgv = [], dist } = {}) => {
  const row = SERVERS[name];
  if (row === undefined) throw new Error(`no server "${name}"; there are ${Object.keys(SERVERS).join(", ")}`);
  const options = Object.entries({ program, compress, dist }).flatMap(([key, value]) =>
    value === undefined ? [] : [`--${key}=${value}`],
  );
  const child = new Child(`servers/${row.script}`, {
    core: CORE.server,
    args: [...(row.args ?? []), ...args, ...options],
    command: [...commandFor(row.runtime, engines), ...(isNode(row) ? execArgv : [])],
  });
  try {
    const port = /** @type {number} */ (await child.receive("listening"));
    return { child, port, protocol: row.protocol };
  } catch (error) {
    await child.stop();
    throw error;
  }
};

/** @param {import("./servers.mjs").ServerRow} row */
const isNode = ({ runtime }) => runtime !== "bun" && runtime !== "deno";

/**
 * The cause of an error. If a server dies, the load notices it first, as an error of its sockets.
 *
 * @param {unknown} error
 * @param {Child} server
 */
export const causeOf = async (error, server) => {
  let timer;
  await Promise.race([server.exited, new Promise((resolve) => (timer = setTimeout(resolve, 500)))]);
  clearTimeout(timer);
  return server.gone === undefined ? error : new Error(`${server.script} ${server.gone}`);
};
