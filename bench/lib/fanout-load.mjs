/**
 * The clients of the fan-out benchmark: plain sockets in a process of their own. All messages are the same, so that the
 * frames that a client receives are counted by their bytes; one client compares each byte.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { constants, deflateRawSync } from "node:zlib";

/**
 * @typedef {object} Case
 * @property {number} members
 * @property {number} senders how many of them send
 * @property {number} burst how many messages a sender sends at once
 * @property {number} bursts how often, before it waits until everything has arrived
 * @property {boolean} except senders do not receive their own messages
 * @property {boolean} deflate
 */

const EACH = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/** @param {boolean} deflate */
const payloadOf = (deflate) => {
  if (!deflate) return Buffer.from("x".repeat(32));
  const people = Array.from({ length: 8 }, (_, i) => ({
    id: 10_000 + i * 7919,
    name: `user ${i}`,
    tags: ["alpha", "beta"],
  }));
  return Buffer.from(JSON.stringify(people));
};

/** @param {boolean} deflate */
const frameOf = (deflate) => {
  const plain = payloadOf(deflate);
  const payload = deflate ? deflateRawSync(plain, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4) : plain;
  const key = randomBytes(4);
  const first = deflate ? 0xc1 : 0x81;
  const head =
    payload.length < 126 ? [first, 0x80 | payload.length] : [first, 0xfe, payload.length >> 8, payload.length & 255];
  return Buffer.concat([Buffer.from(head), key, payload.map((byte, i) => byte ^ /** @type {number} */ (key[i & 3]))]);
};

class Member {
  /** @param {net.Socket} socket */
  constructor(socket) {
    this.socket = socket;
    this.bytes = 0;
    socket.on("data", (chunk) => this.onData(chunk));
  }

  /** @type {(chunk: Buffer) => void} */
  onData = () => undefined;
}

/**
 * @param {number} port
 * @param {number} index
 * @param {boolean} deflate
 */
const connect = async (port, index, deflate) => {
  // Several addresses: one has fewer ports than the largest case has members.
  const socket = net.connect({ port, host: "127.0.0.1", localAddress: `127.0.0.${2 + (index % 8)}`, noDelay: true });
  await once(socket, "connect");
  socket.write(
    `GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
      (deflate ? `Sec-WebSocket-Extensions: ${EACH}\r\n` : "") +
      `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n\r\n`,
  );
  const [head] = await once(socket, "data");
  if (!head.toString("latin1").startsWith("HTTP/1.1 101")) throw new Error(`the handshake failed: ${head}`);
  if (deflate !== /permessage-deflate/.test(head)) throw new Error(`compression was not negotiated: ${head}`);
  return new Member(socket);
};

/** @param {Buffer} bytes the answer to one message: a frame */
const assertFrame = (bytes, /** @type {boolean} */ deflate) => {
  const size = bytes[1] === 126 ? 4 + bytes.readUInt16BE(2) : 2 + /** @type {number} */ (bytes[1]);
  const plain = payloadOf(deflate);
  const isSame = deflate ? bytes[0] === 0xc1 : bytes[0] === 0x81 && bytes.subarray(2).equals(plain);
  if (size !== bytes.length || !isSame) throw new Error(`not the message that was sent: ${bytes.toString("latin1")}`);
};

/**
 * @param {Case & { port: number, seconds: number, warmup: number }} options
 * @param {() => Promise<number>} cpu the CPU time of the server in seconds
 */
const run = async ({ port, members: count, senders, burst, bursts, except, deflate, seconds, warmup }, cpu) => {
  /** @type {Member[]} */
  const members = [];
  for (let i = 0; i < count; i++) members.push(await connect(port, i, deflate));
  const sent = frameOf(deflate);
  const burstBytes = Buffer.concat(Array.from({ length: burst }, () => sent));

  // The size of a frame from the server: all are the same, because each message is compressed separately.
  const last = /** @type {Member} */ (members.at(-1));
  const first = new Promise((/** @type {(chunk: Buffer) => void} */ resolve) => {
    last.onData = resolve;
  });
  /** @type {Member} */ (members[0]).socket.write(sent);
  const frame = await first;
  assertFrame(frame, deflate);
  let expected = 0;
  let total = 0;
  /** @type {() => void} */
  let done = () => undefined;
  for (const member of members)
    member.onData = (chunk) => {
      total += chunk.length;
      if (total === expected) done();
      else if (total > expected) throw new Error("received more than was sent");
    };
  // One client compares each byte.
  let at = 0;
  const pattern = Buffer.concat(Array.from({ length: Math.ceil(262_144 / frame.length) + 1 }, () => frame));
  const countOnly = last.onData;
  last.onData = (chunk) => {
    for (let from = 0; from < chunk.length; ) {
      const size = Math.min(chunk.length - from, pattern.length - at);
      if (chunk.compare(pattern, at, at + size, from, from + size) !== 0) throw new Error("received something else");
      from += size;
      at = (at + size) % frame.length;
    }
    countOnly(chunk);
  };
  await new Promise((resolve) => setTimeout(resolve, 200));
  total = 0;

  const perRound = senders * burst * bursts * (except ? count - 1 : count);
  const round = async () => {
    total = 0;
    expected = perRound * frame.length;
    const finished = new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
      done = resolve;
    });
    for (let i = 0; i < bursts; i++) {
      for (let sender = 0; sender < senders; sender++) members[sender]?.socket.write(burstBytes);
      // Bursts arrive separately, as those of different people do.
      if (i % 4 === 3) await new Promise((resolve) => setImmediate(resolve));
    }
    await finished;
  };
  const repeat = async (/** @type {number} */ ms) => {
    const start = performance.now();
    let rounds = 0;
    while (performance.now() - start < ms) {
      await round();
      rounds++;
    }
    return { deliveries: rounds * perRound, ms: performance.now() - start };
  };
  await repeat(warmup * 1000);
  const before = await cpu();
  const own = process.cpuUsage();
  const { deliveries, ms } = await repeat(seconds * 1000);
  const used = process.cpuUsage(own);
  const result = {
    perSecond: (deliveries / ms) * 1000,
    perCpuSecond: deliveries / ((await cpu()) - before),
    loadCpu: (used.user + used.system) / 1000 / ms,
  };
  for (const { socket } of members) socket.destroy();
  return result;
};

/** @type {((seconds: number) => void) | undefined} */
let onCpu;
const cpu = () =>
  new Promise((/** @type {(seconds: number) => void} */ resolve) => {
    onCpu = resolve;
    process.send?.({ cpu: true });
  });
process.on("message", async (/** @type {any} */ message) => {
  if ("seconds" in message && "port" in message) {
    try {
      process.send?.({ result: await run(message, cpu) });
    } catch (error) {
      process.send?.({ error: String(error) });
    }
  } else if ("serverCpu" in message) onCpu?.(message.serverCpu);
  else if (message.ask === "exit") process.exit(0);
});
process.on("disconnect", () => process.exit(0));
process.on("uncaughtException", (error) => process.send?.({ error: String(error) }));
process.send?.({ ready: true });
