/** Checks whether entries of the option `origins` can match the `Origin` header of a browser. */
import { show } from "./known-keys.ts";

/** The serialization of an origin (RFC 6454 §6.2): scheme, host and port. */
const ORIGIN = /^([a-z][a-z\d+.-]*):\/\/[^/?#\\@\s*]+$/i;

/** Matches most entries without the URL parser. Options are resolved for every upgrade, so this must be fast. */
const PLAIN = /^https?:\/\/(?:[a-z\d-]+\.)*[a-z][a-z\d-]*$/i;

/**
 * Explains why an entry of `origins` matches no Origin header, and what to write instead. Returns `undefined` for a
 * valid entry. Letter case is ignored, as it is when origins are compared.
 */
export const originProblem = (entry: unknown): string | undefined => {
  if (entry instanceof RegExp) return undefined;
  if (typeof entry !== "string") return "an entry must be a string or a RegExp";
  if (entry === "*") return 'to allow every origin, use origins: "*", without an array';
  if (PLAIN.test(entry)) return undefined;
  // RFC 6454 §6.1: the origin of sandboxed pages and local files.
  if (entry === "null") return undefined;
  if (entry.includes("*")) return `wildcards are not supported; use a RegExp such as ${patternFor(entry)}`;
  const normalized = normalize(entry);
  if (normalized === undefined) return "an entry must be scheme://host or scheme://host:port";
  return ORIGIN.test(entry) && normalized.toLowerCase() === entry.toLowerCase()
    ? undefined
    : `browsers send ${show(normalized)}`;
};

/** The origin as a browser serializes it: without default port, path or user, and with the host in ASCII. */
const normalize = (entry: string): string | undefined => {
  const trimmed = entry.trim();
  const [, scheme = ""] = /^([a-z][a-z\d+.-]*):\/\//i.exec(trimmed) ?? [];
  // Pages are loaded with http: or https:, never with ws: or wss:.
  const page = { "": "https", ws: "http", wss: "https" }[scheme.toLowerCase()] ?? scheme;
  try {
    const { protocol, host } = new URL(`${page}://${trimmed.replace(/^(?:[a-z][a-z\d+.-]*:)?\/\//i, "")}`);
    return host === "" ? undefined : `${protocol}//${host}`;
  } catch {
    return undefined;
  }
};

/** A wildcard becomes one subdomain label: `https://evil-example.com` must not match `https://*.example.com`. */
const patternFor = (entry: string): string => {
  const escaped = entry.replace(/[\\^$.+?()[\]{}|/]/g, "\\$&").replaceAll("*", "[\\w-]+");
  return `/^${escaped}$/i`;
};
