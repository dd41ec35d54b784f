/** What `Bun.serve` can do. */
import type { Capabilities } from "../../capabilities.ts";

/** The capabilities of `Bun.serve`. */
export const capabilities = Object.freeze<Capabilities>({
  host: "bun",
  control: true,
  pause: true,
  drain: true,
  closeDetail: true,
  answersClose: false,
  abort: false,
  asyncContext: true,
  crossConnection: true,
  exactSelf: true,
  compress: true,
  idleClock: true,
  ignores: [
    "maxFrameSize",
    "maxFragments",
    "validateUtf8",
    "compress.level",
    "compress.memLevel",
    "compress.serverNoContextTakeover",
    "compress.clientNoContextTakeover",
    "compress.serverMaxWindowBits",
    "compress.clientMaxWindowBits",
    "compress.maxInflation",
    "fullsweepAfter",
    "maxHeapSize",
  ],
});
