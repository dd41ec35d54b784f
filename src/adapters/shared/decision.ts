/** What `upgrade` decides about a request, whatever the host; its answer performs it. */
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

export interface Decision {
  readonly callbacks: Callbacks;
  readonly arg: unknown;
  readonly options: ResolvedOptions;
  readonly subprotocol: string | undefined;
  /** Why it is refused: by an error where the request was to be checked early, else by the answer. */
  readonly refusal: UpgradeError | undefined;
  readonly route: Route;
  /** The AsyncLocalStorage context of the `upgrade` call. */
  readonly asyncContext: AsyncContext | undefined;
}

/** RFC 9110 §10.2.3. Another server takes over meanwhile; not all clients should come back in the same second. */
const RETRY_AFTER_SECONDS = 5;

/** Why nothing is upgraded any more, if the server is on its way out. */
export const shutdownRefusal = ({ group }: Host): UpgradeError | undefined =>
  group.closing
    ? new UpgradeError(503, "the server is shutting down", { "retry-after": String(RETRY_AFTER_SECONDS) })
    : undefined;

/** Why the request may not become a WebSocket, if it may not. What the function `origins` throws is such a reason, too. */
export const findRefusal = (host: Host, facts: UpgradeRequest, options: ResolvedOptions): UpgradeError | undefined =>
  host.callUserFunction("origins", facts, () => validateUpgrade(facts, options));

export const decide = (
  host: Host,
  facts: UpgradeRequest,
  callbacks: Callbacks,
  arg: unknown,
  options: WebSockOptions | undefined,
  route: Route,
): Decision => {
  const resolved = host.resolve(options);
  const decided = { callbacks, arg, options: resolved, route, asyncContext: captureContext() };
  const refusal = shutdownRefusal(host) ?? findRefusal(host, facts, resolved);
  if (refusal !== undefined) return { ...decided, subprotocol: undefined, refusal };
  const chosen = host.callUserFunction("subprotocols", facts, () => selectSubprotocol(facts, resolved.subprotocols));
  if (chosen instanceof UpgradeError) return { ...decided, subprotocol: undefined, refusal: chosen };
  if (chosen === undefined) {
    const offered = offeredSubprotocols(facts.header("sec-websocket-protocol")) ?? [];
    if (offered.length > 0) host.warnOfUnansweredOffer(offered, callbacks, pathOf(facts.url));
  }
  return { ...decided, subprotocol: chosen, refusal: undefined };
};

/** The facts that `self.connection` begins with. */
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
  // The constants, where it is those: the request's own strings would be kept with every connection.
  httpVersion: httpVersion === "1.1" ? "1.1" : httpVersion === "2.0" ? "2.0" : httpVersion,
  method: method === "GET" ? "GET" : "CONNECT",
  path: sharedPathOf(url),
  subprotocol,
  compression,
  closeCode: undefined,
  closeText: undefined,
});
