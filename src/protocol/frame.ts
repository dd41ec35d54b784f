/** The base framing protocol (RFC 6455 §5.2): constants, and headers of frames that are sent. */

/** RFC 6455 §11.8. */
export const OPCODE = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

export const FIN = 0x80;
export const RSV1 = 0x40;
export const RSV2_RSV3 = 0x30;
export const MASKED = 0x80;

/** RFC 6455 §5.5: all control frames have a payload of 125 octets or less. */
export const MAX_CONTROL_PAYLOAD = 125;

/** The size of the unmasked header for a payload of this length. */
export const headerSize = (length: number): number => (length < 126 ? 2 : length < 65_536 ? 4 : 10);

/** Writes an unmasked header (RFC 6455 §5.1: a server MUST NOT mask), and returns the position of the payload. */
export const writeHeader = (target: Uint8Array, at: number, firstByte: number, length: number): number => {
  target[at] = firstByte;
  if (length < 126) {
    target[at + 1] = length;
    return at + 2;
  }
  if (length < 65_536) {
    target[at + 1] = 126;
    target[at + 2] = length >>> 8;
    target[at + 3] = length;
    return at + 4;
  }
  target[at + 1] = 127;
  const high = Math.floor(length / 0x1_0000_0000);
  for (let i = 0; i < 4; i++) {
    target[at + 2 + i] = high >>> (24 - 8 * i);
    target[at + 6 + i] = length >>> (24 - 8 * i);
  }
  return at + 10;
};
