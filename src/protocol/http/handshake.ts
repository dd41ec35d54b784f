/** The opening handshake of RFC 6455 §4: what the request and the answer say, apart from any server. */
import { isToken, listOf } from "./syntax.ts";

/** RFC 6455 §1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** The base64 of 16 octets. Its last character before the padding carries 4 bits that are zero. */
const KEY = /^[+/0-9A-Za-z]{21}[AQgw]==$/;

/** The version of the protocol that we speak (RFC 6455 §4.1). */
export const VERSION = "13";

/** RFC 6455 §4.2.1: the key is a base64-encoded value that, when decoded, is 16 octets in length. */
export const isKey = (key: string | undefined): key is string => key !== undefined && KEY.test(key);

/** RFC 6455 §4.2.2: the `Sec-WebSocket-Accept` for a key; `sha1` gives the digest of a string in base64. */
export const acceptFor = (key: string, sha1: (input: string) => string): string => sha1(key + GUID);

/** RFC 6455 §4.1: the subprotocols that the client would like, in its order; `undefined` if the header is malformed. */
export const offeredSubprotocols = (header: string | undefined): string[] | undefined => {
  const offered = listOf(header);
  return offered.every(isToken) && new Set(offered).size === offered.length ? offered : undefined;
};
