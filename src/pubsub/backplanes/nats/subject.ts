/** The subjects of channels: only characters without a meaning in NATS, and nothing that is too long for the server. */
import { createHash } from "node:crypto";

const MAX_LENGTH = 200;

/** What `encodeURIComponent` leaves as it is, apart from `[A-Za-z0-9_-]`; and the percent sign that it adds. */
const OTHERS = /[%.!~*'()]/g;

const escaped = (character: string): string =>
  character === "%" ? "=" : `=${character.charCodeAt(0).toString(16).toUpperCase()}`;

/**
 * A name as one token of a subject: `[A-Za-z0-9_-]` as it is, and each byte of the UTF-8 encoding of anything else as
 * `=XX`. A name whose token would be too long is represented by its SHA-256. The token then begins with `~`, which no
 * other token contains.
 *
 * @throws URIError for a lone surrogate
 */
export const tokenOf = (name: string): string => {
  const token = encodeURIComponent(name).replace(OTHERS, escaped);
  return token.length <= MAX_LENGTH ? token : `~${createHash("sha256").update(name).digest("hex")}`;
};
