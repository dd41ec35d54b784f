/** Checks the application's messages and close details before they reach a host, because hosts reject different values. */

import { show } from "../known-keys.ts";
import type { IoData, Messages, OutMessage } from "../message.ts";
import { type ByteOps, portableByteOps } from "../protocol/byte-ops.ts";
import { type CloseFrame, checkClose } from "../protocol/close.ts";
import { MAX_CONTROL_PAYLOAD } from "../protocol/frame.ts";
import { forEachPart, ioLength } from "../protocol/io-data.ts";
import { Utf8Validator } from "../protocol/utf8.ts";
import type { CloseDetail } from "../result.ts";

/**
 * Checks a message and returns its size in bytes.
 *
 * @throws TypeError for a value that is not a message, RangeError for a message that may not be sent
 */
export const checkMessage = (message: OutMessage, byteOps: ByteOps = portableByteOps): number => {
  if (typeof message !== "object" || message === null) refuseMessage(message);
  const { opcode, data } = message;
  const length = data === null || data === undefined ? 0 : ioLength(data, byteOps);
  switch (opcode) {
    case "text":
      if (typeof data !== "string" && length > 0 && !isUtf8(data!, byteOps)) {
        throw new RangeError("the octets of a text message must be UTF-8 (RFC 6455 §5.6)");
      }
      return length;
    case "binary":
      return length;
    case "ping":
    case "pong":
      if (length > MAX_CONTROL_PAYLOAD) {
        throw new RangeError(`a ${opcode} has ${MAX_CONTROL_PAYLOAD} octets at most, not ${length} (RFC 6455 §5.5)`);
      }
      return length;
    default:
      return refuseMessage(message);
  }
};

/**
 * Checks all messages, so that none is sent if one is invalid.
 *
 * @throws TypeError for a value that is not a message, RangeError for a message that may not be sent
 */
export const checkMessages = (messages: Messages, byteOps: ByteOps): void => {
  if (Array.isArray(messages)) for (const message of messages as readonly OutMessage[]) checkMessage(message, byteOps);
  else if (!isPlainText(messages)) checkMessage(messages as OutMessage, byteOps);
};

/** @throws TypeError that says how to make a message of this value */
const refuseMessage = (value: unknown): never => {
  const { opcode } = (value ?? NO_MESSAGE) as { readonly opcode?: unknown };
  if (opcode !== undefined) {
    const cure =
      opcode === "close"
        ? "; stop(reason, state, { code, text }) closes"
        : '; opcodes are "text", "binary", "ping" and "pong", and json({ … }) sends any object';
    throw new TypeError(`not a message: its opcode is ${show(opcode)}${cure}`);
  }
  throw new TypeError(`not a message: ${show(value)}${cureOf(value)}`);
};

const cureOf = (value: unknown): string => {
  if (typeof value === "string") return `; send text(${show(value)})`;
  if (typeof value === "number" || typeof value === "boolean") return `; send json(${value}) or text("${value}")`;
  if (typeof value !== "object" || value === null) {
    return "; messages are made by text(), json(), binary(), ping() and pong()";
  }
  if (value instanceof Uint8Array || value instanceof ArrayBuffer) return "; send binary(data)";
  if (typeof (value as { readonly then?: unknown }).then === "function") return "; await it first";
  return Array.isArray(value) ? "; a list of messages may not contain lists" : "; send json({ … })";
};

/** Whether this is a text message whose data is one string: the most frequent kind, which needs no check. */
export const isPlainText = (message: Messages): message is { readonly opcode: "text"; readonly data: string } => {
  const { opcode, data } = (message ?? NO_MESSAGE) as OutMessage;
  return opcode === "text" && typeof data === "string";
};

const NO_MESSAGE = {};

/**
 * Checks the close code and close reason text of a stop.
 *
 * @throws TypeError for a value that is not a close detail, RangeError for a code or text that may not be sent
 */
export const checkCloseDetail = (detail: CloseDetail): CloseFrame => {
  const [code, text] = Array.isArray(detail) ? detail : [detail, null];
  if (typeof code !== "number" || (typeof text !== "string" && text !== null && text !== undefined)) {
    throw new TypeError("a close detail is a code, or a list of a code and a text");
  }
  checkClose(code, text ?? "");
  return { code, text: text ?? "" };
};

/** A character may be split between two byte arrays, but not between a byte array and a string. */
const isUtf8 = (data: IoData, byteOps: ByteOps): boolean => {
  const validator = new Utf8Validator(byteOps);
  let valid = true;
  forEachPart(data, (part) => {
    if (typeof part !== "string") valid &&= validator.push(part);
    else if (part !== "") valid &&= validator.complete;
  });
  return valid && validator.complete;
};
