/**
 * Validation of upgrade requests (RFC 6455 §4.2.1, RFC 8441 §5), and negotiation of the subprotocol and of compression,
 * for all hosts.
 */
import { codedRangeError, codedTypeError } from "./error-codes.ts";
import { UpgradeError } from "./errors.ts";
import type { ResolvedOptions, UpgradeRequest } from "./options.ts";
import { type DeflateParameters, negotiateDeflate } from "./protocol/deflate/negotiation.ts";
import { parseExtensions } from "./protocol/http/extensions.ts";
import { isKey, offeredSubprotocols, VERSION } from "./protocol/http/handshake.ts";
import { listHas } from "./protocol/http/syntax.ts";

/** Whether the headers of an HTTP/1.1 request ask for a WebSocket. */
export const wantsWebSocket = (request: UpgradeRequest): boolean =>
  listHas(request.header("upgrade"), "websocket") && listHas(request.header("connection"), "upgrade");

/** Whether the request announces a body. An intermediary could read frames as that body (request smuggling). */
export const hasBody = (request: UpgradeRequest): boolean =>
  request.header("transfer-encoding") !== undefined || !isZero(request.header("content-length"));

const isZero = (length: string | undefined): boolean => length === undefined || /^0*$/.test(length);

/** RFC 6455 §4.4: the refusal lists the supported versions. */
const versionHeader = { "sec-websocket-version": VERSION } as const;

/** RFC 9110 §15.5.22: a 426 response names the required protocol. `Upgrade` is hop-by-hop, so `Connection` lists it. */
const upgradeHeaders = { upgrade: "websocket", connection: "Upgrade" } as const;

const isHttp2 = (request: UpgradeRequest): boolean => request.httpVersion.startsWith("2");

/**
 * Validates a request over HTTP/1.1 or HTTP/2.
 *
 * @returns the error if the request must be refused, otherwise `undefined`
 */
export const validateUpgrade = (request: UpgradeRequest, options: ResolvedOptions): UpgradeError | undefined =>
  (isHttp2(request) ? validateConnect(request) : validateGet(request)) ?? validateOrigin(request, options.origins);

/** RFC 6455 §4.2.1. */
const validateGet = (request: UpgradeRequest): UpgradeError | undefined => {
  if (request.method !== "GET") {
    return new UpgradeError(405, `a WebSocket is opened with GET, not ${request.method}`, { allow: "GET" });
  }
  if (hasBody(request)) return new UpgradeError(400, "an upgrade request must not have a body");
  if (!wantsWebSocket(request)) {
    return new UpgradeError(426, "this resource is a WebSocket endpoint and needs an upgrade request", upgradeHeaders);
  }
  if (request.httpVersion !== "1.1") {
    return new UpgradeError(400, `a WebSocket needs HTTP/1.1, not HTTP/${request.httpVersion}`);
  }
  if (!request.authority) return new UpgradeError(400, "the header Host is missing");
  const refusal = validateVersion(request, { ...versionHeader, ...upgradeHeaders });
  if (refusal !== undefined) return refusal;
  if (!isKey(request.header("sec-websocket-key"))) {
    return new UpgradeError(400, "Sec-WebSocket-Key must appear once and be 16 bytes in base64");
  }
  return validateOffers(request);
};

/** RFC 8441 §4 and §5. There is no key, and responses must not have `Upgrade` or `Connection` (RFC 9113 §8.2.2). */
const validateConnect = (request: UpgradeRequest): UpgradeError | undefined => {
  const protocol = request.header(":protocol");
  if (request.method === "CONNECT" && protocol === undefined) {
    // An ordinary CONNECT asks for a tunnel, which the app does not offer. `Allow` names the method of ordinary routes.
    return new UpgradeError(405, "a WebSocket is opened with an extended CONNECT, but :protocol is missing", {
      allow: "GET",
    });
  }
  if (request.method === "GET") {
    return new UpgradeError(
      426,
      "this resource is a WebSocket endpoint and, on HTTP/2, needs an extended CONNECT",
      versionHeader,
    );
  }
  if (request.method !== "CONNECT") {
    return new UpgradeError(405, `a WebSocket is opened with CONNECT, not ${request.method}`, { allow: "CONNECT" });
  }
  // RFC 8441 names no status for an unknown protocol. This is the one that RFC 9220 §3 recommends for HTTP/3.
  if (protocol !== "websocket") return new UpgradeError(501, `the protocol ${protocol} is not supported`);
  if (request.header("upgrade") !== undefined || request.header("connection") !== undefined) {
    return new UpgradeError(400, "the headers Upgrade and Connection must not be sent on HTTP/2");
  }
  if (hasBody(request)) return new UpgradeError(400, "a WebSocket request must not have a body");
  if (!request.authority) return new UpgradeError(400, ":authority is missing");
  return validateVersion(request, versionHeader) ?? validateOffers(request);
};

const validateVersion = (
  request: UpgradeRequest,
  headers: Readonly<Record<string, string>>,
): UpgradeError | undefined => {
  const version = request.header("sec-websocket-version");
  if (version === undefined) return new UpgradeError(400, "the header Sec-WebSocket-Version is missing", versionHeader);
  return version === VERSION ? undefined : new UpgradeError(426, `Sec-WebSocket-Version must be ${VERSION}`, headers);
};

/** RFC 6455 §4.1 and §9.1: headers that violate their grammar make the request invalid. */
const validateOffers = (request: UpgradeRequest): UpgradeError | undefined => {
  if (offeredSubprotocols(request.header("sec-websocket-protocol")) === undefined) {
    return new UpgradeError(400, "Sec-WebSocket-Protocol must be a list of distinct tokens");
  }
  return parseExtensions(request.header("sec-websocket-extensions")) === undefined
    ? new UpgradeError(400, "Sec-WebSocket-Extensions is malformed")
    : undefined;
};

/** RFC 6455 §10.2: a server that is not intended for all web pages checks the origin of the page. */
const validateOrigin = (request: UpgradeRequest, allowed: ResolvedOptions["origins"]): UpgradeError | undefined => {
  const origin = request.header("origin");
  if (origin === undefined || allowed === "*") return undefined;
  if (typeof allowed === "function") {
    const answer = requireSynchronous("origins", allowed(origin, request));
    return answer === true ? undefined : new UpgradeError(403, `the origin ${origin} is not allowed`);
  }
  if (allowed !== undefined) {
    const listed = allowed.some((entry) =>
      typeof entry === "string" ? entry.toLowerCase() === origin.toLowerCase() : origin.search(entry) !== -1,
    );
    return listed ? undefined : new UpgradeError(403, `the origin ${origin} is not in the option "origins"`);
  }
  if (isSameHost(origin, request.authority)) return undefined;
  return new UpgradeError(
    403,
    `the origin ${origin} does not match the request's host ${request.authority ?? "(none)"}. ` +
      `If a proxy rewrites Host, make it forward the original value, or set the option "origins"`,
  );
};

/**
 * Whether the origin and the request have the same host and the same port. If the request names no port, it is the
 * default port of the origin's scheme: behind a TLS proxy, the server does not know the scheme that the client used.
 */
const isSameHost = (origin: string, authority: string | undefined): boolean => {
  if (authority === undefined || /[/\\?#@]/.test(authority)) return false;
  try {
    const page = new URL(origin);
    return page.host !== "" && page.host === new URL(`${page.protocol}//${authority}`).host;
  } catch {
    return false; // The origin is "null" (sent by sandboxed pages and local files), or one of the two is malformed.
  }
};

/**
 * Selects the subprotocol (RFC 6455 §4.2.2). Returns `undefined` if there is none.
 *
 * @throws RangeError if the function `subprotocols` returns one that the client did not offer
 * @throws TypeError if the function returns a promise
 */
export const selectSubprotocol = (
  request: UpgradeRequest,
  configured: ResolvedOptions["subprotocols"],
): string | undefined => {
  const offered = offeredSubprotocols(request.header("sec-websocket-protocol")) ?? [];
  if (typeof configured !== "function") return offered.find((name) => configured.includes(name));
  const chosen = requireSynchronous("subprotocols", configured(offered, request)) ?? undefined;
  if (chosen !== undefined && !offered.includes(chosen)) {
    throw codedRangeError(
      "WEBSOCK_DECISION_FAILED",
      `the function "subprotocols" returned ${JSON.stringify(chosen)}, which the client did not offer`,
    );
  }
  return chosen;
};

/**
 * Returns the result of an application's function, unless it is a promise. A promise is truthy even if it resolves to
 * `false`, so it must not count as a decision. Its rejection is ignored, because an unhandled one would end the
 * process.
 *
 * @throws TypeError for a promise
 */
export const requireSynchronous = <T>(name: "only" | "origins" | "subprotocols", returned: T): T => {
  if (typeof (returned as { readonly then?: unknown } | null | undefined)?.then !== "function") return returned;
  Promise.resolve(returned).catch(() => undefined);
  throw codedTypeError(
    "WEBSOCK_ASYNC_DECISION",
    `the function "${name}" returned a promise, but it must decide synchronously; ` +
      "do asynchronous work in the route, before calling upgrade()",
  );
};

/** Negotiates compression (RFC 7692 §5). Returns `undefined` if messages are not compressed. */
export const selectCompression = (
  request: UpgradeRequest,
  configured: ResolvedOptions["compress"],
): DeflateParameters | undefined => {
  const offers = configured && parseExtensions(request.header("sec-websocket-extensions"));
  return offers && negotiateDeflate(offers, configured);
};
