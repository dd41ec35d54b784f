/** `websock-js/testing`: runs handlers and routes without a server, and tests backplanes. */

export { type BackplaneCase, type BackplaneTarget, backplaneCases } from "./backplane-cases.ts";
export { connect, type Ended, type TestClient } from "./connect.ts";
export { connectRoute, type Injection, type RouteRequestOptions } from "./connect-route.ts";
export { ManualClock } from "./manual-clock.ts";
export {
  type MemoryAwayOptions,
  MemoryEngine,
  type MemoryEngineOptions,
  type MemoryEngineStats,
  type MemoryMessage,
  type MemorySteps,
  type MemoryUpOptions,
} from "./memory-engine.ts";
export type { ConnectedRoute, NodeApp, RouteResponse } from "./memory-route.ts";
export type { ReceivedMessage } from "./memory-transport.ts";
export { testPubSub } from "./test-pubsub.ts";
