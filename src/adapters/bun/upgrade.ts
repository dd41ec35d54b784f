/** One upgrade request of `Bun.serve`. */
import type { ResolvedOptions, UpgradeRequest } from "../../options.ts";
import { negotiateDeflate, PERMESSAGE_DEFLATE } from "../../protocol/deflate/negotiation.ts";
import { parseExtensions } from "../../protocol/http/extensions.ts";
import { FetchUpgrade } from "../fetch/upgrade.ts";
import { connectionFacts, type Decision } from "../shared/decision.ts";
import { Host, type HostOptions } from "../shared/host.ts";
import { nodeOctets } from "../shared/node-byte-ops.ts";
import { nodeDiagnostics } from "../shared/node-diagnostics.ts";
import { BunTransport, capabilities } from "./transport.ts";
import type { BunServer } from "./types.ts";

export class BunHost extends Host {
  constructor(options: HostOptions) {
    super(capabilities, nodeOctets, nodeDiagnostics, options);
  }
}

export class BunUpgrade extends FetchUpgrade<BunHost> {
  private readonly server: BunServer;

  constructor(host: BunHost, request: Request, server: BunServer) {
    super(host, request);
    this.server = server;
  }

  protected perform(decision: Decision, facts: UpgradeRequest, headers: Headers): Response | undefined {
    const { host, request, server } = this;
    const { callbacks, arg, options, subprotocol, asyncContext } = decision;
    this.limitSize(options);
    const agreed = agreeOnDeflate(facts, options);
    if (agreed !== undefined) request.headers.set("sec-websocket-extensions", agreed.offer);
    else request.headers.delete("sec-websocket-extensions");
    // Without a word of ours, Bun would take the first subprotocol that is offered.
    headers.set("sec-websocket-protocol", subprotocol ?? "");
    const address = server.requestIP(request);
    const peer = { remoteAddress: address?.address, remotePort: address?.port };
    const connection = connectionFacts(facts, peer, subprotocol, agreed?.answer);
    const data = new BunTransport(server, options, agreed !== undefined, (transport) => {
      const session = host.newSession(callbacks, transport, connection, options, asyncContext);
      transport.open(session);
      session.start(arg);
    });
    // `false`: the client has gone.
    return server.upgrade(request, { headers, data }) ? undefined : new Response(null, { status: 400 });
  }

  /** Bun judges sizes by one limit for all connections. */
  private limitSize({ maxMessageSize }: ResolvedOptions): void {
    const { host } = this;
    if (maxMessageSize <= host.defaults.maxMessageSize) return;
    host.tell(
      `on ${host.capabilities.host}, the option "maxMessageSize" cannot be larger than in the defaults of attach()`,
    );
  }
}

/** What Bun always asks of the client and of itself: it compresses each message on its own. */
const NO_CONTEXT_TAKEOVER = "client_no_context_takeover; server_no_context_takeover";

/** The one window that Bun compresses with. It confirms it if asked (RFC 7692 §7.1.2.1), and declines every smaller one. */
const WINDOW = { bits: 15, parameter: "server_max_window_bits=15" } as const;

interface Agreement {
  /** The offer that Bun is given instead of the client's: it negotiates what the request says. */
  readonly offer: string;
  /** What Bun answers it with. */
  readonly answer: string;
}

/** What Bun and the client agree on; `undefined`: no compression. */
const agreeOnDeflate = (facts: UpgradeRequest, { compress }: ResolvedOptions): Agreement | undefined => {
  if (compress === undefined) return undefined;
  const offers = parseExtensions(facts.header("sec-websocket-extensions")) ?? [];
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
