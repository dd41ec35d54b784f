/** Views of the same bytes as another object. */
import { Buffer } from "node:buffer";

/** As a plain `Uint8Array`. The methods of a Node `Buffer` differ in part. */
export const plainView = ({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** As a Node `Buffer`. */
export const bufferView = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);
