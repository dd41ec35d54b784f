/** The port to the host's implementation of DEFLATE (RFC 1951), such as zlib. */

export interface DeflateOptions {
  /** zlib's compression level, 0–9. */
  readonly level: number;
  /** zlib's memory level, 1–9. */
  readonly memLevel: number;
  /** The base-2 logarithm of the window size, 8–15. */
  readonly windowBits: number;
  /** The preceding data that the peer knows; the most recent bytes are last. */
  readonly dictionary: Uint8Array | undefined;
}

export interface InflateOptions {
  /** Inflation fails as soon as the output is larger than this many bytes. */
  readonly limit: number;
  readonly dictionary: Uint8Array | undefined;
}

/** The result of inflating one stream. */
export interface Inflated {
  readonly bytes: Uint8Array;
  /** How many bytes of the input were read: not all of them if a final block ended the stream before. */
  readonly consumed: number;
}

/** Why inflation failed: the data are not a complete DEFLATE stream, or the output exceeds the limit. */
export type InflateFailure = "corrupt" | "too big";

/** Raw DEFLATE without state between calls: context takeover is implemented by passing a dictionary. */
export interface Deflate {
  /** Compresses `data` with a sync flush: the result ends with 00 00 ff ff. */
  deflateSync(data: Uint8Array, options: DeflateOptions): Uint8Array;
  /** Like {@link deflateSync}, in another thread. `done` is called in a later event-loop tick. */
  deflate(data: Uint8Array, options: DeflateOptions, done: (bytes: Uint8Array) => void): void;
  inflateSync(data: Uint8Array, options: InflateOptions): Inflated | InflateFailure;
  /** Like {@link inflateSync}, in another thread. `done` is called in a later event-loop tick. */
  inflate(data: Uint8Array, options: InflateOptions, done: (result: Inflated | InflateFailure) => void): void;
}
