/** The path of a request, as reports have it. */

const MAX_LENGTH = 256;

/** So many different paths are remembered, to be shared by the connections that have them. */
const MAX_SHARED = 1024;

/** Without its query, which may hold secrets, and not longer than a log should have it. */
export const pathOf = (url: string): string => {
  const [path = ""] = url.split(/[?#]/, 1);
  return path.length > MAX_LENGTH ? `${path.slice(0, MAX_LENGTH)}…` : path;
};

const shared = new Map<string, string>();

/**
 * The same, as one string for all connections with this path: the request's own would be kept by every connection, and a
 * part of it keeps the whole.
 */
export const sharedPathOf = (url: string): string => {
  const path = pathOf(url);
  const known = shared.get(path);
  if (known !== undefined) return known;
  if (shared.size >= MAX_SHARED) shared.clear();
  const copy = flatten(path);
  shared.set(copy, copy);
  return copy;
};

/** Engines keep a slice as a reference to its parent; what was decoded is a string of its own. */
const flatten = (text: string): string => decoder.decode(encoder.encode(text));

const encoder = new TextEncoder();
const decoder = new TextDecoder();
