/** Operations on bytes and text for which hosts have faster functions than the language. */
import { LastText } from "./short-text/last-text.ts";
import { utf8Length } from "./utf8.ts";

/**
 * What the protocol needs done to octets and text. The portable version below runs everywhere; a host that has faster
 * means brings its own.
 */
export interface ByteOps {
  /** The text that was decoded last: see `short-text/README.md`. */
  readonly lastText: LastText;
  /** New memory of exactly `size` octets, whose contents do not matter. */
  readonly alloc: (size: number) => Uint8Array<ArrayBuffer>;
  /** The same for what is to be written: in whatever form the host writes best. */
  readonly allocOutput: (size: number) => Uint8Array;
  /** Whether the octets are whole, well-formed UTF-8. */
  readonly isUtf8: (bytes: Uint8Array) => boolean;
  /** Text of octets that are ASCII. What is not becomes a character an octet, whichever. */
  readonly decodeAscii: (bytes: Uint8Array, start: number, end: number) => string;
  /** Text of octets that are UTF-8; what is not becomes U+FFFD. */
  readonly decodeUtf8: (bytes: Uint8Array, start: number, end: number) => string;
  /** How many octets `text` takes as UTF-8; a lone surrogate is written as U+FFFD, which takes three. */
  readonly utf8Length: (text: string) => number;
  /** Writes `text`, which takes `size` octets, as UTF-8 to `target` from `at` on, where there is room for it. */
  readonly writeUtf8: (text: string, target: Uint8Array, at: number, size: number) => void;
  /** Writes `text`, each character below U+0100, an octet a character to `target` from `at` on. */
  readonly writeLatin1: (text: string, target: Uint8Array, at: number) => void;
}

const encoder = new TextEncoder();
// A byte order mark is text like any other here (RFC 6455 §5.6 knows no exception).
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
