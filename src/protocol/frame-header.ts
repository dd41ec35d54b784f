/** What a header may say: the rules of RFC 6455 §5.2 to §5.5 for frames from a client. */
import { ProtocolError } from "../errors.ts";
import { CLOSE } from "./close.ts";
import { FIN, MASKED, MAX_CONTROL_PAYLOAD, OPCODE, RSV1, RSV2_RSV3 } from "./frame.ts";

/**
 * Checks the first two octets of a frame.
 *
 * @param inMessage a fragmented message has begun and not ended
 * @param compression permessage-deflate was negotiated
 * @throws ProtocolError 1002
 */
export const checkHeader = (first: number, second: number, inMessage: boolean, compression: boolean): void => {
  const opcode = first & 0x0f;
  // §5.2: MUST be 0 unless an extension is negotiated that defines meanings for non-zero values.
  if ((first & (RSV1 | RSV2_RSV3)) !== 0) checkReservedBits(first, opcode, compression);
  // §5.1: the server MUST close the connection upon receiving a frame that is not masked.
  if ((second & MASKED) === 0) throw violation("received an unmasked frame");
  if (opcode >= OPCODE.close) {
    checkControlHeader(first, second, opcode);
    return;
  }
  if (opcode > OPCODE.binary) throw violation(`received a frame with the reserved opcode ${opcode}`);
  // §5.4: the fragments of one message are not interleaved with those of another.
  if (opcode === OPCODE.continuation) {
    if (!inMessage) throw violation("received a continuation frame that continues no message");
  } else if (inMessage) {
    throw violation("received a new message before the last fragment of the previous one");
  }
};

/** §5.5: control frames are not fragmented, and have a payload of 125 octets at most. */
const checkControlHeader = (first: number, second: number, opcode: number): void => {
  if (opcode > OPCODE.pong) throw violation(`received a frame with the reserved opcode ${opcode}`);
  if ((first & FIN) === 0) throw violation("received a fragmented control frame");
  if ((second & 0x7f) > MAX_CONTROL_PAYLOAD)
    throw violation("received a control frame with a payload of more than 125 bytes");
};

/** RFC 7692 §6.1: RSV1 marks the first frame of a compressed message, and no other frame. */
const checkReservedBits = (first: number, opcode: number, compression: boolean): void => {
  const marksCompressed = compression && (opcode === OPCODE.text || opcode === OPCODE.binary);
  if (!marksCompressed || (first & RSV2_RSV3) !== 0) throw violation("received a frame with a reserved bit set");
};

/**
 * The length in the two octets at `at`.
 *
 * @throws ProtocolError 1002 unless it needs two octets (§5.2: the minimal number of bytes MUST be used)
 */
export const readLength16 = (chunk: Uint8Array, at: number): number => {
  const length = (chunk[at]! << 8) | chunk[at + 1]!;
  if (length < 126) throw violation("received a frame with a payload length that is not minimally encoded");
  return length;
};

/**
 * The length in the eight octets at `at`.
 *
 * @throws ProtocolError 1002 unless it needs eight octets, or if its most significant bit is set (§5.2)
 */
export const readLength64 = (chunk: Uint8Array, at: number): number => {
  if (chunk[at]! & 0x80) throw violation("received a frame with a payload length that has its highest bit set");
  let length = 0;
  for (let i = 0; i < 8; i++) length = length * 256 + chunk[at + i]!;
  if (length < 65_536) throw violation("received a frame with a payload length that is not minimally encoded");
  return length;
};

const violation = (message: string): ProtocolError => new ProtocolError(CLOSE.protocolError, message);
