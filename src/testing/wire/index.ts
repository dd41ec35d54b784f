/**
 * The wire suite: cases about the protocol's octets (RFC 6455, RFC 7692) that any server can be run against, as long as it
 * sends back every message that it gets.
 *
 * ```ts
 * const results = await runCases(selectCases(wireClasses, target), target);
 * ```
 *
 * Needs Node. `npx websock-conformance ws://host:port/echo` does the same from a shell.
 */
export type { Row, Run, WireCase, WireClass } from "./case.ts";
export { wireClasses } from "./cases/index.ts";
export { type Http1Options, http1Target } from "./http1.ts";
export { OUTCOMES, type Outcome } from "./outcome.ts";
export { runCase, runCases, selectCases, type WireResult, type WireRunOptions } from "./run.ts";
export { type HttpAnswer, type Offer, type Opened, Refused, type WireTarget } from "./target.ts";
