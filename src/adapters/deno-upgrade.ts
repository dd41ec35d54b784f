/** One upgrade request of `Deno.serve`. */
import type { UpgradeRequest } from "../options.ts";
import { CLOSE } from "../protocol/close.ts";
import type { AsyncContext } from "../session/async-context.ts";
import { connectionFacts, type Decision } from "./decision.ts";
import { capabilities, DenoTransport } from "./deno-transport.ts";
import type { DenoServeInfo, DenoUpgradeWebSocket } from "./deno-types.ts";
import { FetchUpgrade } from "./fetch-upgrade.ts";
import { Host, type HostOptions } from "./host.ts";
import { nodeDiagnostics } from "./node-diagnostics.ts";
import { nodeOctets } from "./node-octets.ts";

export class DenoHost extends Host {
  constructor(options: HostOptions = {}) {
    super(capabilities, nodeOctets, nodeDiagnostics, options);
  }
}

declare const Deno: { readonly upgradeWebSocket: DenoUpgradeWebSocket };

/** Deno then fires all events of the socket in that context: entering it for each one would take 700 ns. */
const upgradeIn = (asyncContext: AsyncContext | undefined, request: Request): ReturnType<DenoUpgradeWebSocket> => {
  let upgraded!: ReturnType<DenoUpgradeWebSocket>;
  asyncContext!.run(() => {
    upgraded = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  }, undefined);
  return upgraded;
};

export class DenoUpgrade extends FetchUpgrade {
  private readonly info: DenoServeInfo | undefined;

  constructor(host: Host, request: Request, info: DenoServeInfo | undefined) {
    super(host, request);
    this.info = info;
  }

  protected perform(decision: Decision, facts: UpgradeRequest, headers: Headers): Response {
    const { host, request } = this;
    const { callbacks, arg, options, subprotocol, asyncContext } = decision;
    // Read before: of a request that is upgraded, nothing can be.
    const { hostname: remoteAddress, port: remotePort } = this.info?.remoteAddr ?? {};
    const connection = connectionFacts(facts, { remoteAddress, remotePort }, subprotocol, undefined);
    // Not with its option `protocol`, which takes an offer without spaces for one protocol.
    const { socket, response } = upgradeIn(asyncContext, request);
    for (const [name, value] of headers) response.headers.append(name, value);
    if (subprotocol !== undefined) response.headers.set("sec-websocket-protocol", subprotocol);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      if (host.group.closing) {
        socket.close(CLOSE.goingAway);
        return;
      }
      const transport = new DenoTransport(socket, options, (what) => host.tell(what));
      const session = host.newSession(callbacks, transport, connection, options, asyncContext);
      transport.open(session);
      session.inherit(session.start, session, arg);
    };
    return response;
  }
}
