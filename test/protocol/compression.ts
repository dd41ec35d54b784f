/** Both halves of a connection's compression, agreed on as a client asked. */
import { nodeDeflate } from "../../src/adapters/node/deflate.ts";
import { nodeByteOps } from "../../src/adapters/shared/node-byte-ops.ts";
import { type CompressOptions, resolveOptions } from "../../src/options.ts";
import { Compressor } from "../../src/protocol/deflate/compressor.ts";
import { Decompressor } from "../../src/protocol/deflate/decompressor.ts";
import type { Deflate } from "../../src/protocol/deflate/deflate-port.ts";
import { negotiateDeflate } from "../../src/protocol/deflate/negotiation.ts";
import { parseExtensions } from "../../src/protocol/http/extensions.ts";

export const TAKEOVER = { serverNoContextTakeover: false, clientNoContextTakeover: false } as const;

export interface Agreement extends CompressOptions {
  readonly offer?: string;
  readonly maxMessageSize?: number;
  readonly deflate?: Deflate;
}

export const agree = ({ offer, maxMessageSize, deflate = nodeDeflate, ...compress }: Agreement = {}) => {
  const settings = resolveOptions({ compress: { threshold: 0, ...compress } }).compress!;
  const parameters = negotiateDeflate(parseExtensions(offer ?? "permessage-deflate")!, settings)!;
  return {
    compressor: new Compressor(settings, parameters, deflate, nodeByteOps),
    decompressor: new Decompressor(settings, parameters, maxMessageSize ?? 10_000_000, deflate),
  };
};
