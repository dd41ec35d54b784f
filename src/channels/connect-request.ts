/** What a client sends when it connects: parameters in the query, and a token in a header. */
import { fromBase64 } from "./base64.ts";
import { decodeText } from "./decode-text.ts";

/** The part of a route's request that is used here, in any framework. */
export interface ConnectRequest {
  /** The path and query, or the whole URL. Default: no parameters. */
  readonly url?: string | undefined;
  /** The headers: a `Headers` object, or an object with lower-case names. */
  readonly headers: object;
}

/** The subprotocol that phoenix.js offers, together with its token, if it has one (`authToken`). */
export const SUBPROTOCOL = "phoenix";

const TOKEN_PREFIX = "base64url.bearer.phx.";

/** The parameters of the query. If a name occurs more than once, its last value counts. */
export const paramsOf = ({ url = "" }: ConnectRequest): Record<string, string> => {
  const start = url.indexOf("?");
  return start === -1 ? {} : Object.fromEntries(new URLSearchParams(url.slice(start + 1)));
};

/** The token; `undefined` if the client has sent none, or one that is not base64. */
export const authTokenOf = ({ headers }: ConnectRequest): string | undefined => {
  const offered = headerOf(headers, "sec-websocket-protocol") ?? "";
  const encoded = offered
    .split(",")
    .map((name) => name.trim())
    .find((name) => name.startsWith(TOKEN_PREFIX));
  if (encoded === undefined) return undefined;
  try {
    const base64 = encoded.slice(TOKEN_PREFIX.length).replaceAll("-", "+").replaceAll("_", "/");
    return decodeText(fromBase64(base64));
  } catch {
    return undefined;
  }
};

const headerOf = (headers: object, name: string): string | undefined => {
  const value: unknown =
    "get" in headers && typeof headers.get === "function"
      ? headers.get(name)
      : (headers as Readonly<Record<string, unknown>>)[name];
  return typeof value === "string" ? value : undefined;
};
