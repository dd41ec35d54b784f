/** How infos become bytes between processes. */

/** Encodes infos for other processes. With the option `strict`, local infos are encoded and decoded, too. */
export interface Codec {
  /** @throws any error for a value that cannot be encoded; the caller of `broadcast` or `send` gets it */
  readonly encode: (info: unknown) => Uint8Array | string;
  /** @param bytes what {@link encode} returned; a string as UTF-8 */
  readonly decode: (bytes: Uint8Array) => unknown;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The default codec: JSON. */
export const jsonCodec: Codec = {
  encode: (info) => {
    const json: string | undefined = JSON.stringify(info);
    if (json === undefined) throw new TypeError("an info must be a value that JSON can represent, or set a codec");
    return json;
  },
  decode: (bytes) => JSON.parse(decoder.decode(bytes)),
};

/** Encodes and decodes an info, so that its receivers get what they would get in another process. */
export const roundTrip = (codec: Codec, info: unknown): unknown => {
  const encoded = codec.encode(info);
  return codec.decode(typeof encoded === "string" ? encoder.encode(encoded) : encoded);
};
