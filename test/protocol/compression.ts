/** Both halves of a connection's compression, agreed on as a client asked. */
import { nodeDeflate } from "../../src/adapters/node-deflate.ts";
import { nodeOctets } from "../../src/adapters/node-octets.ts";
import { type CompressOptions, resolveOptions } from "../../src/options.ts";
import { Compressor } from "../../src/protocol/compressor.ts";
import { Decompressor } from "../../src/protocol/decompressor.ts";
import type { Deflate } from "../../src/protocol/deflate.ts";
import { parseExtensions } from "../../src/protocol/extensions.ts";
import { negotiateDeflate } from "../../src/protocol/permessage-deflate.ts";

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
    compressor: new Compressor(settings, parameters, deflate, nodeOctets),
    decompressor: new Decompressor(settings, parameters, maxMessageSize ?? 10_000_000, deflate),
  };
};
