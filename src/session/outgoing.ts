/**
 * Checks the application's messages and close details before they reach a host, because hosts reject different values.
 */

import { codedRangeError, codedTypeError } from "../error-codes.ts";
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
        throw codedRangeError(
          "WEBSOCK_UNSENDABLE_MESSAGE",
          "the bytes of a text message must be valid UTF-8 (RFC 6455 §5.6); use binary() for other data",
        );
      }
      return length;
    case "binary":
      return length;
    case "ping":
    case "pong":
      if (length > MAX_CONTROL_PAYLOAD) {
        throw codedRangeError(
          "WEBSOCK_UNSENDABLE_MESSAGE",
          `a ${opcode} payload must be at most ${MAX_CONTROL_PAYLOAD} bytes, not ${length} (RFC 6455 §5.5)`,
        );
      }
      return length;
    default:
      return refuseMessage(message);
  }
};

/** One message, or several, as a list. */
export const messageList = (messages: Messages): readonly OutMessage[] =>
  Array.isArray(messages) ? messages : [messages as OutMessage];

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
        ? "; to close the connection, return stop(reason, state, { code, text })"
        : '; valid opcodes are "text", "binary", "ping" and "pong". To send an object, use json({ … })';
    throw codedTypeError("WEBSOCK_UNSENDABLE_MESSAGE", `not a message: its opcode is ${show(opcode)}${cure}`);
  }
  throw codedTypeError("WEBSOCK_UNSENDABLE_MESSAGE", `not a message: ${show(value)}${cureOf(value)}`);
};

const cureOf = (value: unknown): string => {
  if (typeof value === "string") return `; use text(${show(value)})`;
  if (typeof value === "number" || typeof value === "boolean") return `; use json(${value}) or text("${value}")`;
  if (typeof value !== "object" || value === null) {
    return "; create messages with text(), json(), binary(), ping() or pong()";
  }
  if (value instanceof Uint8Array || value instanceof ArrayBuffer) return "; use binary(data)";
  if (typeof (value as { readonly then?: unknown }).then === "function") return "; await it first";
  return Array.isArray(value) ? "; an array of messages must not contain arrays" : "; use json({ … })";
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
    throw codedTypeError(
      "WEBSOCK_INVALID_CLOSE",
      "a close detail must be a close code or an array of a close code and a reason text",
    );
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
