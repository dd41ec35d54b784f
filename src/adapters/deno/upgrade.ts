/** One upgrade request of `Deno.serve`. */
import type { ResolvedOptions, UpgradeRequest } from "../../options.ts";
import { CLOSE } from "../../protocol/close.ts";
import type { AsyncContext } from "../../session/async-context.ts";
import { FetchUpgrade } from "../fetch/upgrade.ts";
import type { HostOptions } from "../shared/attachment.ts";
import { connectionFacts, type Decision } from "../shared/decision.ts";
import { Host } from "../shared/host.ts";
import { nodeByteOps } from "../shared/node-byte-ops.ts";
import { nodeDiagnostics } from "../shared/node-diagnostics.ts";
import { capabilities } from "./capabilities.ts";
import { connectionsOf } from "./serve.ts";
import { DenoTransport } from "./transport.ts";
import type { DenoServeInfo, DenoUpgradeWebSocket } from "./types.ts";

export class DenoHost extends Host {
  constructor(options: HostOptions = {}) {
    super(capabilities, nodeByteOps, nodeDiagnostics, options);
  }
}

declare const Deno: { readonly upgradeWebSocket: DenoUpgradeWebSocket };

/**
 * Calls `upgradeWebSocket` in the connection's context, in which Deno then emits all events: entering it each time
 * would take 700 ns.
 */
const upgradeIn = (
  asyncContext: AsyncContext | undefined,
  request: Request,
  idleTimeout: number,
): ReturnType<DenoUpgradeWebSocket> => {
  let upgraded!: ReturnType<DenoUpgradeWebSocket>;
  asyncContext!.run(() => {
    upgraded = Deno.upgradeWebSocket(request, { idleTimeout });
  }, undefined);
  return upgraded;
};

export class DenoUpgrade extends FetchUpgrade {
  private readonly info: DenoServeInfo | undefined;

  constructor(host: Host, request: Request, info: DenoServeInfo | undefined) {
    super(host, request);
    this.info = info;
  }

  protected perform(decision: Decision, upgradeRequest: UpgradeRequest, headers: Headers): Response {
    const { host, request } = this;
    const { callbacks, arg, options, subprotocol, asyncContext } = decision;
    // Must be read before the upgrade, after which Deno allows no access to the request.
    const { hostname: remoteAddress, port: remotePort } = this.info?.remoteAddr ?? {};
    const facts = connectionFacts(upgradeRequest, { remoteAddress, remotePort }, subprotocol, undefined);
    const served = connectionsOf(request);
    // The option `protocol` is not used: Deno 2.9 takes an offer without spaces (`a,b`) for a single subprotocol.
    const { socket, response } = upgradeIn(asyncContext, request, idleTimeoutOf(options));
    for (const [name, value] of headers) response.headers.append(name, value);
    if (subprotocol !== undefined) response.headers.set("sec-websocket-protocol", subprotocol);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      if (host.group.closing) {
        socket.close(CLOSE.goingAway);
        return;
      }
      const transport = new DenoTransport(socket, options, (what) => host.warnOnce(what), served);
      const session = host.newSession(callbacks, transport, facts, options, asyncContext);
      session.assumeContext(session.start, session, arg);
    };
    return response;
  }
}

/** The longest delay of a timer. Deno fires a timer with a longer delay, or `Infinity`, immediately. */
const MAX_DELAY = 2 ** 31 - 1;

/**
 * Converts `timeout` to Deno's `idleTimeout`, in seconds; 0 disables it. Deno sends a ping after half of it without
 * receiving anything, and closes the connection after the other half. Its timers truncate fractions of a millisecond,
 * so one is added to each half: the connection must not be closed early.
 */
export const idleTimeoutOf = ({ timeout }: Pick<ResolvedOptions, "timeout">): number => {
  const half = Math.ceil(timeout / 2) + 1;
  return half > MAX_DELAY ? 0 : (2 * half) / 1000;
};
