/** The entries of the option `origins`: which of them can match what a browser sends as `Origin`. */
import { show } from "./known-keys.ts";

/** RFC 6454 §6.2: scheme, host and port, where a default port is left out. */
const ORIGIN = /^([a-z][a-z\d+.-]*):\/\/[^/?#\\@\s*]+$/i;

/** Most entries: what needs no URL parser, because options are resolved for every upgrade. */
const PLAIN = /^https?:\/\/(?:[a-z\d-]+\.)*[a-z][a-z\d-]*$/i;

/**
 * Says why an entry of `origins` can match no Origin header, and what to write instead; `undefined` if it can match.
 * Letter case does not matter: origins are compared without it.
 */
export const originProblem = (entry: unknown): string | undefined => {
  if (entry instanceof RegExp) return undefined;
  if (typeof entry !== "string") return "an entry must be a string or a RegExp";
  if (entry === "*") return 'to allow every origin, use origins: "*", without an array';
  if (PLAIN.test(entry)) return undefined;
  // RFC 6454 §6.1: the origin of sandboxed pages and local files. Whoever lists it means it.
  if (entry === "null") return undefined;
  if (entry.includes("*")) return `wildcards are not supported; use a RegExp such as ${patternFor(entry)}`;
  const cure = normalize(entry);
  if (cure === undefined) return "an entry must be scheme://host or scheme://host:port";
  return ORIGIN.test(entry) && cure.toLowerCase() === entry.toLowerCase() ? undefined : `browsers send ${show(cure)}`;
};

/** As a browser writes it: without default port, path or user, and with a host in ASCII. */
const normalize = (entry: string): string | undefined => {
  const trimmed = entry.trim();
  const [, scheme = ""] = /^([a-z][a-z\d+.-]*):\/\//i.exec(trimmed) ?? [];
  // A page is never loaded by ws: or wss:.
  const page = { "": "https", ws: "http", wss: "https" }[scheme.toLowerCase()] ?? scheme;
  try {
    const { protocol, host } = new URL(`${page}://${trimmed.replace(/^(?:[a-z][a-z\d+.-]*:)?\/\//i, "")}`);
    return host === "" ? undefined : `${protocol}//${host}`;
  } catch {
    return undefined;
  }
};

/** A subdomain each, and nothing that ends alike: `https://evil-example.com` must not match `https://*.example.com`. */
const patternFor = (entry: string): string => {
  const escaped = entry.replace(/[\\^$.+?()[\]{}|/]/g, "\\$&").replaceAll("*", "[\\w-]+");
  return `/^${escaped}$/i`;
};
