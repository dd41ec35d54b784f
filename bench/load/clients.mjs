/**
 * The load in JavaScript, for HTTP/2 and TLS, and where load.c cannot be compiled: a process of its own that keeps a
 * number of messages in flight on each of its connections. It counts complete answers by their length in bytes, and
 * compares the contents of each connection's first and last answers with what was sent.
 */
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import tls from "node:tls";
import { handshake, makeWindow } from "./wire.mjs";

/** The buffer into which all connections receive. */
const memory = Buffer.allocUnsafeSlow(1024 * 1024);

/** The number of connections from one address, which has a limited number of ports. */
const CONNECTIONS_PER_ADDRESS = 20_000;

class Load {
  messages = 0;
  /** @type {Flow[]} */
  flows = [];
  sending = true;

  /** @param {import("./loads.mjs").LoadOptions} options */
  constructor({ port, protocol, messages, inFlight = 1, connections = 1, paths }) {
    this.port = port;
    this.protocol = protocol;
    this.raw = protocol.startsWith("raw");
    this.compressed = messages.compressed;
    this.inFlight = inFlight;
    this.connections = connections;
    this.paths = paths;
    // The bytes contain the window twice, so that any stretch of it is contiguous. The connections begin with different
    // messages, so that a server that caches the last one gains nothing.
    const variety = this.compressed ? Math.max(64, inFlight) : inFlight;
    this.variety = variety;
    const window = makeWindow(variety, { ...messages, raw: this.raw });
    const frames = Buffer.concat([...window, ...window].map(({ frame }) => frame));
    this.answers = Buffer.concat(window.map(({ answer }) => answer));
    this.answerSize = this.answers.length / variety;
    const frameSize = frames.length / variety / 2;
    /** The bytes to write, by position in the window and number of messages. */
    this.stretches = window.map((_, from) =>
      Array.from({ length: inFlight }, (_, more) => frames.subarray(from * frameSize, (from + more + 1) * frameSize)),
    );
  }

  /** Opens connections until there are so many. @param {number} wanted */
  async open(wanted) {
    while (this.flows.length < wanted) {
      const count = Math.min(100, wanted - this.flows.length);
      const flows = Array.from({ length: count }, (_, i) => new Flow(this, this.flows.length + i));
      this.flows.push(...flows);
      await Promise.all(flows.map((flow) => flow.opened));
    }
  }

  /** @param {number} [from] the first connection that sends */
  start(from = 0) {
    for (const flow of this.flows.slice(from)) flow.send(this.inFlight);
  }

  /** Stops sending, and waits for the answers that are missing. */
  async finish() {
    this.sending = false;
    const until = performance.now() + 10_000;
    while (this.flows.some((flow) => flow.answered < flow.sent)) {
      if (performance.now() > until) throw new Error("answers are missing");
      await sleep(5);
    }
    await sleep(20); // time for answers that should not arrive
    for (const flow of this.flows) flow.checkEnd();
  }

  close() {
    for (const flow of this.flows) flow.socket.destroy();
  }
}

class Flow {
  sent = 0;
  answered = 0;
  /** The number of bytes received of an answer that is incomplete. */
  pending = 0;
  closed = false;
  /** The position in the window at which this connection begins. */
  first = 0;

  /**
   * @param {Load} load
   * @param {number} index
   */
  constructor(load, index) {
    this.load = load;
    if (load.compressed) this.sent = this.answered = this.first = index % load.variety;
    if (load.protocol.endsWith("http2")) {
      this.opened = this.openStream();
      return;
    }
    const path = load.paths === undefined ? "/" : `/${index % load.paths}`;
    const { request, check } = handshake(load.port, { compressed: load.compressed, path });
    const secure = load.protocol.endsWith("tls");
    let head = "";
    let open = load.raw;
    this.opened = new Promise((resolve, reject) => {
      const take = (/** @type {number} */ size, /** @type {Uint8Array} */ bytes) => {
        if (open) {
          this.take(size, bytes);
          return true;
        }
        head += Buffer.from(bytes.buffer, bytes.byteOffset, size).toString("latin1");
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return true;
        open = true;
        try {
          check(head);
          if (head.length > end + 4) throw new Error("the server sent something before the first message");
        } catch (error) {
          reject(error);
        }
        resolve(undefined);
        return true;
      };
      const address = {
        host: "127.0.0.1",
        port: load.port,
        noDelay: true,
        ...(index < CONNECTIONS_PER_ADDRESS
          ? {}
          : { localAddress: `127.0.0.${1 + Math.floor(index / CONNECTIONS_PER_ADDRESS)}` }),
      };
      this.socket = secure
        ? tls.connect({ ...address, rejectUnauthorized: false })
        : net.connect({ ...address, onread: { buffer: memory, callback: take } });
      if (secure) this.socket.on("data", (chunk) => take(chunk.length, chunk));
      this.socket.on("error", (error) => {
        reject(error);
        fail(error);
      });
      this.socket.on("close", () => (this.closed = true));
      if (load.raw) this.socket.once(secure ? "secureConnect" : "connect", resolve);
      else this.socket.write(request);
    });
  }

  /** Opens an HTTP/2 stream, on a connection of its own. */
  async openStream() {
    const session = http2.connect(`http://127.0.0.1:${this.load.port}`);
    session.on("error", fail);
    await once(session, "remoteSettings");
    const stream = session.request({
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":scheme": "http",
      ":path": "/",
      ":authority": `127.0.0.1:${this.load.port}`,
      "sec-websocket-version": "13",
    });
    this.socket = stream;
    stream.on("error", fail);
    const [headers] = await once(stream, "response");
    if (headers[":status"] !== 200) throw new Error(`no upgrade: ${headers[":status"]}`);
    stream.on("data", (chunk) => this.take(chunk.length, chunk));
    stream.on("close", () => (this.closed = true));
  }

  /** @param {number} count */
  send(count) {
    const { stretches, variety } = this.load;
    const from = this.sent % variety;
    this.sent += count;
    this.socket.write(stretches[from][count - 1]);
  }

  /**
   * @param {number} size
   * @param {Uint8Array} bytes
   */
  take(size, bytes) {
    const { load } = this;
    if (this.answered - this.first < load.inFlight || !load.sending) this.check(size, bytes);
    this.pending += size;
    if (this.pending < load.answerSize) return;
    const whole = Math.floor(this.pending / load.answerSize);
    this.pending -= whole * load.answerSize;
    this.answered += whole;
    load.messages += whole;
    if (load.sending) this.send(whole);
  }

  /**
   * @param {number} size
   * @param {Uint8Array} bytes
   */
  check(size, bytes) {
    const { answers, answerSize, variety } = this.load;
    let at = (this.answered % variety) * answerSize + this.pending;
    for (let done = 0; done < size; ) {
      at %= answers.length;
      const piece = Math.min(size - done, answers.length - at);
      if (answers.compare(bytes, done, done + piece, at, at + piece) !== 0) {
        fail(new Error("an answer differs from what was sent"));
      }
      done += piece;
      at += piece;
    }
  }

  checkEnd() {
    if (this.closed) throw new Error("the server closed a connection");
    if (this.answered !== this.sent || this.pending !== 0) throw new Error("more answers than messages");
  }
}

/** @param {unknown} error */
const fail = (error) => {
  process.send?.({ error: String(error) });
  setTimeout(() => process.exit(1), 100);
};

/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Full load for `warmup` + `seconds`. The result is that of the last `seconds`. */
const run = async (/** @type {import("./loads.mjs").LoadOptions} */ options) => {
  const { connections = 1, warmup = 1, seconds = 1 } = options;
  const load = new Load(options);
  await load.open(connections);
  load.start();
  await sleep(warmup * 1000);
  process.send?.({ began: true });
  const before = { at: performance.now(), messages: load.messages, cpu: cpu() };
  await sleep(seconds * 1000);
  const took = (performance.now() - before.at) / 1000;
  const messages = load.messages - before.messages;
  const spent = cpu() - before.cpu;
  process.send?.({ ended: true });
  await load.finish();
  load.close();
  process.send?.({ result: { seconds: took, messages, cpu: spent } });
};

/** @type {Load | undefined} */
let idle;

/** Opens connections that each exchange their messages once, and are idle afterwards. @param {number} count */
const openIdle = async (count) => {
  if (idle === undefined) return;
  const from = idle.flows.length;
  await idle.open(count);
  idle.sending = false;
  if (exchange > 0) {
    idle.start(from);
    await idle.finish();
  }
  process.send?.({ open: idle.flows.length });
};

let exchange = 1;

process.on("message", async (/** @type {any} */ { ask, options, open }) => {
  try {
    if (ask === "exit") process.exit(0);
    else if (open !== undefined) await openIdle(open);
    else if (options.mode === "idle") {
      idle = new Load(options);
      exchange = options.exchange ?? 1;
    } else await run(options);
  } catch (error) {
    fail(error);
  }
});
process.on("disconnect", () => process.exit(0));
