/** Close frames: their codes (RFC 6455 §7.4) and their payload (§5.5.1). */
import { ProtocolError } from "../errors.ts";
import type { ByteOps } from "./byte-ops.ts";
import { MAX_CONTROL_PAYLOAD } from "./frame.ts";
import { utf8Length } from "./utf8.ts";

/** Codes that the library itself sends. */
export const CLOSE = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  invalidPayload: 1007,
  policyViolation: 1008,
  tooBig: 1009,
  internalError: 1011,
  serviceRestart: 1012,
  tryAgainLater: 1013,
} as const;

/**
 * Whether a close frame may carry this code. RFC 6455 §7.4.2: 0–999 are not used, 1000–2999 are for the protocol and its
 * extensions, of which 1004–1006 and 1015 never go on the wire and those past 1014 are not registered; 3000–4999 are free.
 */
export const isCloseCode = (code: number): boolean =>
  Number.isInteger(code) &&
  ((code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999));

/**
 * Checks what a close frame is to say.
 *
 * @throws RangeError for a code or a text that may not be sent
 */
export const checkClose = (code: number, text: string): void => {
  if (!isCloseCode(code))
    throw new RangeError(
      `close code ${code} must not be sent; valid codes are 1000–1003, 1007–1014 and 3000–4999 (RFC 6455 §7.4)`,
    );
  if (utf8Length(text) > MAX_CONTROL_PAYLOAD - 2)
    throw new RangeError("the close reason text must be at most 123 bytes of UTF-8 (RFC 6455 §5.5)");
};

/** What a close frame says; no code: the frame is empty. */
export interface CloseFrame {
  readonly code: number | undefined;
  readonly text: string;
}

/** Reads a close frame's payload. */
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

/** A close frame's payload. */
export const closePayload = ({ code, text }: CloseFrame, byteOps: ByteOps): Uint8Array => {
  if (code === undefined) return byteOps.alloc(0);
  const payload = byteOps.alloc(2 + utf8Length(text));
  payload[0] = code >>> 8;
  payload[1] = code;
  byteOps.writeUtf8(text, payload, 2, payload.length - 2);
  return payload;
};
