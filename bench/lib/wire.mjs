/** Encodes what the client sends and what it expects. It shares no code with the servers that are measured. */
import { createHash, randomBytes, randomFillSync } from "node:crypto";
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
 * A message as the client sends it, and as a server should answer it.
 *
 * @param {{ kind: "text" | "binary", size: number, alphabet?: string, raw: boolean }} options
 */
export const makeMessage = ({ kind, size, alphabet, raw }) => {
  const payload = kind === "text" ? randomText(size, alphabet) : randomFillSync(Buffer.alloc(size));
  if (payload.length !== size) throw new Error(`no text of ${size} bytes can be made of that alphabet`);
  const first = 0x80 | (kind === "text" ? 1 : 2);
  const key = randomBytes(4);
  const masked = payload.map((byte, i) => byte ^ /** @type {number} */ (key[i & 3]));
  const frame = Buffer.concat([header(first, size, 0x80), key, masked]);
  return { frame, answer: raw ? frame : Buffer.concat([header(first, size, 0), payload]) };
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
 * Compressed messages, all of one compressed size, so that answers can be counted by their bytes. A server that
 * compresses each message on its own, with the same zlib at the same level, sends the same bytes: an answer that is not
 * compressed is an error.
 *
 * @param {number} count
 * @param {number} size the approximate size of a message before compression, in bytes
 */
export const makeDeflated = (count, size) => {
  /** @type {Map<number, Buffer[]>} */
  const bySize = new Map();
  for (;;) {
    const payload = deflate(randomJson(size));
    const same = bySize.get(payload.length) ?? [];
    bySize.set(payload.length, same);
    same.push(payload);
    if (same.length < count) continue;
    return same.map((payload) => {
      const key = randomBytes(4);
      const masked = payload.map((byte, i) => byte ^ /** @type {number} */ (key[i & 3]));
      return {
        frame: Buffer.concat([header(0xc1, payload.length, 0x80), key, masked]),
        answer: Buffer.concat([header(0xc1, payload.length, 0), payload]),
      };
    });
  }
};

/**
 * @param {number} port
 * @param {string} [compression] the Sec-WebSocket-Extensions header
 */
export const handshake = (port, compression) => {
  const key = randomBytes(16).toString("base64");
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  return {
    request: `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n${compression ? `Sec-WebSocket-Extensions: ${compression}\r\n` : ""}\r\n`,
    /** @param {string} answer */
    check: (answer) => {
      if (!/^HTTP\/1\.1 101 /.test(answer) || !answer.includes(accept)) throw new Error(`no upgrade: ${answer}`);
      if (/^sec-websocket-extensions:/im.test(answer) !== (compression !== undefined))
        throw new Error(`not the extensions that were offered: ${answer}`);
    },
  };
};
