/** `websock-js/testing`: runs handlers and routes without a server, and checks hosts with the conformance suite. */

/**
 * The conformance suite: checks that a host runs handlers as specified. For authors of adapters.
 *
 * ```ts
 * for (const { name, run } of conformance.casesFor(host)) test(name, () => run(host));
 * ```
 */
export * as conformance from "./conformance/index.ts";
export { connect, type Ended, type TestClient } from "./connect.ts";
export { connectRoute, type Injection, type RouteRequestOptions } from "./connect-route.ts";
export { ManualClock } from "./manual-clock.ts";
export type { ConnectedRoute, NodeApp, RouteResponse } from "./memory-route.ts";
export type { ReceivedMessage } from "./memory-transport.ts";
