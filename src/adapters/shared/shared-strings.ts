/** Strings that many connections have in common: the path of their route, their subprotocol, their extensions. */

/** The maximum number of different strings that are cached. */
const MAX_SHARED = 1024;

const shared = new Map<string, string>();

/**
 * Returns one string for all connections with the same text. Otherwise each connection would retain its request's
 * string, even if it only uses a part of that.
 */
export const sharedString = (text: string): string => {
  const known = shared.get(text);
  if (known !== undefined) return known;
  if (shared.size >= MAX_SHARED) shared.clear();
  const copy = flatten(text);
  shared.set(copy, copy);
  return copy;
};

/** Copies the text: engines represent a slice as a reference to its parent string. */
const flatten = (text: string): string => decoder.decode(encoder.encode(text));

const encoder = new TextEncoder();
const decoder = new TextDecoder();
