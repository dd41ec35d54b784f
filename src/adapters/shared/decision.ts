/** The decision of `upgrade` about a request, the same on all hosts. */
import { UpgradeError } from "../../errors.ts";
import type { Route } from "../../frameworks/route.ts";
import type { ResolvedOptions, UpgradeRequest, WebSockOptions } from "../../options.ts";
import { offeredSubprotocols } from "../../protocol/http/handshake.ts";
import type { AsyncContext } from "../../session/async-context.ts";
import type { Callbacks } from "../../session/handler.ts";
import type { ConnectionFacts } from "../../session/self.ts";
import { selectSubprotocol, validateUpgrade } from "../../upgrade-validation.ts";
import { captureContext } from "./async-context.ts";
import type { Host } from "./host.ts";
import { pathOf, sharedPathOf } from "./request-path.ts";
import { sharedString } from "./shared-strings.ts";

export interface Decision {
  readonly callbacks: Callbacks;
  readonly arg: unknown;
  readonly options: ResolvedOptions;
  readonly subprotocol: string | undefined;
  /** Thrown by `upgrade` if `earlyValidateUpgrade` is set, and answered otherwise. */
  readonly refusal: UpgradeError | undefined;
  readonly route: Route;
  /** The AsyncLocalStorage context of the `upgrade` call. */
  readonly asyncContext: AsyncContext | undefined;
}

/** `Retry-After` (RFC 9110 §10.2.3): the time for another server to take over. */
const RETRY_AFTER_SECONDS = 5;

/** The refusal of all upgrades while the server is shutting down. */
export const shutdownRefusal = ({ group }: Host): UpgradeError | undefined =>
  group.closing
    ? new UpgradeError(503, "the server is shutting down", { "retry-after": String(RETRY_AFTER_SECONDS) })
    : undefined;

/**
 * The refusal of this request; `undefined` if it may be upgraded. An error that `origins` throws leads to a refusal.
 */
export const findRefusal = (host: Host, request: UpgradeRequest, options: ResolvedOptions): UpgradeError | undefined =>
  host.callUserFunction("origins", request, () => validateUpgrade(request, options));

export const decide = (
  host: Host,
  request: UpgradeRequest,
  callbacks: Callbacks,
  arg: unknown,
  options: WebSockOptions | undefined,
  route: Route,
): Decision => {
  const resolved = host.resolve(options);
  const asyncContext = captureContext();
  const decided = (subprotocol: string | undefined, refusal: UpgradeError | undefined): Decision => ({
    callbacks,
    arg,
    options: resolved,
    subprotocol,
    refusal,
    route,
    asyncContext,
  });
  const refusal = shutdownRefusal(host) ?? findRefusal(host, request, resolved);
  if (refusal !== undefined) return decided(undefined, refusal);
  const chosen = host.callUserFunction("subprotocols", request, () =>
    selectSubprotocol(request, resolved.subprotocols),
  );
  if (chosen instanceof UpgradeError) return decided(undefined, chosen);
  if (chosen === undefined) {
    const offered = offeredSubprotocols(request.header("sec-websocket-protocol")) ?? [];
    if (offered.length > 0) host.warnOfUnansweredOffer(offered, callbacks, pathOf(request.url));
  }
  return decided(chosen, undefined);
};

/** The initial value of `self.connection`. */
export const connectionFacts = (
  { httpVersion, method, url }: UpgradeRequest,
  {
    remoteAddress,
    remotePort,
  }: { readonly remoteAddress?: string | undefined; readonly remotePort?: number | undefined },
  subprotocol: string | undefined,
  compression: string | undefined,
): ConnectionFacts => ({
  remoteAddress,
  remotePort,
  // Constants, where possible: each connection would otherwise retain the request's own strings.
  httpVersion: httpVersion === "1.1" ? "1.1" : httpVersion === "2.0" ? "2.0" : httpVersion,
  method: method === "GET" ? "GET" : "CONNECT",
  path: sharedPathOf(url),
  subprotocol: subprotocol && sharedString(subprotocol),
  compression: compression && sharedString(compression),
  closeCode: undefined,
  closeText: undefined,
});
