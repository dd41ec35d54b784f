/** What the library's own protocol engine can do on Node. */
import type { Capabilities } from "../../capabilities.ts";

/** The capabilities of the library's own protocol engine on Node. */
export const capabilities = Object.freeze<Capabilities>({
  host: "node",
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
  ignores: ["fullsweepAfter", "maxHeapSize"],
});
