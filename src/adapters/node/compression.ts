/** The compressor and decompressor of a connection. */
import type { ResolvedOptions } from "../../options.ts";
import type { Compression } from "../../protocol/connection.ts";
import { Compressor } from "../../protocol/deflate/compressor.ts";
import { Decompressor } from "../../protocol/deflate/decompressor.ts";
import type { DeflateParameters } from "../../protocol/deflate/negotiation.ts";
import { nodeByteOps } from "../shared/node-byte-ops.ts";
import { nodeDeflate } from "./deflate.ts";

/** Instances without context takeover, by their settings. There are few different settings, so the maps stay small. */
const compressors = new Map<string, Compressor>();
const decompressors = new Map<string, Decompressor>();

/**
 * Connections without context takeover share their instances, so that compression takes no memory while they are idle.
 */
export const compressionOf = (
  { compress, maxMessageSize }: ResolvedOptions,
  parameters: DeflateParameters,
): Compression => {
  const settings = compress!;
  const makeCompressor = (): Compressor => new Compressor(settings, parameters, nodeDeflate, nodeByteOps);
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

const cached = <T>(all: Map<string, T>, settings: readonly number[], create: () => T): T => {
  const key = settings.join();
  let instance = all.get(key);
  if (instance === undefined) all.set(key, (instance = create()));
  return instance;
};
