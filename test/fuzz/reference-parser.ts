/**
 * A reference parser: RFC 6455 §5 and RFC 7692 §6, applied to a whole stream. It is slow and simple, and shares no code
 * with the library. It checks in the same order: the first bytes of a header, its length, the limits, the payload.
 */
import { Buffer } from "node:buffer";
import type { ParserLimits } from "../../src/protocol/frame-parser.ts";
import type { ParserEvent } from "../protocol/parsing.ts";

const VALID_CLOSE = [[1000, 1003], [1007, 1014], [3000, 4999]] as const; // biome-ignore format: a table

const decode = (bytes: Uint8Array, options: TextDecoderOptions, stream = false): string | undefined => {
  try {
    return new TextDecoder("utf-8", { ignoreBOM: true, ...options }).decode(bytes, { stream });
  } catch {
    return undefined;
  }
};

/** The events of a stream. An error is the last one. Compressed messages are not inflated. */
export const referenceParse = (wire: Uint8Array, limits: ParserLimits, compression = false): ParserEvent[] => {
  const bytes = Buffer.from(wire);
  const seen: ParserEvent[] = [];
  const refuse = (code: number): ParserEvent[] => [...seen, ["error", code]];
  let message = { opcode: 0, payload: Buffer.alloc(0), frames: 0, compressed: false };

  for (let at = 0; at + 2 <= bytes.length; ) {
    const [first, second] = [bytes[at]!, bytes[at + 1]!];
    const [fin, opcode] = [first >= 0x80, first & 0x0f];
    const isControl = opcode >= 8;
    const marked = compression && (first & 0x70) === 0x40 && (opcode === 1 || opcode === 2);
    if ((first & 0x70) !== 0 && !marked) return refuse(1002);
    if (second < 0x80 || ![0, 1, 2, 8, 9, 10].includes(opcode)) return refuse(1002);
    if (isControl && (!fin || (second & 0x7f) > 125)) return refuse(1002);
    if (!isControl && (opcode === 0) !== (message.opcode !== 0)) return refuse(1002);

    const extended = (second & 0x7f) === 126 ? 2 : (second & 0x7f) === 127 ? 8 : 0;
    if (at + 2 + extended > bytes.length) return seen;
    let length = second & 0x7f;
    if (extended > 0) {
      const long = BigInt(`0x${bytes.toString("hex", at + 2, at + 2 + extended)}`);
      if (long >= 1n << 63n || long < (extended === 2 ? 126n : 65_536n)) return refuse(1002);
      length = Number(long);
    }
    if (!isControl && length > limits.maxFrameSize) return refuse(1009);
    // DEFLATE enlarges incompressible data a little (RFC 1951 §3.2.4).
    const most =
      marked || (opcode === 0 && message.compressed) ? limits.maxMessageSize * 1.001 + 64 : limits.maxMessageSize;
    if (!isControl && message.payload.length + length > most) return refuse(1009);

    const start = at + 2 + extended + 4;
    if (start > bytes.length) return seen;
    const key = bytes.subarray(start - 4, start);
    const payload = Buffer.from(bytes.subarray(start, start + length).map((byte, i) => byte ^ key[i % 4]!));
    const isWhole = payload.length === length;
    at = start + length;

    if (isControl) {
      if (!isWhole) return seen;
      if (opcode !== 8) {
        seen.push(["control", { opcode: opcode === 9 ? "ping" : "pong", data: new Uint8Array(payload) }]);
        continue;
      }
      if (length === 1) return refuse(1002);
      const code = length === 0 ? undefined : payload.readUInt16BE();
      if (code !== undefined && !VALID_CLOSE.some(([from, to]) => code >= from && code <= to)) return refuse(1002);
      const text = decode(payload.subarray(2), { fatal: true });
      if (text === undefined) return refuse(1007);
      seen.push(["close", { code, text }]);
      continue;
    }

    if (opcode !== 0) message = { opcode, payload: Buffer.alloc(0), frames: 0, compressed: marked };
    if (++message.frames > limits.maxFragments) return refuse(1008);
    message.payload = Buffer.concat([message.payload, payload]);
    const isText = message.opcode === 1;
    const isChecked = isText && limits.validateUtf8 && !message.compressed;
    if (isChecked && decode(message.payload, { fatal: true }, true) === undefined) return refuse(1007);
    if (!isWhole) return seen;
    if (!fin) continue;
    if (message.compressed) {
      seen.push(["compressed", message.opcode, new Uint8Array(message.payload)]);
      message = { opcode: 0, payload: Buffer.alloc(0), frames: 0, compressed: false };
      continue;
    }
    const data = isText ? decode(message.payload, { fatal: isChecked }) : new Uint8Array(message.payload);
    if (data === undefined) return refuse(1007);
    const opcodeName = isText ? "text" : "binary";
    seen.push(["message", { opcode: opcodeName, data } as never, message.payload.length]);
    message.opcode = 0;
    message.payload = Buffer.alloc(0);
  }
  return seen;
};
