/** The options of `upgrade`: their meaning, their defaults, and the one place where they are resolved. */
import { checkKeys, show } from "./known-keys.ts";
import { originProblem } from "./origins.ts";
import type { CompressionSettings } from "./protocol/deflate/negotiation.ts";
import { isFieldValue, isToken } from "./protocol/http/syntax.ts";

/** The facts of an upgrade request, the same on every host. */
export interface UpgradeRequest {
  /** The method that the client sent: `GET`, or `CONNECT` on HTTP/2. */
  readonly method: string;
  /** `"1.1"`, `"2.0"`, … */
  readonly httpVersion: string;
  /** The request target, as received: a path and query. */
  readonly url: string;
  /** The `Host` header, or `:authority` on HTTP/2. */
  readonly authority: string | undefined;
  /** A header by its lower-case name, or a pseudo-header of HTTP/2; one that came several times is joined with commas. */
  readonly header: (name: string) => string | undefined;
}

/** `headers` of the answer: a name to a value or to several. */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[]>>;

/**
 * How messages are compressed (permessage-deflate, RFC 7692). Without context takeover, the default, a connection holds no
 * zlib state, and one that is idle costs what it costs without compression.
 */
export interface CompressOptions {
  /** 0–9, as zlib has it: from none to as small as can be. Default: 6. */
  readonly level?: number;
  /** 1–9, as zlib has it: how much memory compressing takes while it lasts. Default: 8. */
  readonly memLevel?: number;
  /** Messages of fewer octets are sent as they are. Default: 512. */
  readonly threshold?: number;
  /** We compress each message on its own, without reference to those before it. Default: `true`. */
  readonly serverNoContextTakeover?: boolean;
  /** We ask the client to do so. Default: `true`. */
  readonly clientNoContextTakeover?: boolean;
  /** The base-2 logarithm of the window that we compress with, 8–15. Default: 15. */
  readonly serverMaxWindowBits?: number;
  /** The same for the client, if it lets us choose. Default: 15. */
  readonly clientMaxWindowBits?: number;
  /**
   * A message above 64 KiB may be so many times as large as it came over the wire; a larger one closes with 1009 while it
   * is inflated. Written text is rarely above 20; DEFLATE can't reach more than 1 032. Default: `Infinity`, so that only
   * `maxMessageSize` counts.
   */
  readonly maxInflation?: number;
}

/** Options of {@link upgrade}, and `defaults` of `attach`. */
export interface WebSockOptions {
  /** Nothing received for so many ms closes the connection with 1001. `Infinity`: never. Default: 60 000. */
  readonly timeout?: number;
  /** Ping when nothing was received for so many ms. `false`: never, nor where it is not below `timeout`. Default: 30 000. */
  readonly heartbeat?: number | false;
  /**
   * Agree on compression (permessage-deflate, RFC 7692) with clients that offer it: `true`, or how. Messages of up to
   * 64 KiB are compressed at once, larger ones in another thread, in order all the same. Default: `false`.
   */
  readonly compress?: boolean | CompressOptions;
  /** Octets of one frame; a larger one closes with 1009, judged from its header. Default: `Infinity`. */
  readonly maxFrameSize?: number;
  /** Octets of a whole message, once inflated; a larger one closes with 1009 as early as it is known. Default: 10 000 000. */
  readonly maxMessageSize?: number;
  /** Frames of one message, empty ones too; more close with 1008. Default: 524 288. */
  readonly maxFragments?: number;
  /** Close with 1007 on a text that is not UTF-8 (RFC 6455 §8.1). `false`: replace what is not. Default: `true`. */
  readonly validateUtf8?: boolean;
  /** Check the request when `upgrade` is called, and throw; `false`: when it is performed, and answer. Default: `true`. */
  readonly earlyValidateUpgrade?: boolean;
  /**
   * The subprotocols that we speak: the first that the client offers, in its order, is agreed on. Or a function that
   * picks one of the offered. Default: none.
   */
  readonly subprotocols?:
    | readonly string[]
    | ((offered: readonly string[], request: UpgradeRequest) => string | null | undefined);
  /** Extra headers of the answer. Those of the handshake itself can't be set. Default: none. */
  readonly headers?: AnswerHeaders;
  /**
   * Which pages may connect: `"*"`, a list of origins (`"https://example.com"`, `"http://localhost:3000"`) and RegExps, or
   * a function. An entry that no browser sends as an origin (a path, a default port, a wildcard, no scheme) throws.
   * Default: those of the request's own host and port; what sends no Origin is not a browser, and may.
   */
  readonly origins?: "*" | readonly (string | RegExp)[] | ((origin: string, request: UpgradeRequest) => boolean);
  /** Octets that may wait for a client that reads slowly; past it the connection ends with 1013. Default: 16 MiB. */
  readonly maxBuffered?: number;
  /** How many ms to wait for the client's close frame, and for a pending callback at the end. Default: 5 000. */
  readonly closeTimeout?: number;
  /** From the original; honoured only where each connection has a heap of its own (see `Capabilities.ignores`). */
  readonly fullsweepAfter?: number;
  /** From the original; honoured only where each connection has a heap of its own (see `Capabilities.ignores`). */
  readonly maxHeapSize?: number;
}

/** Every option with its value; `undefined` where the default is to have none. */
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

/** `compress: true`. */
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

/** Headers that belong to the handshake or would give a 101 a body (RFC 6455 §4.2.2, RFC 9110 §6.4.1). */
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

const positive = (value: unknown): boolean => typeof value === "number" && value > 0;
const whole = (value: unknown): boolean =>
  positive(value) && (Number.isInteger(value) || value === Number.POSITIVE_INFINITY);
const boolean = (value: unknown): boolean => typeof value === "boolean";
const tokens = (value: unknown): boolean =>
  Array.isArray(value) && value.every((name) => typeof name === "string" && isToken(name));
const answerHeader = ([name, value]: [string, unknown]): boolean =>
  isToken(name) &&
  !RESERVED_HEADERS.has(name.toLowerCase()) &&
  [value].flat().every((one) => typeof one === "string" && isFieldValue(one));

/** @throws TypeError with the cure, because the rule of the option does not say which entry is wrong */
const checkOrigin = (entry: unknown): boolean => {
  const problem = originProblem(entry);
  if (problem !== undefined)
    throw new TypeError(
      `option "origins" must be an array of origins as browsers send them, and ${show(entry)} is not one: ${problem}`,
    );
  return true;
};

const integer =
  (from: number, to: number) =>
  (value: unknown): boolean =>
    Number.isInteger(value) && (value as number) >= from && (value as number) <= to;

/** For each option: what it must be, in words, and the check. */
type Rules<Options> = { readonly [Name in keyof Options]: readonly [is: string, check: (value: unknown) => boolean] };

const WINDOW_BITS = ["a whole number from 8 to 15", integer(8, 15)] as const;

const COMPRESSION_RULES: Rules<CompressionSettings> = {
  level: ["a whole number from 0 to 9", integer(0, 9)],
  memLevel: ["a whole number from 1 to 9", integer(1, 9)],
  threshold: ["a whole number of bytes, or Infinity", (value) => value === 0 || whole(value)],
  serverNoContextTakeover: ["true or false", boolean],
  clientNoContextTakeover: ["true or false", boolean],
  serverMaxWindowBits: WINDOW_BITS,
  clientMaxWindowBits: WINDOW_BITS,
  maxInflation: ["a number above zero, or Infinity", positive],
};

const RULES: Rules<ResolvedOptions> = {
  timeout: ["a number of milliseconds above zero, or Infinity", positive],
  heartbeat: ["a number of milliseconds above zero, or false", (value) => value === false || positive(value)],
  compress: ["true, false or an object", (value) => boolean(value) || (typeof value === "object" && value !== null)],
  maxFrameSize: ["a whole number of bytes above zero, or Infinity", whole],
  maxMessageSize: ["a whole number of bytes above zero, or Infinity", whole],
  maxFragments: ["a whole number above zero, or Infinity", whole],
  validateUtf8: ["true or false", boolean],
  earlyValidateUpgrade: ["true or false", boolean],
  subprotocols: [
    "an array of tokens (RFC 9110 §5.6.2), or a function",
    (value) => typeof value === "function" || tokens(value),
  ],
  headers: [
    `an object of header names and values, without ${[...RESERVED_HEADERS].join(", ")}`,
    // Not what can be iterated, such as Headers, a Map or a list: its entries are no properties, and would be lost.
    (value) =>
      typeof value === "object" &&
      value !== null &&
      !(Symbol.iterator in value) &&
      Object.entries(value).every(answerHeader),
  ],
  origins: [
    '"*", an array of origins ("https://example.com") and RegExps, or a function',
    (value) => value === "*" || typeof value === "function" || (Array.isArray(value) && value.every(checkOrigin)),
  ],
  maxBuffered: ["a whole number of bytes above zero, or Infinity", whole],
  closeTimeout: ["a number of milliseconds above zero", positive],
  fullsweepAfter: ["a whole number above zero", whole],
  maxHeapSize: ["a whole number above zero", whole],
};

/** Whether there is an option of this name. */
export const isOptionName = (name: string): boolean => Object.hasOwn(RULES, name);

/**
 * Checks `options` and lays them over `defaults`.
 *
 * @throws TypeError for an option that is unknown or whose value cannot be meant
 */
export const resolveOptions = (
  options: WebSockOptions | undefined,
  defaults: ResolvedOptions = DEFAULT_OPTIONS,
): ResolvedOptions => {
  if (options === undefined) return defaults;
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`options must be an object, not ${show(options)}`);
  }
  const { compress, heartbeat, ...resolved } = { ...defaults, ...given("", options, RULES) };
  return {
    ...resolved,
    heartbeat: heartbeat === false ? Number.POSITIVE_INFINITY : heartbeat,
    compress: resolveCompression(compress),
  } as ResolvedOptions;
};

const resolveCompression = (compress: boolean | CompressOptions | undefined): CompressionSettings | undefined => {
  if (compress === undefined || compress === false) return undefined;
  if (compress === true) return DEFAULT_COMPRESSION;
  return { ...DEFAULT_COMPRESSION, ...given("compress.", compress, COMPRESSION_RULES) } as CompressionSettings;
};

/** The options that have a value, checked. */
const given = <Options extends object>(prefix: string, options: Options, rules: Rules<object>): Options => {
  checkKeys(options, Object.keys(rules), prefix);
  const entries = Object.entries(options).filter(([name, value]) => {
    if (value === undefined) return false;
    const [is, check] = (rules as Rules<Record<string, unknown>>)[name]!;
    if (!check(value)) throw new TypeError(`option "${prefix}${name}" must be ${is}, not ${show(value)}`);
    return true;
  });
  return Object.fromEntries(entries) as Options;
};
