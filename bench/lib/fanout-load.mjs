/**
 * The clients of the fan-out benchmark: plain sockets in a process of their own. All messages are the same, so without
 * compression clients count frames by their bytes. Before the measurement, numbered messages are sent, and each client
 * checks all of them.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";

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

/**
 * The payload of a message. Those of one case all have the same size.
 *
 * @param {boolean} deflate
 * @param {number} [sender]
 * @param {number} [number]
 */
const payloadOf = (deflate, sender = 0, number = 0) => {
  const id = `${String(sender).padStart(5, "0")}:${String(number).padStart(6, "0")}`;
  if (!deflate) return Buffer.from(id.padEnd(32, "x"));
  const people = Array.from({ length: 8 }, (_, i) => ({
    id: 10_000 + i * 7919,
    name: `user ${i}`,
    tags: ["alpha", "beta"],
  }));
  return Buffer.from(id + JSON.stringify(people));
};

/**
 * @param {Buffer} plain
 * @param {boolean} deflate
 */
const frameOf = (plain, deflate) => {
  const payload = deflate ? deflateRawSync(plain, SYNC_FLUSH).subarray(0, -4) : plain;
  const key = randomBytes(4);
  const first = firstByteOf(deflate);
  const head =
    payload.length < 126 ? [first, 0x80 | payload.length] : [first, 0xfe, payload.length >> 8, payload.length & 255];
  return Buffer.concat([Buffer.from(head), key, payload.map((byte, i) => byte ^ /** @type {number} */ (key[i & 3]))]);
};

/** The first byte of a frame: FIN, RSV1 if it is compressed, and the opcode of a text. @param {boolean} deflate */
const firstByteOf = (deflate) => (deflate ? 0xc1 : 0x81);

const SYNC_FLUSH = { finishFlush: constants.Z_SYNC_FLUSH };

class Member {
  /** @param {net.Socket} socket */
  constructor(socket) {
    this.socket = socket;
    socket.on("data", (chunk) => this.onData(chunk));
  }

  /** @type {(chunk: Buffer) => void} */
  onData = () => undefined;
}

/**
 * Returns a function that counts the frames in the chunks that it is passed.
 *
 * @param {(payload: Buffer, firstByte: number) => void} [check] called for each frame
 * @returns {(chunk: Buffer) => number}
 */
const frameCounter = (check) => {
  /** @type {Buffer} */
  let rest = Buffer.alloc(0);
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let [at, count] = [0, 0];
    for (; at + 4 <= bytes.length; count++) {
      const short = /** @type {number} */ (bytes[at + 1]);
      const start = at + (short === 126 ? 4 : 2);
      const end = start + (short === 126 ? bytes.readUInt16BE(at + 2) : short);
      if (end > bytes.length) break;
      check?.(bytes.subarray(start, end), /** @type {number} */ (bytes[at]));
      at = end;
    }
    rest = bytes.subarray(at);
    return count;
  };
};

/**
 * @param {number} port
 * @param {number} index
 * @param {boolean} deflate
 */
const connect = async (port, index, deflate) => {
  // Several addresses, because the closed connections of earlier rounds still occupy ports (TIME-WAIT).
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

/**
 * Sends numbered messages, before anything is measured. Each member must receive every one of them once, in order, and
 * unchanged.
 *
 * @param {readonly Member[]} members
 * @param {Case} options
 */
const verify = async (members, { senders, burst, except, deflate }) => {
  const each = 2 * burst;
  let missing = members.length * each * senders - (except ? each * senders : 0);
  await new Promise((/** @type {(value?: unknown) => void} */ resolve, reject) => {
    for (const [i, member] of members.entries()) {
      /** The number of messages that this member has received from each sender. */
      const seen = new Uint32Array(senders);
      const counter = frameCounter((payload, firstByte) => {
        const message = deflate ? inflateRawSync(payload, SYNC_FLUSH) : payload;
        const sender = Number(message.toString("latin1", 0, 5));
        const expected = payloadOf(deflate, sender, seen[sender]++);
        if (firstByte !== firstByteOf(deflate) || !message.equals(expected) || (except && sender === i))
          reject(new Error(`member ${i} received ${message}, not ${expected}`));
      });
      member.onData = (chunk) => {
        missing -= counter(chunk);
        if (missing === 0) resolve();
        if (missing < 0) reject(new Error("members received more than was sent"));
      };
    }
    for (let start = 0; start < each; start += burst)
      for (let sender = 0; sender < senders; sender++) {
        const numbers = Array.from({ length: burst }, (_, i) => start + i);
        const frames = numbers.map((number) => frameOf(payloadOf(deflate, sender, number), deflate));
        members[sender]?.socket.write(Buffer.concat(frames));
      }
  });
};

/**
 * @param {Case & { port: number, seconds: number, warmup: number }} options
 * @param {() => Promise<number>} cpu the CPU time of the server in seconds
 */
const run = async (options, cpu) => {
  const { port, members: memberCount, senders, burst, bursts, except, deflate, seconds, warmup } = options;
  /** @type {Member[]} */
  const members = [];
  for (let i = 0; i < memberCount; i++) members.push(await connect(port, i, deflate));
  await verify(members, options);
  const plain = payloadOf(deflate);
  const sent = frameOf(plain, deflate);
  const burstBytes = Buffer.concat(Array.from({ length: burst }, () => sent));

  let expected = Number.POSITIVE_INFINITY;
  let received = 0;
  /** @type {() => void} */
  let done = () => undefined;
  const count = (/** @type {number} */ frames) => {
    received += frames;
    if (received === expected) done();
    else if (received > expected) throw new Error("received more than was sent");
  };
  const plainSize = 2 + plain.length;
  const checkPayload = (/** @type {Buffer} */ payload) => {
    const message = deflate ? inflateRawSync(payload, SYNC_FLUSH) : payload;
    if (!message.equals(plain)) throw new Error("received something other than what was sent");
  };
  for (const [i, member] of members.entries()) {
    // One client checks each message. The others count frames, which have one size without compression.
    const counter = i === 0 ? frameCounter(checkPayload) : deflate ? frameCounter() : undefined;
    let bytes = 0;
    member.onData =
      counter === undefined
        ? (chunk) => {
            bytes += chunk.length;
            const frames = Math.floor(bytes / plainSize);
            bytes -= frames * plainSize;
            count(frames);
          }
        : (chunk) => count(counter(chunk));
  }

  const perRound = senders * burst * bursts * (except ? memberCount - 1 : memberCount);
  const round = async () => {
    received = 0;
    expected = perRound;
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
