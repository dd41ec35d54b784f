/** `websock-js/testing`: runs handlers and routes without a server. */

export { connect, type Ended, type TestClient } from "./connect.ts";
export { connectRoute, type Injection, type RouteRequestOptions } from "./connect-route.ts";
export { ManualClock } from "./manual-clock.ts";
export type { ConnectedRoute, NodeApp, RouteResponse } from "./memory-route.ts";
export type { ReceivedMessage } from "./memory-transport.ts";
export { testPubSub } from "./test-pubsub.ts";
