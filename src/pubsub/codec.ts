/** How infos become bytes between processes. */
import { codedTypeError } from "../error-codes.ts";

/** Encodes infos for other processes. With the option `strict`, local infos are encoded and decoded, too. */
export interface Codec {
  /**
   * Encodes an info.
   *
   * @throws any error for a value that cannot be encoded; the caller of `broadcast` or `send` gets it
   */
  readonly encode: (info: unknown) => Uint8Array | string;
  /**
   * Decodes what {@link encode} has made on any node.
   *
   * @param bytes what {@link encode} returned; a string as UTF-8
   */
  readonly decode: (bytes: Uint8Array) => unknown;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The default codec: JSON. */
export const jsonCodec: Codec = {
  encode: (info) => {
    const json: string | undefined = JSON.stringify(info);
    if (json === undefined)
      throw codedTypeError(
        "WEBSOCK_NOT_SERIALIZABLE",
        "an info must be a value that JSON can represent, or set a codec",
      );
    return json;
  },
  decode: (bytes) => JSON.parse(decoder.decode(bytes)),
};

/** The info that another process gets, of what `encode` has returned. */
export const decodeInfo = (codec: Codec, encoded: Uint8Array | string): unknown =>
  codec.decode(typeof encoded === "string" ? encoder.encode(encoded) : encoded);
