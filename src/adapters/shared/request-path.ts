/** The path of a request, for reports and `self.connection`. */

const MAX_LENGTH = 256;

/** The maximum number of different paths that are cached for {@link sharedPathOf}. */
const MAX_SHARED = 1024;

/** Without the query, which may contain secrets, and truncated for logs. */
export const pathOf = (url: string): string => {
  const end = url.search(/[?#]/);
  const path = end === -1 ? url : url.slice(0, end);
  return path.length > MAX_LENGTH ? `${path.slice(0, MAX_LENGTH)}…` : path;
};

const shared = new Map<string, string>();

/**
 * Like {@link pathOf}, but returns one string for all connections with the same path. Otherwise each connection would
 * retain its request's string, even if it only uses a part of that.
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

/** Copies the text: engines represent a slice as a reference to its parent string. */
const flatten = (text: string): string => decoder.decode(encoder.encode(text));

const encoder = new TextEncoder();
const decoder = new TextDecoder();
