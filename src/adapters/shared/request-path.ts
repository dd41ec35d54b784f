/** The path of a request, for reports and `self.connection`. */
import { sharedString } from "./shared-strings.ts";

const MAX_LENGTH = 256;

/** Without the query, which may contain secrets, and truncated for logs. */
export const pathOf = (url: string): string => {
  const end = url.search(/[?#]/);
  const path = end === -1 ? url : url.slice(0, end);
  return path.length > MAX_LENGTH ? `${path.slice(0, MAX_LENGTH)}…` : path;
};

/** Like {@link pathOf}, but returns one string for all connections with the same path. */
export const sharedPathOf = (url: string): string => sharedString(pathOf(url));
