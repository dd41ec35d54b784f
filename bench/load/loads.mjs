/** Starts a load for a server: the one in C, or a script for what that one cannot do. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { Child, CORE, pinned } from "../lib/child.mjs";
import { MissingRuntime } from "../lib/engines.mjs";
import { compileLoad } from "./compile.mjs";
import { handshake, makeWindow } from "./wire.mjs";

/**
 * @typedef {object} LoadOptions
 * @property {"closed" | "open" | "fan-out" | "handshakes" | "idle"} mode
 * @property {import("../lib/servers.mjs").Protocol} protocol
 * @property {number} port
 * @property {import("./wire.mjs").Messages} messages
 * @property {number} [connections] default: 1
 * @property {number} [inFlight] the number of unanswered messages of each connection; default: 1
 * @property {number} [paths] how many paths, `/0`, `/1`, …, the connections take in turn; default: only `/`
 * @property {number} [seconds] of the measurement
 * @property {number} [warmup] seconds before it
 * @property {number} [rate] open loop: messages per second of all connections
 * @property {number} [slow] closed loop: how many of the connections read slowly, and are not measured
 * @property {number} [slowMessages] how many each of these sends every 10 ms, if the server reads
 * @property {number} [senders] fan-out: how many connections send
 * @property {number} [burst] how many messages each sends at once
 * @property {number} [bursts] how many bursts each sends before the load waits until all messages have arrived
 * @property {boolean} [except] senders do not receive their own messages
 * @property {number} [server] handshakes: the process whose CPU time is measured while `connections` are opened
 * @property {number} [exchange] idle: how many messages each connection sends before it is idle; default: 1
 *
 * @typedef {object} LoadResult
 * @property {number} messages answered in the measured time
 * @property {number} seconds
 * @property {number} cpu seconds of CPU time that the load used
 * @property {[number, number][]} [latencies] a histogram of nanoseconds, see `lib/histogram.mjs`
 * @property {[number, number][]} [delays] a histogram: how late messages were sent
 * @property {number} [opening] handshakes: seconds in which connections were opened, without those in which they were
 * closed
 * @property {number} [server] handshakes: the CPU time of the server in these seconds
 *
 * @typedef {object} Load
 * @property {boolean} inC
 * @property {Promise<unknown>} began the measured time begins
 * @property {Promise<unknown>} ended the measured time has ended
 * @property {Promise<LoadResult>} result
 * @property {(count: number) => Promise<unknown>} open mode `idle`: opens connections until this many are open
 * @property {() => Promise<void>} stop
 */

const MODES = ["closed", "open", "fan-out", "handshakes", "idle"];

/** How many different messages each connection sends in turn, at least. @param {number} size */
const varietyOf = (size) => (size >= 1_000_000 ? 2 : size >= 10_000 ? 4 : 16);

/**
 * @param {LoadOptions} options
 * @returns {Load}
 * @throws MissingRuntime if there is no load that can do this
 */
export const startLoad = (options) => {
  const { protocol, mode, slow } = options;
  if (protocol === "socket.io") return new ScriptLoad("load/socketio.mjs", options);
  if (protocol !== "websocket" && protocol !== "raw") return new ScriptLoad("load/clients.mjs", options);
  const { path, problem } = compileLoad();
  if (path !== undefined) return new CLoad(path, options);
  if (slow || (mode !== "closed" && mode !== "idle")) throw new MissingRuntime(problem);
  return new ScriptLoad("load/clients.mjs", options);
};

/** The load in C. Its options are passed as arguments, and its messages on the standard input. @implements {Load} */
class CLoad {
  inC = true;

  /**
   * @param {string} path
   * @param {LoadOptions} options
   */
  constructor(path, options) {
    const { port, messages, connections = 1, inFlight = 1, paths, seconds = 1, warmup = 1 } = options;
    const fanOut = options.mode === "fan-out";
    const size = messages.size ?? 32;
    const variety = fanOut ? 1 : Math.max(inFlight, messages.compressed ? 64 : varietyOf(size));
    const raw = options.protocol === "raw";
    const distinct = makeWindow(variety, { ...messages, raw });
    const window = fanOut ? Array.from({ length: options.burst ?? 1 }, () => distinct[0]) : distinct;
    const key = Buffer.alloc(16, "websock").toString("base64");
    const shakes = Array.from({ length: paths ?? 1 }, (_, i) =>
      handshake(port, { key, compressed: messages.compressed, path: paths === undefined ? "/" : `/${i}` }),
    );
    const requests = raw ? [] : shakes.map(({ request }) => Buffer.from(request));
    const accept = Buffer.from(raw ? "" : shakes[0].accept);
    // The sizes of compressed answers depend on the server. They are checked by verify.mjs.
    const answers = messages.compressed ? [] : window.map(({ answer }) => answer);
    const args = {
      mode: MODES.indexOf(options.mode),
      port,
      connections,
      inFlight,
      window: window.length,
      handshakes: shakes.length,
      handshakeSize: requests[0]?.length ?? 0,
      acceptSize: accept.length,
      frameSize: window[0].frame.length,
      answersSize: answers.reduce((sum, { length }) => sum + length, 0),
      warmup: Math.round(warmup * 1000),
      milliseconds: Math.round(seconds * 1000),
      rate: Math.round(options.rate ?? 1),
      slow: options.slow ?? 0,
      slowMessages: options.slowMessages ?? 0,
      senders: options.senders ?? 0,
      burst: options.burst ?? 1,
      bursts: options.bursts ?? 1,
      except: options.except ? 1 : 0,
      server: options.server ?? 0,
      exchange: options.exchange ?? 1,
    };
    const line = [path, ...Object.entries(args).map(([name, value]) => `${name}=${value}`)];
    const [file, ...rest] = pinned(line, CORE.load);
    this.process = spawn(/** @type {string} */ (file), rest, { stdio: ["pipe", "pipe", "inherit"] });
    this.process.stdin.on("error", () => {}); // it has ended, which `receive` reports
    this.process.stdin.write(Buffer.concat([...requests, accept, ...window.map(({ frame }) => frame), ...answers]));
    /** @type {Promise<void>} */
    this.exited = new Promise((resolve) => this.process.once("close", () => resolve()));
    this.lines = createInterface(this.process.stdout);
    const patience = (warmup + seconds) * 1000 + 60_000;
    this.began = this.receive("began", patience);
    this.ended = this.receive("ended", patience);
    this.result = this.receive("result", patience).then((text) => JSON.parse(text));
    for (const one of [this.began, this.ended, this.result]) one.catch(() => {}); // the one that is awaited throws
  }

  /**
   * What follows the next line that begins with this word.
   *
   * @param {string} word
   * @param {number} timeout
   * @returns {Promise<string>}
   */
  receive(word, timeout) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`load: no "${word}" within ${timeout} ms`)), timeout);
      this.lines.on("line", (line) => {
        if (line.startsWith("error ")) reject(new Error(`load: ${line.slice("error ".length)}`));
        else if (line === word || line.startsWith(`${word} `)) resolve(line.slice(word.length + 1));
      });
      void this.exited.then(() => {
        clearTimeout(timer);
        reject(new Error(`load: ended without "${word}"`));
      });
    });
  }

  /** @param {number} count */
  open(count) {
    const opened = this.receive("open", 120_000);
    this.process.stdin.write(`${count}\n`);
    return opened;
  }

  async stop() {
    this.process.kill("SIGKILL");
    await this.exited;
  }
}

/** A load in JavaScript, which costs as much as some of the servers do. @implements {Load} */
class ScriptLoad {
  inC = false;

  /**
   * @param {string} script
   * @param {LoadOptions} options
   */
  constructor(script, options) {
    const { seconds = 1, warmup = 1 } = options;
    this.child = new Child(script, { core: CORE.load });
    const patience = (warmup + seconds) * 1000 + 60_000;
    // All are expected from the beginning: on a busy machine, one may arrive before the previous one is processed.
    this.began = this.child.receive("began", patience);
    this.ended = this.child.receive("ended", patience);
    this.result = this.child.receive("result", patience);
    for (const one of [this.began, this.ended, this.result]) one.catch(() => {}); // the one that is awaited throws
    this.child.send({ options });
  }

  /** @param {number} count */
  open(count) {
    const opened = this.child.receive("open", 120_000);
    this.child.send({ open: count });
    return opened;
  }

  stop() {
    return this.child.stop();
  }
}
