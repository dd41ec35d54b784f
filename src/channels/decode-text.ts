/** Strings that some clients encode as UTF-8, and others as Latin-1. */

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Decodes UTF-8, or, if it is not valid, Latin-1: older versions of phoenix.js, and realtime-js, send that. */
export const decodeText = (bytes: Uint8Array): string => {
  try {
    return decoder.decode(bytes);
  } catch {
    return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  }
};
