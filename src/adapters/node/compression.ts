/** What a connection compresses and inflates with. */
import type { ResolvedOptions } from "../../options.ts";
import type { Compression } from "../../protocol/connection.ts";
import { Compressor } from "../../protocol/deflate/compressor.ts";
import { Decompressor } from "../../protocol/deflate/decompressor.ts";
import type { DeflateParameters } from "../../protocol/deflate/negotiation.ts";
import { nodeOctets } from "../shared/node-byte-ops.ts";
import { nodeDeflate } from "./deflate.ts";

/** Of those that hold nothing of their connection, by all that makes them differ: settings are few, and so are these. */
const compressors = new Map<string, Compressor>();
const decompressors = new Map<string, Decompressor>();

/** Without context takeover it is shared, so that an idle connection costs nothing for it. */
export const compressionOf = (
  { compress, maxMessageSize }: ResolvedOptions,
  parameters: DeflateParameters,
): Compression => {
  const settings = compress!;
  const makeCompressor = (): Compressor => new Compressor(settings, parameters, nodeDeflate, nodeOctets);
  const makeDecompressor = (): Decompressor => new Decompressor(settings, parameters, maxMessageSize, nodeDeflate);
  const { level, memLevel, threshold, maxInflation } = settings;
  return {
    compressor: parameters.serverNoContextTakeover
      ? cached(compressors, [level, memLevel, threshold, parameters.serverMaxWindowBits], makeCompressor)
      : makeCompressor(),
    decompressor: parameters.clientNoContextTakeover
      ? cached(decompressors, [maxInflation, maxMessageSize], makeDecompressor)
      : makeDecompressor(),
  };
};

const cached = <T>(all: Map<string, T>, differences: readonly number[], make: () => T): T => {
  const key = differences.join();
  let one = all.get(key);
  if (one === undefined) all.set(key, (one = make()));
  return one;
};
