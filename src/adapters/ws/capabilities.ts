/** What the package `ws` can do. */
import type { Capabilities } from "../../capabilities.ts";

/**
 * The capabilities of `ws`. Its frame limits, UTF-8 validation and compression are set by options of the
 * WebSocketServer.
 */
export const capabilities = Object.freeze<Capabilities>({
  host: "ws",
  control: true,
  pause: true,
  drain: true,
  closeDetail: true,
  answersClose: true,
  abort: true,
  asyncContext: true,
  crossConnection: true,
  exactSelf: true,
  compress: true,
  idleClock: true,
  ignores: [
    ...(["maxFrameSize", "maxFragments", "validateUtf8", "fullsweepAfter", "maxHeapSize"] as const),
    ...(["compress.level", "compress.memLevel", "compress.maxInflation"] as const),
    ...(["compress.serverNoContextTakeover", "compress.clientNoContextTakeover"] as const),
    ...(["compress.serverMaxWindowBits", "compress.clientMaxWindowBits"] as const),
  ],
});
