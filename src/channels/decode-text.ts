/** The strings in binary messages. */

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @throws TypeError for bytes that are not UTF-8 */
export const decodeUtf8 = (bytes: Uint8Array): string => decoder.decode(bytes);

/**
 * Decodes a string of at most 255 bytes: UTF-8, or, if it is not valid, Latin-1, which older versions of phoenix.js,
 * and realtime-js, send.
 */
export const decodeText = (bytes: Uint8Array): string => {
  try {
    return decodeUtf8(bytes);
  } catch {
    return String.fromCharCode(...bytes);
  }
};
