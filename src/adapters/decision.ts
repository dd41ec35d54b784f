/** What `upgrade` decides about a request, whatever the host; its answer performs it. */
import { UpgradeError } from "../errors.ts";
import type { ResolvedOptions, UpgradeRequest, WebSockOptions } from "../options.ts";
import type { Route } from "../route.ts";
import type { Callbacks } from "../session/handler.ts";
import type { ConnectionFacts } from "../session/self.ts";
import { selectSubprotocol, validateUpgrade } from "../upgrade-validation.ts";
import type { Host } from "./host.ts";

export interface Decision {
  readonly callbacks: Callbacks;
  readonly arg: unknown;
  readonly options: ResolvedOptions;
  readonly subprotocol: string | undefined;
  /** Why it is refused: by an error where the request was to be checked early, else by the answer. */
  readonly refusal: UpgradeError | undefined;
  readonly route: Route;
}

/** Why nothing is upgraded any more, if the server is on its way out. */
export const shuttingDown = ({ group }: Host): UpgradeError | undefined =>
  group.closing ? new UpgradeError(503, "the server is shutting down") : undefined;

/** Why the request may not become a WebSocket, if it may not. What the function `origins` throws is such a reason, too. */
export const judge = (host: Host, facts: UpgradeRequest, options: ResolvedOptions): UpgradeError | undefined =>
  host.ask("origins", facts, () => validateUpgrade(facts, options));

export const decide = (
  host: Host,
  facts: UpgradeRequest,
  callbacks: Callbacks,
  arg: unknown,
  options: WebSockOptions | undefined,
  route: Route,
): Decision => {
  const resolved = host.resolve(options);
  const refusal = shuttingDown(host) ?? judge(host, facts, resolved);
  if (refusal !== undefined) return { callbacks, arg, options: resolved, subprotocol: undefined, refusal, route };
  const chosen = host.ask("subprotocols", facts, () => selectSubprotocol(facts, resolved.subprotocols));
  return chosen instanceof UpgradeError
    ? { callbacks, arg, options: resolved, subprotocol: undefined, refusal: chosen, route }
    : { callbacks, arg, options: resolved, subprotocol: chosen, refusal: undefined, route };
};

/** The facts that `self.connection` begins with. */
export const connectionFacts = (
  { httpVersion, method }: UpgradeRequest,
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
  subprotocol,
  compression,
  closeCode: undefined,
  closeText: undefined,
});
