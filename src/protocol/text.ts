/** Decoding the payload of a text message. */
import { ProtocolError } from "../errors.ts";
import type { ByteOps } from "./byte-ops.ts";
import { CLOSE } from "./close.ts";
import { MIN_LAST_TEXT } from "./short-text/last-text.ts";

/** RFC 6455 §8.1: a server that finds invalid UTF-8 MUST fail the connection. */
export const invalidUtf8 = (): ProtocolError =>
  new ProtocolError(CLOSE.invalidPayload, "received a text message that is not valid UTF-8");

/**
 * Validates and decodes a text.
 *
 * @param isShared the bytes are in a receive buffer
 * @throws ProtocolError 1007 if it is not UTF-8, unless `validateUtf8` is off; 1009 if it exceeds the engine's longest
 * string
 */
export const decodeText = (bytes: Uint8Array, byteOps: ByteOps, validateUtf8: boolean, isShared = false): string => {
  if (validateUtf8 && !byteOps.isUtf8(bytes)) throw invalidUtf8();
  return decodeUtf8(bytes, 0, bytes.length, byteOps, validateUtf8, isShared);
};

/**
 * Decodes UTF-8. Invalid sequences become U+FFFD.
 *
 * @param valid the bytes are known to be UTF-8, so that encoding the text yields the same bytes
 * @param isShared the bytes are in a receive buffer
 * @throws ProtocolError 1009 if the text exceeds the engine's longest string
 */
export const decodeUtf8 = (
  bytes: Uint8Array,
  start: number,
  end: number,
  byteOps: ByteOps,
  valid: boolean,
  isShared = false,
): string => {
  try {
    const text = byteOps.decodeUtf8(bytes, start, end);
    return valid ? remember(text, bytes, start, end, byteOps, isShared) : text;
  } catch {
    throw tooLong();
  }
};

/** Like {@link decodeUtf8}, for bytes that are known to be ASCII. */
export const decodeAscii = (
  bytes: Uint8Array,
  start: number,
  end: number,
  byteOps: ByteOps,
  isShared = false,
): string => {
  try {
    return remember(byteOps.decodeAscii(bytes, start, end), bytes, start, end, byteOps, isShared);
  } catch {
    throw tooLong();
  }
};

const remember = (
  text: string,
  bytes: Uint8Array,
  start: number,
  end: number,
  { lastText }: ByteOps,
  isShared: boolean,
): string => {
  if (end - start >= MIN_LAST_TEXT) lastText.set(text, bytes, start, end, isShared);
  return text;
};

/** Only possible if `maxMessageSize` is larger than the engine's longest string. */
const tooLong = (): ProtocolError =>
  new ProtocolError(CLOSE.tooBig, "received a text message longer than the maximum length of a string");
