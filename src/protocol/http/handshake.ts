/** The headers of the opening handshake (RFC 6455 §4). */
import { isToken, listOf } from "./syntax.ts";

/** RFC 6455 §1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Base64 of 16 bytes. Of the last character before the padding, only 2 bits are used; the other 4 are zero. */
const KEY = /^[+/0-9A-Za-z]{21}[AQgw]==$/;

/** The value of `Sec-WebSocket-Version` (RFC 6455 §4.1). */
export const VERSION = "13";

/** RFC 6455 §4.2.1: the key is a base64-encoded value that, when decoded, is 16 octets in length. */
export const isKey = (key: string | undefined): key is string => key !== undefined && KEY.test(key);

/** RFC 6455 §4.2.2: the `Sec-WebSocket-Accept` for a key. `sha1`: returns the digest of a string in base64. */
export const acceptFor = (key: string, sha1: (input: string) => string): string => sha1(key + GUID);

/**
 * RFC 6455 §4.1: the subprotocols that the client offers, in order of preference; `undefined` if the header is
 * malformed.
 */
export const offeredSubprotocols = (header: string | undefined): string[] | undefined => {
  if (header === undefined) return [];
  const offered = listOf(header);
  return offered.every(isToken) && new Set(offered).size === offered.length ? offered : undefined;
};
