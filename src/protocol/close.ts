/** Close frames: their codes (RFC 6455 §7.4) and their payload (§5.5.1). */
import { codedRangeError } from "../error-codes.ts";
import { ProtocolError } from "../errors.ts";
import type { ByteOps } from "./byte-ops.ts";
import { MAX_CONTROL_PAYLOAD } from "./frame.ts";
import { utf8Length } from "./utf8.ts";

/**
 * The registered close codes (RFC 6455 §7.4.1 and
 * https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number).
 */
export const CLOSE = {
  /** The purpose of the connection has been fulfilled. */
  normal: 1000,
  /** A server is shutting down, or a browser has left the page. */
  goingAway: 1001,
  /** The peer violated the protocol. */
  protocolError: 1002,
  /** An endpoint received a type of data that it can't accept, such as binary where it expects text. */
  unsupportedData: 1003,
  /** Reserved; has no meaning. Never sent. */
  reserved: 1004,
  /** Reported where the peer's close frame had no code. Never sent. */
  noStatusReceived: 1005,
  /** Reported where the connection was closed without a close frame. Never sent. */
  abnormalClosure: 1006,
  /** The data of a message don't match its type, such as a text that is not UTF-8. */
  invalidPayload: 1007,
  /** A message violates the endpoint's policy. The generic code where no other applies. */
  policyViolation: 1008,
  /** A message is too big to process. */
  tooBig: 1009,
  /** A client expected an extension that the server did not negotiate. Only clients send it. */
  mandatoryExtension: 1010,
  /** The server encountered an unexpected condition. */
  internalError: 1011,
  /** The server is restarting. Clients may reconnect, after a random delay of 5 to 30 s. */
  serviceRestart: 1012,
  /** The server is overloaded, or refuses this client for now. */
  tryAgainLater: 1013,
  /** A gateway received an invalid response from its upstream server. */
  badGateway: 1014,
  /** Reported where the TLS handshake failed. Never sent. */
  tlsHandshake: 1015,
} as const;

/**
 * Whether a close frame may carry this code. RFC 6455 §7.4.2: 0–999 are not used. 1000–2999 are reserved for the
 * protocol and its extensions; of these, 1004–1006 and 1015 must not be sent, and those above 1015 are not registered.
 * 3000–4999 are for libraries and applications.
 */
export const isCloseCode = (code: number): boolean =>
  Number.isInteger(code) &&
  ((code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999));

/**
 * Checks the contents of a close frame that is to be sent.
 *
 * @throws RangeError for a code that may not be sent, or a close reason text of more than 123 bytes (RFC 6455 §5.5)
 */
export const checkClose = (code: number, text: string): void => {
  if (!isCloseCode(code))
    throw codedRangeError(
      "WEBSOCK_INVALID_CLOSE",
      `close code ${code} must not be sent; valid codes are 1000–1003, 1007–1014 and 3000–4999 (RFC 6455 §7.4)`,
    );
  if (utf8Length(text) > MAX_CONTROL_PAYLOAD - 2)
    throw codedRangeError(
      "WEBSOCK_INVALID_CLOSE",
      "the close reason text must be at most 123 bytes of UTF-8 (RFC 6455 §5.5)",
    );
};

/** The contents of a close frame. */
export interface CloseFrame {
  /** `undefined`: the frame is empty. */
  readonly code: number | undefined;
  readonly text: string;
}

/**
 * Reads a close frame's payload.
 *
 * @throws ProtocolError 1002 for an invalid code or a payload of one byte, 1007 for a text that is not UTF-8
 */
export const parseClose = (payload: Uint8Array, byteOps: ByteOps): CloseFrame => {
  if (payload.length === 0) return { code: undefined, text: "" };
  if (payload.length === 1)
    throw new ProtocolError(CLOSE.protocolError, "received a close frame with a payload of one byte");
  const code = (payload[0]! << 8) | payload[1]!;
  if (!isCloseCode(code))
    throw new ProtocolError(CLOSE.protocolError, `received a close frame with the invalid close code ${code}`);
  if (!byteOps.isUtf8(payload.subarray(2)))
    throw new ProtocolError(CLOSE.invalidPayload, "received a close frame with a reason text that is not valid UTF-8");
  return { code, text: byteOps.decodeUtf8(payload, 2, payload.length) };
};

/** Encodes a close frame's payload. */
export const closePayload = ({ code, text }: CloseFrame, byteOps: ByteOps): Uint8Array => {
  if (code === undefined) return byteOps.alloc(0);
  const payload = byteOps.alloc(2 + utf8Length(text));
  payload[0] = code >>> 8;
  payload[1] = code;
  byteOps.writeUtf8(text, payload, 2, payload.length - 2);
  return payload;
};
