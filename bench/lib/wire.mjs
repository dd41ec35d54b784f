/** The client's half of the wire, by hand: nothing here is shared with what it measures. */
import { createHash, randomBytes, randomFillSync } from "node:crypto";

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
  if (payload.length !== size) throw new Error(`no text of ${size} octets can be made of that alphabet`);
  const first = 0x80 | (kind === "text" ? 1 : 2);
  const key = randomBytes(4);
  const masked = payload.map((byte, i) => byte ^ /** @type {number} */ (key[i & 3]));
  const frame = Buffer.concat([header(first, size, 0x80), key, masked]);
  return { frame, answer: raw ? frame : Buffer.concat([header(first, size, 0), payload]) };
};

/** @param {number} port */
export const handshake = (port) => {
  const key = randomBytes(16).toString("base64");
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  return {
    request: `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    /** @param {string} answer */
    check: (answer) => {
      if (!/^HTTP\/1\.1 101 /.test(answer) || !answer.includes(accept)) throw new Error(`no upgrade: ${answer}`);
      if (/^sec-websocket-extensions:/im.test(answer)) throw new Error(`an extension nobody offered: ${answer}`);
    },
  };
};
