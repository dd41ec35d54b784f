/** What `Deno.serve` can do. */
import type { Capabilities } from "../../capabilities.ts";

/** The capabilities of `Deno.serve`. */
export const capabilities = Object.freeze<Capabilities>({
  host: "deno",
  control: false,
  pause: false,
  drain: true, // by polling, see drain-poll.ts
  closeDetail: true,
  answersClose: false,
  abort: false,
  asyncContext: true,
  crossConnection: true,
  exactSelf: true,
  compress: false,
  idleClock: false,
  ignores: ["heartbeat", "compress", "maxFrameSize", "maxFragments", "validateUtf8", "fullsweepAfter", "maxHeapSize"],
});
