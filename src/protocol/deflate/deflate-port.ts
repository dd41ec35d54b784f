/** The port to DEFLATE (RFC 1951): the host brings its zlib, and `protocol/` stays free of it. */

export interface DeflateOptions {
  /** 0–9, as zlib has them. */
  readonly level: number;
  /** 1–9. */
  readonly memLevel: number;
  /** The base-2 logarithm of the window, 8–15. */
  readonly windowBits: number;
  /** What the other side has seen before: the last octets are the most recent. */
  readonly dictionary: Uint8Array | undefined;
}

export interface InflateOptions {
  /** Stop as soon as more than so many octets come out. */
  readonly limit: number;
  readonly dictionary: Uint8Array | undefined;
}

/** What came out, and how many octets of the input it took: fewer than there are after a final block. */
export interface Inflated {
  readonly bytes: Uint8Array;
  readonly consumed: number;
}

/** Why nothing came out: the data are no whole DEFLATE stream, or there is more in them than the limit. */
export type InflateFailure = "corrupt" | "too big";

/** Raw streams, each on its own: what carries over from message to message is handed in as a dictionary. */
export interface Deflate {
  /** Flushed to an octet's boundary: the result ends in 00 00 ff ff. */
  deflateSync(data: Uint8Array, options: DeflateOptions): Uint8Array;
  /** The same without holding up anybody; `done` is called in a later turn. */
  deflate(data: Uint8Array, options: DeflateOptions, done: (bytes: Uint8Array) => void): void;
  inflateSync(data: Uint8Array, options: InflateOptions): Inflated | InflateFailure;
  inflate(data: Uint8Array, options: InflateOptions, done: (result: Inflated | InflateFailure) => void): void;
}
