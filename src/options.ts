/** The options of `upgrade`: their meaning, defaults and checks. */
import { codedTypeError } from "./error-codes.ts";
import { checkKeys, show } from "./known-keys.ts";
import { originProblem } from "./origins.ts";
import type { CompressionSettings } from "./protocol/deflate/negotiation.ts";
import { isFieldValue, isToken } from "./protocol/http/syntax.ts";

/** An upgrade request, in the same form on every host. The functions `origins` and `subprotocols` receive it. */
export interface UpgradeRequest {
  /** The request method that the client sent: `GET`, or `CONNECT` on HTTP/2. */
  readonly method: string;
  /** The HTTP version: `"1.1"` or `"2.0"`. Always `"1.1"` on hosts with fetch handlers, which do not expose it. */
  readonly httpVersion: string;
  /** The path and query of the request, undecoded. */
  readonly url: string;
  /** The `Host` header, or `:authority` on HTTP/2. */
  readonly authority: string | undefined;
  /**
   * Returns a header of the request, `undefined` if it is missing. The values of a header that was sent several times
   * are joined with commas.
   *
   * @param name the lower-case name of a header, or of an HTTP/2 pseudo-header such as `:protocol`
   */
  readonly header: (name: string) => string | undefined;
}

/** Extra headers for the handshake response: header names and their values, one or several for each name. */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[]>>;

/**
 * Settings of compression (permessage-deflate). With the default of no context takeover, a connection holds no zlib
 * state between messages, so an idle connection takes no extra memory.
 *
 * A host may ignore some of these settings: see `Capabilities.ignores`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7692
 * @see https://www.zlib.net/manual.html#Advanced
 */
export interface CompressOptions {
  /** The zlib compression level, 0 (none) to 9 (best). Default: 6. */
  readonly level?: number;
  /** The zlib memory level, 1 to 9: how much memory is used while a message is compressed. Default: 8. */
  readonly memLevel?: number;
  /** Messages of fewer bytes than this are sent uncompressed; with `Infinity`, all messages. Default: 512. */
  readonly threshold?: number;
  /**
   * Whether the server compresses each message independently of the previous ones (RFC 7692 §7.1.1). Default: `true`.
   */
  readonly serverNoContextTakeover?: boolean;
  /** Whether the client is asked to do the same (RFC 7692 §7.1.1.2). Default: `true`. */
  readonly clientNoContextTakeover?: boolean;
  /**
   * The base-2 logarithm of the LZ77 window that the server compresses with, 8 to 15; less if the client asks for less
   * (RFC 7692 §7.1.2). Default: 15.
   */
  readonly serverMaxWindowBits?: number;
  /**
   * The same for the client (RFC 7692 §7.1.2.2). Has an effect only if the client offers `client_max_window_bits`.
   * Default: 15.
   */
  readonly clientMaxWindowBits?: number;
  /**
   * The highest accepted compression ratio of a received message: its inflated size divided by its compressed size. A
   * message that inflates to more than 64 KiB and exceeds the ratio closes the connection with 1009, before it is fully
   * inflated. The ratio of written text is rarely above 20. DEFLATE cannot exceed 1 032. Default: `Infinity`: the size
   * is only limited by `maxMessageSize`.
   *
   * @see https://zlib.net/zlib_tech.html
   */
  readonly maxInflation?: number;
}

/**
 * Options of `upgrade` for one connection, and of `attach` (as `defaults`) for all connections of a server.
 *
 * Every option that is unknown or has an invalid value throws a TypeError. An option that is `undefined` counts as
 * omitted: `upgrade` then uses the value in `defaults`, or else the default. A host may ignore some options: see
 * `Capabilities.ignores`. Setting an ignored option is reported once to `onError`.
 */
export interface WebSockOptions {
  /**
   * The idle timeout in milliseconds. The connection is closed with 1001 if nothing, not even a pong, is received from
   * the client for this long. Time during which the server pauses reading does not count. The connection is closed with
   * 1013 if the client reads none of the buffered bytes for this long. `Infinity` disables both. Default: 60 000.
   *
   * @see https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
   */
  readonly timeout?: number;
  /**
   * Sends a ping after this many milliseconds without receiving anything, unless data is still buffered for the client.
   * Disabled by `false`, and whenever `heartbeat >= timeout`. The handler does not see the pongs. Default: 30 000.
   */
  readonly heartbeat?: number | false;
  /**
   * Whether to negotiate compression (permessage-deflate, RFC 7692) with clients that offer it, or the settings to use.
   * On Node, messages of up to 64 KiB are compressed synchronously and larger ones in another thread, without changing
   * the order of messages. Default: `false`.
   */
  readonly compress?: boolean | CompressOptions;
  /**
   * The maximum payload size of a received data frame in bytes, before inflation. A larger one closes the connection
   * with 1009 (RFC 6455 §7.4.1) as soon as its header is received. Control frames are not affected: they have at most
   * 125 bytes (RFC 6455 §5.5). Default: `Infinity`.
   */
  readonly maxFrameSize?: number;
  /**
   * The maximum size of a received message in bytes, after inflation. A larger message closes the connection with 1009
   * (RFC 6455 §7.4.1), as soon as its size is known to exceed the limit. Default: 10 000 000.
   */
  readonly maxMessageSize?: number;
  /**
   * The maximum number of frames in a received message, including empty frames. A message of more frames closes the
   * connection with 1008 (RFC 6455 §7.4.1). Default: 524 288.
   */
  readonly maxFragments?: number;
  /**
   * Whether a text message that is not valid UTF-8 closes the connection with 1007 (RFC 6455 §8.1). With `false`,
   * invalid bytes are replaced by U+FFFD. Default: `true`.
   */
  readonly validateUtf8?: boolean;
  /**
   * Whether `upgrade` throws an `UpgradeError` if the request must be refused. With `false`, `upgrade` returns
   * normally, and the server answers the request with the error. Default: `true`.
   */
  readonly earlyValidateUpgrade?: boolean;
  /**
   * The supported subprotocols, as an array or a function.
   *
   * - With an array, the first subprotocol in the client's order of preference that is in the array is selected.
   * - A function returns one of the subprotocols that the client offers, or `null` or `undefined` for none. It must not
   *   return a promise. If it throws, or returns a promise or anything else, the error is reported to `onError` and the
   *   request is refused with 500.
   *
   * Default: none.
   *
   * @see https://www.rfc-editor.org/rfc/rfc6455#section-1.9
   */
  readonly subprotocols?:
    | readonly string[]
    | ((offered: readonly string[], request: UpgradeRequest) => string | null | undefined);
  /**
   * Extra headers of the handshake response. A header that belongs to the handshake itself (`upgrade`,
   * `sec-websocket-protocol`, …; RFC 6455 §4.2.2) or describes a body (`content-length`, …), which a 101 response
   * cannot have (RFC 9110 §6.4.1), throws a TypeError. Default: none.
   */
  readonly headers?: AnswerHeaders;
  /**
   * Which web pages may connect, by the `Origin` header of the request (RFC 6455 §10.2):
   *
   * - `"*"`: all
   * - an array of origins (`"https://example.com"`, `"http://localhost:3000"`) and RegExps. An entry that no browser
   *   sends as an origin (with a path, a default port, a wildcard or no scheme) throws a TypeError. RegExps are not
   *   anchored: begin yours with `^` and end it with `$`, so that it must match the whole origin
   * - a function that returns `true` for an allowed origin. It must not return a promise. If it throws or returns a
   *   promise, the error is reported to `onError` and the request is refused with 500
   *
   * A request from another origin is refused with 403. Requests without an `Origin` header do not come from browsers
   * and are always allowed. Default: the origins whose host and port are those of the request.
   */
  readonly origins?: "*" | readonly (string | RegExp)[] | ((origin: string, request: UpgradeRequest) => boolean);
  /**
   * The maximum number of bytes that may be buffered for a client that reads slowly. A message that would exceed it
   * closes the connection with 1013. Exception: while nothing is buffered, a message of any size is sent.
   * Default: 16 777 216 (16 MiB).
   *
   * @see https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
   */
  readonly maxBuffered?: number;
  /**
   * How long the server waits while a connection ends, in milliseconds: for the client's close frame, before it
   * destroys the socket; and for a pending callback, before it abandons the callback. Default: 5 000.
   */
  readonly closeTimeout?: number;
  /**
   * Has no effect: in WebSock for Elixir, it configures the heap of a connection, and no JavaScript host has one heap
   * per connection. As an option of `isolate` (`websock-js/isolate`), it configures the heap of a worker. Default: not
   * set.
   *
   * @see https://hexdocs.pm/websock_adapter/WebSockAdapter.html
   */
  readonly fullsweepAfter?: number;
  /** Has no effect, like `fullsweepAfter`, except as an option of `isolate`. Default: not set. */
  readonly maxHeapSize?: number;
}

/**
 * All options with their defaults filled in. `undefined` means: no compression (`compress`), the host and port of the
 * request (`origins`), or not set (`fullsweepAfter` and `maxHeapSize`).
 */
export interface ResolvedOptions {
  readonly timeout: number;
  readonly heartbeat: number;
  readonly compress: CompressionSettings | undefined;
  readonly maxFrameSize: number;
  readonly maxMessageSize: number;
  readonly maxFragments: number;
  readonly validateUtf8: boolean;
  readonly earlyValidateUpgrade: boolean;
  readonly subprotocols: NonNullable<WebSockOptions["subprotocols"]>;
  readonly headers: AnswerHeaders;
  readonly origins: WebSockOptions["origins"];
  readonly maxBuffered: number;
  readonly closeTimeout: number;
  readonly fullsweepAfter: number | undefined;
  readonly maxHeapSize: number | undefined;
}

/** The settings of `compress: true`. */
const DEFAULT_COMPRESSION: CompressionSettings = Object.freeze({
  level: 6,
  memLevel: 8,
  threshold: 512,
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15,
  maxInflation: Number.POSITIVE_INFINITY,
});

export const DEFAULT_OPTIONS: ResolvedOptions = Object.freeze({
  timeout: 60_000,
  heartbeat: 30_000,
  compress: undefined,
  maxFrameSize: Number.POSITIVE_INFINITY,
  maxMessageSize: 10_000_000,
  maxFragments: 524_288,
  validateUtf8: true,
  earlyValidateUpgrade: true,
  subprotocols: Object.freeze([]),
  headers: Object.freeze({}),
  origins: undefined,
  maxBuffered: 16 * 1024 * 1024,
  closeTimeout: 5_000,
  fullsweepAfter: undefined,
  maxHeapSize: undefined,
});

/**
 * Headers of the handshake (RFC 6455 §4.2.2), and headers of a body, which a 101 response cannot have (RFC 9110
 * §6.4.1).
 */
const RESERVED_HEADERS = new Set([
  "connection",
  "upgrade",
  "sec-websocket-accept",
  "sec-websocket-extensions",
  "sec-websocket-protocol",
  "content-length",
  "content-type",
  "transfer-encoding",
]);

const isPositive = (value: unknown): boolean => typeof value === "number" && value > 0;
const isPositiveIntegerOrInfinity = (value: unknown): boolean =>
  isPositive(value) && (Number.isInteger(value) || value === Number.POSITIVE_INFINITY);
const isBoolean = (value: unknown): boolean => typeof value === "boolean";
const areTokens = (value: unknown): boolean =>
  Array.isArray(value) && value.every((name) => typeof name === "string" && isToken(name));
const isExtraHeader = ([name, values]: [string, unknown]): boolean =>
  isToken(name) &&
  !RESERVED_HEADERS.has(name.toLowerCase()) &&
  [values].flat().every((value) => typeof value === "string" && isFieldValue(value));

/** @throws TypeError that names the wrong entry, and says what is wrong with it or what to write instead */
const checkOrigin = (entry: unknown): boolean => {
  const problem = originProblem(entry);
  if (problem !== undefined)
    throw codedTypeError(
      "WEBSOCK_INVALID_OPTION",
      `option "origins" must be an array of origins as browsers send them, and ${show(entry)} is not one: ${problem}`,
    );
  return true;
};

const isIntegerBetween =
  (from: number, to: number) =>
  (value: unknown): boolean =>
    Number.isInteger(value) && (value as number) >= from && (value as number) <= to;

/** For each option: a description of its valid values, and the check. */
type Rules<Options> = {
  readonly [Name in keyof Options]: readonly [expected: string, check: (value: unknown) => boolean];
};

const WINDOW_BITS = ["a whole number from 8 to 15", isIntegerBetween(8, 15)] as const;

const COMPRESSION_RULES: Rules<CompressionSettings> = {
  level: ["a whole number from 0 to 9", isIntegerBetween(0, 9)],
  memLevel: ["a whole number from 1 to 9", isIntegerBetween(1, 9)],
  threshold: ["a whole number of bytes, or Infinity", (value) => value === 0 || isPositiveIntegerOrInfinity(value)],
  serverNoContextTakeover: ["true or false", isBoolean],
  clientNoContextTakeover: ["true or false", isBoolean],
  serverMaxWindowBits: WINDOW_BITS,
  clientMaxWindowBits: WINDOW_BITS,
  maxInflation: ["a number above zero, or Infinity", isPositive],
};

const RULES: Rules<ResolvedOptions> = {
  timeout: ["a number of milliseconds above zero, or Infinity", isPositive],
  heartbeat: ["a number of milliseconds above zero, or false", (value) => value === false || isPositive(value)],
  compress: ["true, false or an object", (value) => isBoolean(value) || (typeof value === "object" && value !== null)],
  maxFrameSize: ["a whole number of bytes above zero, or Infinity", isPositiveIntegerOrInfinity],
  maxMessageSize: ["a whole number of bytes above zero, or Infinity", isPositiveIntegerOrInfinity],
  maxFragments: ["a whole number above zero, or Infinity", isPositiveIntegerOrInfinity],
  validateUtf8: ["true or false", isBoolean],
  earlyValidateUpgrade: ["true or false", isBoolean],
  subprotocols: [
    "an array of tokens (RFC 9110 §5.6.2), or a function",
    (value) => typeof value === "function" || areTokens(value),
  ],
  headers: [
    `an object of header names and values, without ${[...RESERVED_HEADERS].join(", ")}`,
    // No iterables: the entries of Headers or a Map are not properties and would be ignored, and those of an array
    // would be sent as headers named 0, 1, …
    (value) =>
      typeof value === "object" &&
      value !== null &&
      !(Symbol.iterator in value) &&
      Object.entries(value).every(isExtraHeader),
  ],
  origins: [
    '"*", an array of origins ("https://example.com") and RegExps, or a function',
    (value) => value === "*" || typeof value === "function" || (Array.isArray(value) && value.every(checkOrigin)),
  ],
  maxBuffered: ["a whole number of bytes above zero, or Infinity", isPositiveIntegerOrInfinity],
  closeTimeout: ["a number of milliseconds above zero", isPositive],
  fullsweepAfter: ["a whole number above zero, or Infinity", isPositiveIntegerOrInfinity],
  maxHeapSize: ["a whole number above zero, or Infinity", isPositiveIntegerOrInfinity],
};

/** Whether an option of this name exists. */
export const isOptionName = (name: string): boolean => Object.hasOwn(RULES, name);

/**
 * Checks `options` and merges them into `defaults`.
 *
 * @throws TypeError for an unknown option or an invalid value
 */
export const resolveOptions = (
  options: WebSockOptions | undefined,
  defaults: ResolvedOptions = DEFAULT_OPTIONS,
): ResolvedOptions => {
  if (options === undefined) return defaults;
  if (typeof options !== "object" || options === null) {
    throw codedTypeError("WEBSOCK_INVALID_OPTION", `options must be an object, not ${show(options)}`);
  }
  const { compress, heartbeat, ...resolved } = { ...defaults, ...checked("", options, RULES) };
  return {
    ...resolved,
    heartbeat: heartbeat === false ? Number.POSITIVE_INFINITY : heartbeat,
    compress: resolveCompression(compress),
  } as ResolvedOptions;
};

const resolveCompression = (compress: boolean | CompressOptions | undefined): CompressionSettings | undefined => {
  if (compress === undefined || compress === false) return undefined;
  if (compress === true) return DEFAULT_COMPRESSION;
  return { ...DEFAULT_COMPRESSION, ...checked("compress.", compress, COMPRESSION_RULES) } as CompressionSettings;
};

/** Checks `options`, and returns those that have a value. */
const checked = <Options extends object>(prefix: string, options: Options, rules: Rules<object>): Options => {
  checkKeys(options, Object.keys(rules), prefix);
  const entries = Object.entries(options).filter(([name, value]) => {
    if (value === undefined) return false;
    const [expected, check] = (rules as Rules<Record<string, unknown>>)[name]!;
    if (!check(value))
      throw codedTypeError(
        "WEBSOCK_INVALID_OPTION",
        `option "${prefix}${name}" must be ${expected}, not ${show(value)}`,
      );
    return true;
  });
  return Object.fromEntries(entries) as Options;
};
