/** Encodes what the client sends and what it expects. It shares no code with the servers that are measured. */
import { createHash, randomBytes, randomFillSync, randomInt } from "node:crypto";
import { constants, deflateRawSync } from "node:zlib";

/**
 * @param {number} first
 * @param {number} length
 * @param {number} masked 0x80 or 0
 */
const header = (first, length, masked) => {
  if (length < 126) return Buffer.from([first, masked | length]);
  if (length < 65_536) return Buffer.from([first, masked | 126, length >> 8, length & 0xff]);
  const bytes = Buffer.alloc(10);
  bytes[0] = first;
  bytes[1] = masked | 127;
  bytes.writeBigUInt64BE(BigInt(length), 2);
  return bytes;
};

/**
 * @param {number} size
 * @param {string | undefined} alphabet
 */
const randomText = (size, alphabet = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ.0123456789") => {
  const letters = [...alphabet];
  const random = randomBytes(size);
  let text = "";
  for (let i = 0; i < size / Buffer.byteLength(/** @type {string} */ (letters[0])); i++) {
    text += letters[/** @type {number} */ (random[i]) % letters.length];
  }
  return Buffer.from(text);
};

/**
 * @param {number} first the first byte of the header
 * @param {Uint8Array} payload
 */
const clientFrame = (first, payload) => {
  const key = randomBytes(4);
  const masked = payload.map((byte, i) => byte ^ /** @type {number} */ (key[i & 3]));
  return Buffer.concat([header(first, payload.length, 0x80), key, masked]);
};

/**
 * @param {number} first
 * @param {Uint8Array} payload
 */
const serverFrame = (first, payload) => Buffer.concat([header(first, payload.length, 0), payload]);

/**
 * @typedef {object} Messages what is sent, and what the server answers
 * @property {"text" | "binary"} [kind]
 * @property {number} [size] of a payload, in bytes
 * @property {string} [alphabet] the characters of texts; default: letters, digits, space and full stop, all ASCII
 * @property {number} [fragments] of a message; default: 1
 * @property {boolean} [json] requests with two numbers, of which the server answers the sum
 * @property {"push" | "broadcast"} [channel] messages of Phoenix channels: pushes that are answered, or events that are
 * broadcast as they are
 * @property {string} [compressed] the compression that is offered
 * @property {boolean} [raw] the server returns the bytes it receives
 */

/**
 * A message as the client sends it, and as a server should answer it.
 *
 * @param {Messages} messages
 */
const makeMessage = ({ kind, size = 32, alphabet, fragments = 1, raw }) => {
  const payload = kind === "text" ? randomText(size, alphabet) : randomFillSync(Buffer.alloc(size));
  if (payload.length !== size) throw new Error(`no text of ${size} bytes can be made of that alphabet`);
  const opcode = kind === "text" ? 1 : 2;
  const part = Math.ceil(size / fragments);
  const frame = Buffer.concat(
    Array.from({ length: fragments }, (_, i) =>
      clientFrame(
        (i === fragments - 1 ? 0x80 : 0) | (i === 0 ? opcode : 0),
        payload.subarray(i * part, (i + 1) * part),
      ),
    ),
  );
  return { frame, answer: raw ? frame : serverFrame(0x80 | opcode, payload) };
};

/** @param {Messages} messages */
const makeJson = ({ raw }) => {
  const [id, a, b] = [100_000 + randomInt(900_000), 1_000 + randomInt(4_000), 1_000 + randomInt(4_000)];
  const frame = clientFrame(0x81, Buffer.from(JSON.stringify({ id, a, b })));
  return { frame, answer: raw ? frame : serverFrame(0x81, Buffer.from(JSON.stringify({ id, sum: a + b }))) };
};

/** @param {Messages} messages */
const makeChannelMessage = ({ channel, size = 32 }) => {
  const payload = JSON.stringify(String(randomText(size)));
  if (channel === "broadcast") {
    const event = Buffer.from(`[null,null,"room:1","said",${payload}]`);
    return { frame: clientFrame(0x81, event), answer: serverFrame(0x81, event) };
  }
  const ref = `"1","${100_000 + randomInt(900_000)}","room:1"`;
  const answer = `[${ref},"phx_reply",{"status":"ok","response":${payload}}]`;
  return {
    frame: clientFrame(0x81, Buffer.from(`[${ref},"echo",${payload}]`)),
    answer: serverFrame(0x81, Buffer.from(answer)),
  };
};

/** JSON of about `size` bytes: a list of random people. */
const randomJson = (/** @type {number} */ size) =>
  Buffer.from(
    JSON.stringify(
      Array.from({ length: Math.round(size / 91) }, () => ({
        id: (randomBytes(4).readUInt32LE() % 90_000) + 10_000,
        name: `user ${randomBytes(3).toString("hex")}`,
        active: randomBytes(1)[0] > 127,
        score: 1000 + (randomBytes(2).readUInt16LE() % 9000),
        tags: ["alpha", "beta"],
      })),
    ),
  );

const deflate = (/** @type {Uint8Array} */ payload) =>
  deflateRawSync(payload, { level: 6, memLevel: 8, finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);

/**
 * Compressed messages, all of one compressed size.
 *
 * @param {number} count
 * @param {number} size the approximate size of a message before compression, in bytes
 */
const makeDeflated = (count, size) => {
  /** @type {Map<number, Buffer[]>} */
  const bySize = new Map();
  for (;;) {
    const payload = deflate(randomJson(size));
    const same = bySize.get(payload.length) ?? [];
    bySize.set(payload.length, same);
    same.push(payload);
    if (same.length < count) continue;
    // A server that compresses each message on its own, with the same zlib at the same level, answers the same bytes.
    return same.map((payload) => ({ frame: clientFrame(0xc1, payload), answer: serverFrame(0xc1, payload) }));
  }
};

/**
 * The messages that each connection sends in turn. They are all different, so that the order of the answers is
 * checked, too; and all frames have one size, as do all answers.
 *
 * @param {number} count
 * @param {Messages} messages
 */
export const makeWindow = (count, messages) =>
  messages.compressed
    ? makeDeflated(count, messages.size ?? 730)
    : Array.from({ length: count }, () => makeOne(messages));

/** @param {Messages} messages */
const makeOne = (messages) =>
  messages.json ? makeJson(messages) : messages.channel ? makeChannelMessage(messages) : makeMessage(messages);

/**
 * @param {number} port
 * @param {{ compressed?: string, path?: string, key?: string }} [options] `compressed`: the extensions to offer
 */
export const handshake = (port, { compressed, path = "/", key = randomBytes(16).toString("base64") } = {}) => {
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Key: ${key}`,
    "Sec-WebSocket-Version: 13",
    ...(compressed === undefined ? [] : [`Sec-WebSocket-Extensions: ${compressed}`]),
  ];
  return {
    request: `${lines.join("\r\n")}\r\n\r\n`,
    accept,
    /** @param {string} answer */
    check: (answer) => {
      if (!/^HTTP\/1\.1 101 /.test(answer) || !answer.includes(accept)) throw new Error(`no upgrade: ${answer}`);
      if (/^sec-websocket-extensions:/im.test(answer) !== (compressed !== undefined))
        throw new Error(`not the extensions that were offered: ${answer}`);
    },
  };
};
