/**
 * The wire suite: cases about the protocol's octets (RFC 6455, RFC 7692) that any server can be run against, as long as it
 * sends back every message that it gets.
 *
 * ```ts
 * const results = await runCases(selectCases(wireClasses, target), target);
 * ```
 *
 * Needs Node. `npx websock-conformance ws://host:port/echo` does the same from a shell; over HTTP/2 with
 * `http2Target`, or `http:` and `https:` there.
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
