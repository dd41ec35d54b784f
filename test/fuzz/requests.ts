/** Generates upgrade requests and their headers, valid and nearly valid, and says which are valid. */
import { Buffer } from "node:buffer";
import fc from "fast-check";
import type { UpgradeRequest } from "../../src/options.ts";

/** RFC 9110 §5.6.2. */
export const TCHAR = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

export const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

export const token = fc.string({ unit: fc.constantFrom(...TCHAR), minLength: 1, maxLength: 12 });

/** The characters of a header value: Node decodes headers as Latin-1. */
export const headerText = fc.string({
  unit: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...TCHAR) },
    { weight: 3, arbitrary: fc.constantFrom(...' \t,,;="\\/()<>@:?{}[]') },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 0, max: 0xff }).map((code) => String.fromCharCode(code)),
    },
  ),
  maxLength: 40,
  size: "max",
});

export const anyText = fc.oneof(headerText, fc.string({ unit: "binary" }), token);

/** A list, with and without optional white space and empty elements. */
export const listText = fc
  .array(
    fc.tuple(
      fc.oneof({ weight: 6, arbitrary: token }, { weight: 2, arbitrary: fc.constantFrom("a", "b") }, headerText),
      fc.constantFrom(",", ", ", " ,", ",,", "\t, "),
    ),
  )
  .map((elements) => elements.map(([element, comma]) => element + comma).join(""));

/** RFC 9110 §5.6.1: the elements between the commas, without spaces and tabs around them. */
export const elementsOf = (value: string): string[] => {
  const elements: string[] = [];
  let element = "";
  for (const character of `${value},`) {
    if (character !== ",") element += character;
    else {
      const trimmed = element.match(/^[ \t]*(.*?)[ \t]*$/s)![1]!;
      if (trimmed !== "") elements.push(trimmed);
      element = "";
    }
  }
  return elements;
};

export const isTokenByTheBook = (value: string): boolean =>
  value !== "" && [...value].every((one) => TCHAR.includes(one));

/** A request together with its headers. */
export type AnyRequest = UpgradeRequest & { readonly headers: Readonly<Record<string, string | undefined>> };

/** A valid request with some parts replaced by arbitrary values. */
export const request: fc.Arbitrary<AnyRequest> = fc
  .record({
    method: orAny("GET", "POST", "CONNECT", "get"),
    httpVersion: orAny("1.1", "1.0", "2.0"),
    authority: orAny("example.com", "example.com:80", "localhost:4000", undefined, ""),
    ":protocol": fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, anyText),
    upgrade: orAny("websocket", "WebSocket", "h2c, websocket", "h2c", undefined),
    connection: orAny("Upgrade", "keep-alive, UPGRADE", "keep-alive", undefined),
    "sec-websocket-version": orAny("13", "8", "13, 8", undefined),
    "sec-websocket-key": orAny(KEY, "x", undefined, KEY.slice(1)),
    "sec-websocket-protocol": fc.option(fc.oneof(listText, headerText), { nil: undefined }),
    origin: orAny("http://example.com", "https://example.com", "null", "http://localhost:4000", undefined),
    "content-length": orAny(undefined, "0", "5", "0, 5"),
    "transfer-encoding": orAny(undefined, "chunked"),
  })
  .map(requestOf);

/** The same over HTTP/2 (RFC 8441 §5). */
export const connectRequest: fc.Arbitrary<AnyRequest> = fc
  .record({
    method: orAny("CONNECT", "GET", "POST"),
    httpVersion: orAny("2.0", "2"),
    authority: orAny("example.com", "localhost:4000", undefined, ""),
    ":protocol": orAny("websocket", undefined, "webtransport"),
    upgrade: orAny(undefined, "websocket"),
    connection: orAny(undefined, "Upgrade"),
    "sec-websocket-version": orAny("13", "8", undefined),
    "sec-websocket-key": orAny(undefined, KEY, "x"),
    "sec-websocket-protocol": fc.option(fc.oneof(listText, headerText), { nil: undefined }),
    origin: orAny("https://example.com", "null", undefined),
    "content-length": orAny(undefined, "0", "5"),
    "transfer-encoding": orAny(undefined, "chunked"),
  })
  .map(requestOf);

type Parts = Readonly<Record<string, string | undefined>> & { readonly method: string | undefined };

function requestOf({ method, httpVersion, authority, ...headers }: Parts) {
  return {
    method: method ?? "",
    httpVersion: httpVersion ?? "",
    url: "/",
    authority,
    headers: headers as Readonly<Record<string, string | undefined>>,
    header: (name: string) => (headers as Record<string, string | undefined>)[name],
  };
}

/** Mostly the first value, which is valid; sometimes one of the others or an arbitrary one. */
function orAny(right: string | undefined, ...others: (string | undefined)[]): fc.Arbitrary<string | undefined> {
  return fc.oneof(
    { weight: 24, arbitrary: fc.constant(right) },
    { weight: 4, arbitrary: fc.constantFrom(...others) },
    { weight: 1, arbitrary: anyText },
  );
}

export const has = (value: string | undefined, token: string): boolean =>
  elementsOf(value ?? "").some((element) => element.toLowerCase() === token);

/** A second implementation of RFC 6455 §4.2.1 and RFC 8441 §5, without the check of the origin. */
export const isSound = ({ method, httpVersion, authority, headers }: AnyRequest): boolean => {
  const key = headers["sec-websocket-key"] ?? "";
  const offered = elementsOf(headers["sec-websocket-protocol"] ?? "");
  const isSoundEitherWay =
    (authority ?? "") !== "" &&
    headers["transfer-encoding"] === undefined &&
    [...(headers["content-length"] ?? "")].every((digit) => digit === "0") &&
    headers["sec-websocket-version"] === "13" &&
    offered.every(isTokenByTheBook) &&
    new Set(offered).size === offered.length;
  if (!isSoundEitherWay) return false;
  if (httpVersion.startsWith("2")) {
    const { upgrade, connection } = headers;
    const isPlain = upgrade === undefined && connection === undefined;
    return method === "CONNECT" && headers[":protocol"] === "websocket" && isPlain;
  }
  return (
    method === "GET" &&
    httpVersion === "1.1" &&
    has(headers.upgrade, "websocket") &&
    has(headers.connection, "upgrade") &&
    Buffer.from(key, "base64").length === 16 &&
    Buffer.from(key, "base64").toString("base64") === key
  );
};
