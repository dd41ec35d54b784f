/** One upgrade request of `Deno.serve`. */
import type { UpgradeRequest, WebSockOptions } from "../options.ts";
import { CLOSE } from "../protocol/close.ts";
import type { Route } from "../route.ts";
import type { Callbacks } from "../session/handler.ts";
import { markUpgradable, type Upgradable } from "../upgrade.ts";
import { capabilities, DenoTransport } from "./deno-transport.ts";
import type { DenoServeInfo, DenoUpgradeWebSocket } from "./deno-types.ts";
import { type Decision, FetchUpgrade } from "./fetch-upgrade.ts";
import { Host, type HostOptions } from "./host.ts";
import { publishError } from "./node-diagnostics.ts";
import { nodeOctets } from "./node-octets.ts";
import { reporter } from "./reporting.ts";

export class DenoHost extends Host {
  constructor(options: HostOptions = {}) {
    super(capabilities, nodeOctets, reporter(options.onError, publishError), options);
  }
}

declare const Deno: { readonly upgradeWebSocket: DenoUpgradeWebSocket };

export class DenoUpgrade extends FetchUpgrade {
  private readonly info: DenoServeInfo | undefined;

  constructor(host: Host, request: Request, info: DenoServeInfo | undefined) {
    super(host, request);
    this.info = info;
  }

  protected perform(decision: Decision, _facts: UpgradeRequest, headers: Headers): Response {
    const { host, request } = this;
    const { callbacks, arg, options, subprotocol } = decision;
    // Read before: of a request that is upgraded, nothing can be.
    const { hostname, port } = this.info?.remoteAddr ?? {};
    // Not with its option `protocol`, which takes an offer without spaces for one protocol.
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    for (const [name, value] of headers) response.headers.append(name, value);
    if (subprotocol !== undefined) response.headers.set("sec-websocket-protocol", subprotocol);
    const facts = {
      remoteAddress: hostname,
      remotePort: port,
      httpVersion: "1.1",
      method: "GET",
      subprotocol,
      compression: undefined,
      closeCode: undefined,
      closeText: undefined,
    };
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      if (host.group.closing) {
        socket.close(CLOSE.goingAway);
        return;
      }
      const transport = new DenoTransport(socket, options, (what) => host.tell(what));
      const session = host.newSession(callbacks, transport, facts, options);
      transport.open(session);
      session.start(arg);
    };
    return response;
  }

  /** For a request that came in without us: nobody will tell what the app answers. */
  performNow(callbacks: Callbacks, arg: unknown, options: WebSockOptions | undefined, route: Route): Response {
    this.decide(callbacks, arg, options, route);
    return this.answer(new Response(null))!;
  }
}

/** Upgrades requests that no `attach` has brought in: Deno needs none. */
export class DenoUnmarked implements Upgradable {
  private readonly host: DenoHost;

  constructor(host: DenoHost) {
    this.host = host;
  }

  upgrade(
    conn: object,
    callbacks: Callbacks,
    arg: unknown,
    options: WebSockOptions | undefined,
    route: Route,
  ): Response {
    const request = route.request as Request;
    // Where Hono keeps what Deno tells of a request.
    const upgrade = new DenoUpgrade(this.host, request, (conn as { readonly env?: DenoServeInfo }).env);
    markUpgradable(request, upgrade);
    return upgrade.performNow(callbacks, arg, options, route);
  }
}
