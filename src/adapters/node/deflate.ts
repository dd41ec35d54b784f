/** DEFLATE with Node's zlib. */
import { kMaxLength } from "node:buffer";
import { constants, deflateRaw, deflateRawSync, inflateRaw, inflateRawSync, type ZlibOptions } from "node:zlib";
import type {
  Deflate,
  DeflateOptions,
  Inflated,
  InflateFailure,
  InflateOptions,
} from "../../protocol/deflate/deflate-port.ts";

/** The result with the option `info`, which `@types/node` does not declare. */
interface WithInfo {
  readonly buffer: Uint8Array;
  readonly engine: { readonly bytesWritten: number };
}

/** Size of zlib's first output buffer. Its default of 16 KiB is too large for most messages. */
const chunkSize = (expected: number): number => Math.min(Math.max(1024, expected), 65_536);

const deflateOptions = (size: number, { level, memLevel, windowBits, dictionary }: DeflateOptions): ZlibOptions => ({
  level,
  memLevel,
  // zlib has no window of 2^8 bytes. With 2^9, its matches reach back 2^9 − 262 bytes at most, which fits into 2^8.
  windowBits: Math.max(windowBits, 9),
  finishFlush: constants.Z_SYNC_FLUSH,
  chunkSize: chunkSize(size >>> 1),
  ...(dictionary && { dictionary }),
});

const inflateOptions = (size: number, { limit, dictionary }: InflateOptions): ZlibOptions => ({
  maxOutputLength: Math.min(Math.floor(limit), kMaxLength),
  info: true,
  chunkSize: chunkSize(size * 4),
  ...(dictionary && { dictionary }),
});

const inflated = (result: unknown): Inflated => {
  const { buffer, engine } = result as WithInfo;
  return { bytes: buffer, consumed: engine.bytesWritten };
};

const failure = (error: unknown): InflateFailure => {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ERR_BUFFER_TOO_LARGE") return "too big";
  if (code === "Z_DATA_ERROR" || code === "Z_BUF_ERROR" || code === "Z_NEED_DICT") return "corrupt";
  throw error;
};

export const nodeDeflate: Deflate = {
  deflateSync: (data, options) => deflateRawSync(data, deflateOptions(data.length, options)),
  deflate: (data, options, done) => {
    deflateRaw(data, deflateOptions(data.length, options), (error, bytes) => {
      if (error) throw error; // out of memory
      done(bytes);
    });
  },
  inflateSync: (data, options) => {
    try {
      return inflated(inflateRawSync(data, inflateOptions(data.length, options)));
    } catch (error) {
      return failure(error);
    }
  },
  inflate: (data, options, done) => {
    inflateRaw(data, inflateOptions(data.length, options), (error, result) =>
      done(error ? failure(error) : inflated(result)),
    );
  },
};
