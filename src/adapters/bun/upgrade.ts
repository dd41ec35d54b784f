/** One upgrade request of `Bun.serve`. */
import type { ResolvedOptions, UpgradeRequest } from "../../options.ts";
import { negotiateDeflate, PERMESSAGE_DEFLATE } from "../../protocol/deflate/negotiation.ts";
import { parseExtensions } from "../../protocol/http/extensions.ts";
import { FetchUpgrade } from "../fetch/upgrade.ts";
import type { HostOptions } from "../shared/attachment.ts";
import { connectionFacts, type Decision } from "../shared/decision.ts";
import { Host } from "../shared/host.ts";
import { nodeByteOps } from "../shared/node-byte-ops.ts";
import { nodeDiagnostics } from "../shared/node-diagnostics.ts";
import { capabilities } from "./capabilities.ts";
import { BunTransport } from "./transport.ts";
import type { BunServer } from "./types.ts";

export class BunHost extends Host {
  constructor(options: HostOptions) {
    super(capabilities, nodeByteOps, nodeDiagnostics, options);
  }
}

export class BunUpgrade extends FetchUpgrade<BunHost> {
  private readonly server: BunServer;

  constructor(host: BunHost, request: Request, server: BunServer) {
    super(host, request);
    this.server = server;
  }

  protected perform(decision: Decision, upgradeRequest: UpgradeRequest, headers: Headers): Response | undefined {
    const { host, request, server } = this;
    const { callbacks, arg, options, subprotocol, asyncContext } = decision;
    this.warnOfMessageSize(options);
    const agreed = negotiate(upgradeRequest, options);
    if (agreed !== undefined) request.headers.set("sec-websocket-extensions", agreed.offer);
    else request.headers.delete("sec-websocket-extensions");
    // An empty value prevents Bun from selecting the first subprotocol that the client offers.
    headers.set("sec-websocket-protocol", subprotocol ?? "");
    const address = server.requestIP(request);
    const peer = { remoteAddress: address?.address, remotePort: address?.port };
    const facts = connectionFacts(upgradeRequest, peer, subprotocol, agreed?.answer);
    const data = new BunTransport(server, options, agreed !== undefined, asyncContext, (transport) => {
      const session = host.newSession(callbacks, transport, facts, options, asyncContext);
      session.start(arg);
    });
    // `upgrade` returns `false` if the client has disconnected.
    return server.upgrade(request, { headers, data }) ? undefined : new Response(null, { status: 400 });
  }

  /** Bun has one message size limit for all connections. */
  private warnOfMessageSize({ maxMessageSize }: ResolvedOptions): void {
    const { host } = this;
    if (maxMessageSize <= host.defaults.maxMessageSize) return;
    host.warnOnce(
      `on ${host.capabilities.host}, the option "maxMessageSize" cannot be larger than in the defaults of attach()`,
    );
  }
}

/** Bun always negotiates these: it compresses each message separately. */
const NO_CONTEXT_TAKEOVER = "client_no_context_takeover; server_no_context_takeover";

/** Bun's only window size. Bun confirms it if offered (RFC 7692 §7.1.2.1), and declines an offer with a smaller one. */
const WINDOW = { bits: 15, parameter: "server_max_window_bits=15" } as const;

interface Agreement {
  /** Replaces the client's offer in the request, from which Bun negotiates. */
  readonly offer: string;
  /** Bun's answer to {@link offer}. */
  readonly answer: string;
}

/** The compression that both Bun and the client support; `undefined` if none. */
const negotiate = (upgradeRequest: UpgradeRequest, { compress }: ResolvedOptions): Agreement | undefined => {
  if (compress === undefined) return undefined;
  const offers = parseExtensions(upgradeRequest.header("sec-websocket-extensions")) ?? [];
  const possible = offers.filter(({ parameters }) =>
    parameters.every(([name, value]) => name !== "server_max_window_bits" || value === String(WINDOW.bits)),
  );
  const agreed = negotiateDeflate(possible, { ...compress, serverMaxWindowBits: WINDOW.bits });
  if (agreed === undefined) return undefined;
  const window = agreed.answer.includes(WINDOW.parameter) ? [WINDOW.parameter] : [];
  return {
    offer: [PERMESSAGE_DEFLATE, ...window].join("; "),
    answer: [PERMESSAGE_DEFLATE, NO_CONTEXT_TAKEOVER, ...window].join("; "),
  };
};
