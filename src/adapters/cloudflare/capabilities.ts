/** What Workers and Durable Objects can do. */
import type { Capabilities } from "../../capabilities.ts";

/**
 * The platform negotiates compression and validates frames itself. It keeps idle connections open and detects lost
 * ones. It hides pings and pongs, so an idle client and a lost one look the same.
 */
const IGNORES = [
  ...(["timeout", "heartbeat", "compress", "maxFrameSize", "maxFragments", "validateUtf8", "maxBuffered"] as const),
  ...(["fullsweepAfter", "maxHeapSize"] as const),
];

/** The capabilities of a Worker. */
export const capabilities = Object.freeze<Capabilities>({
  host: "cloudflare",
  control: false,
  pause: false,
  drain: false,
  closeDetail: true,
  answersClose: true,
  abort: false,
  asyncContext: true, // with the compatibility flag nodejs_als or nodejs_compat
  crossConnection: false,
  exactSelf: true,
  compress: false,
  idleClock: false,
  ignores: IGNORES,
});

/** The capabilities of a Durable Object. */
export const durableCapabilities = Object.freeze<Capabilities>({
  ...capabilities,
  host: "a Durable Object",
  crossConnection: true,
  exactSelf: true,
});
