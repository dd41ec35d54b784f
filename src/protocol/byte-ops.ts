/** Operations on bytes and text for which a host may have faster functions than the portable ones. */
import { LastText } from "./short-text/last-text.ts";
import { utf8Length } from "./utf8.ts";

/**
 * The operations on bytes and text that the protocol needs. {@link portableByteOps} runs everywhere; an adapter whose
 * host has faster functions provides its own.
 */
export interface ByteOps {
  /** The most recently decoded text: see `short-text/README.md`. */
  readonly lastText: LastText;
  /** Allocates an ArrayBuffer of exactly `size` bytes with unspecified contents. */
  readonly alloc: (size: number) => Uint8Array<ArrayBuffer>;
  /** Allocates `size` bytes for output, as the type that the host writes fastest. */
  readonly allocOutput: (size: number) => Uint8Array;
  /** Whether the bytes are well-formed UTF-8 that does not end within a character. */
  readonly isUtf8: (bytes: Uint8Array) => boolean;
  /** Decodes ASCII. Each byte of 0x80 or more becomes one unspecified character. */
  readonly decodeAscii: (bytes: Uint8Array, start: number, end: number) => string;
  /** Decodes UTF-8. Invalid sequences become U+FFFD. */
  readonly decodeUtf8: (bytes: Uint8Array, start: number, end: number) => string;
  /** The number of bytes of `text` in UTF-8. A lone surrogate counts three: it is encoded as U+FFFD. */
  readonly utf8Length: (text: string) => number;
  /** Encodes `text`, which is `size` bytes long in UTF-8, to `target` from `at` on. The caller ensures that it fits. */
  readonly writeUtf8: (text: string, target: Uint8Array, at: number, size: number) => void;
  /** Writes `text` to `target` from `at` on, one byte per character. All characters are below U+0100. */
  readonly writeLatin1: (text: string, target: Uint8Array, at: number) => void;
}

const encoder = new TextEncoder();
// A byte order mark is part of the text: RFC 6455 §5.6 makes no exception for it.
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
const ascii = new TextDecoder("latin1");
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

export const portableByteOps: ByteOps = {
  lastText: new LastText(),
  alloc: (size) => new Uint8Array(size),
  allocOutput: (size) => new Uint8Array(size),
  isUtf8: (bytes) => {
    try {
      strict.decode(bytes);
      return true;
    } catch {
      return false;
    }
  },
  decodeAscii: (bytes, start, end) => ascii.decode(bytes.subarray(start, end)),
  decodeUtf8: (bytes, start, end) => lenient.decode(bytes.subarray(start, end)),
  utf8Length,
  writeUtf8: (text, target, at) => {
    encoder.encodeInto(text, target.subarray(at));
  },
  writeLatin1: (text, target, at) => {
    for (let i = 0; i < text.length; i++) target[at + i] = text.charCodeAt(i);
  },
};
