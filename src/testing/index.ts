/** `websock-js/testing`: run a handler without a server, and check a host against the conformance suite. */
/** The conformance suite, for servers of your own: `conformance.casesFor(host)`. */
export * as conformance from "./conformance/index.ts";
export { connect, type Ended, type TestClient } from "./connect.ts";
export {
  type ConnectedRoute,
  connectRoute,
  type Injection,
  type NodeApp,
  type RouteRequestOptions,
  type RouteResponse,
} from "./connect-route.ts";
export { ManualClock } from "./manual-clock.ts";
export type { ReceivedMessage } from "./memory-transport.ts";
