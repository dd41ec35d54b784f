/** One upgrade request of `Bun.serve`. */
import type { ResolvedOptions, UpgradeRequest } from "../options.ts";
import { parseExtensions } from "../protocol/extensions.ts";
import { negotiateDeflate, PERMESSAGE_DEFLATE } from "../protocol/permessage-deflate.ts";
import { BunTransport, capabilities } from "./bun-transport.ts";
import type { BunServer } from "./bun-types.ts";
import { connectionFacts, type Decision } from "./decision.ts";
import { FetchUpgrade } from "./fetch-upgrade.ts";
import { Host, type HostOptions } from "./host.ts";
import { nodeDiagnostics } from "./node-diagnostics.ts";
import { nodeOctets } from "./node-octets.ts";

/** What Bun agrees on, whatever it is offered. */
const BUN_DEFLATE = "permessage-deflate; client_no_context_takeover; server_no_context_takeover";

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
    const compressed = agreesOnDeflate(facts, options);
    // Bun negotiates what the request offers: that is all we can say about it.
    if (compressed) request.headers.set("sec-websocket-extensions", PERMESSAGE_DEFLATE);
    else request.headers.delete("sec-websocket-extensions");
    // Without a word of ours, Bun would take the first subprotocol that is offered.
    headers.set("sec-websocket-protocol", subprotocol ?? "");
    const address = server.requestIP(request);
    const peer = { remoteAddress: address?.address, remotePort: address?.port };
    const connection = connectionFacts(facts, peer, subprotocol, compressed ? BUN_DEFLATE : undefined);
    const data = new BunTransport(options, compressed, (transport) => {
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
    host.tell(`on ${host.capabilities.host}, maxMessageSize can't be larger than in the defaults of attach`);
  }
}

/** Bun declines an offer that limits its window; with any other it compresses each message on its own. */
const agreesOnDeflate = (facts: UpgradeRequest, { compress }: ResolvedOptions): boolean => {
  if (compress === undefined) return false;
  const offers = parseExtensions(facts.header("sec-websocket-extensions")) ?? [];
  const possible = offers.filter(({ parameters }) => parameters.every(([name]) => name !== "server_max_window_bits"));
  return negotiateDeflate(possible, compress) !== undefined;
};
