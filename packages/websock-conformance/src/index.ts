/**
 * Cases about the bytes of the WebSocket protocol (RFC 6455, RFC 7692, RFC 8441), for any server that sends back every
 * message it receives.
 *
 * ```ts
 * const target = http1Target("ws://localhost:4000/echo");
 * const results = await runCases(selectCases(wireClasses, target), target);
 * ```
 *
 * Needs Node. `npx websock-conformance ws://host:port/echo` does the same from a shell. For HTTP/2, use `http2Target`,
 * or an `http:` or `https:` URL in the shell.
 */
export type { Row, Run, WireCase, WireClass } from "./case.ts";
export { wireClasses } from "./cases/index.ts";
export { http1Target } from "./http1.ts";
export { http2Target } from "./http2.ts";
export { OUTCOMES, type Outcome } from "./outcome.ts";
export { runCase, runCases, selectCases, type WireResult, type WireRunOptions } from "./run.ts";
export {
  type Http2Connection,
  type Http2Fields,
  type HttpAnswer,
  type Offer,
  type Opened,
  Refused,
  type TargetOptions,
  type WireTarget,
} from "./target.ts";
