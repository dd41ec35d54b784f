/** One upgrade request on a fetch-style server: `upgrade` decides, and the app's response triggers the upgrade. */
import { codedError } from "../../error-codes.ts";
import { UpgradeError } from "../../errors.ts";
import type { Route } from "../../frameworks/route.ts";
import type { UpgradeRequest, WebSockOptions } from "../../options.ts";
import type { Callbacks } from "../../session/handler.ts";
import { markUpgradable, type Upgradable } from "../../upgrade.ts";
import { type Decision, decide, shutdownRefusal } from "../shared/decision.ts";
import type { Host } from "../shared/host.ts";
import { answerHeaders, upgradeRequestOf } from "./request.ts";

export abstract class FetchUpgrade<Server extends Host = Host> implements Upgradable {
  protected readonly host: Server;
  protected readonly request: Request;
  private decision: Decision | undefined = undefined;
  private answered = false;

  constructor(host: Server, request: Request) {
    this.host = host;
    this.request = request;
  }

  /**
   * Upgrades the connection, with these headers in the answer. Returns what the host expects from its fetch handler.
   */
  protected abstract perform(
    decision: Decision,
    upgradeRequest: UpgradeRequest,
    headers: Headers,
  ): Response | undefined;

  upgrade(
    _conn: object,
    callbacks: Callbacks,
    arg: unknown,
    options: WebSockOptions | undefined,
    route: Route,
  ): unknown {
    this.decide(callbacks, arg, options, route);
    return route.result();
  }

  private decide(callbacks: Callbacks, arg: unknown, options: WebSockOptions | undefined, route: Route): void {
    if (this.decision !== undefined)
      throw codedError("WEBSOCK_ALREADY_ANSWERED", "this request has already been upgraded");
    if (this.answered) throw codedError("WEBSOCK_ALREADY_ANSWERED", "this request has already been answered");
    const decision = decide(this.host, upgradeRequestOf(this.request), callbacks, arg, options, route);
    if (decision.refusal !== undefined && decision.options.earlyValidateUpgrade) {
      this.recordRefusal(decision.refusal, callbacks);
      throw decision.refusal;
    }
    this.decision = decision;
  }

  /** Upgrades immediately, for a request that came in without `attach`: the app's response would not be seen. */
  upgradeNow(callbacks: Callbacks, arg: unknown, options: WebSockOptions | undefined, route: Route): Response {
    this.decide(callbacks, arg, options, route);
    return this.respond(new Response(null))!;
  }

  /** Handles the app's response: it may still cancel the upgrade. */
  respond(response: Response): Response | undefined {
    const { decision } = this;
    this.answered = true;
    if (decision === undefined || !(response instanceof Response)) return response;
    // A route that throws after `upgrade` cancels it, and so does a response with an error status.
    if (decision.route.failed() || response.status > 299) return response;
    const headers = answerHeaders(response, decision.options.headers);
    void response.body?.cancel().catch(() => undefined);
    const refusal = decision.refusal ?? shutdownRefusal(this.host);
    if (refusal !== undefined) {
      this.recordRefusal(refusal, decision.callbacks);
      return refused(refusal, headers);
    }
    return this.perform(decision, upgradeRequestOf(this.request), headers);
  }

  private recordRefusal(refusal: UpgradeError, { name }: Callbacks): void {
    this.host.refusals.add(refusal, this.request, upgradeRequestOf(this.request), name);
  }
}

/** The error's response, together with the headers that middleware has set. */
const refused = (error: UpgradeError, headers: Headers): Response => {
  const response = error.getResponse();
  for (const [name, value] of headers) if (!response.headers.has(name)) response.headers.append(name, value);
  return response;
};

type Handle<Args extends unknown[]> = (request: Request, ...more: Args) => unknown;

/**
 * Wraps a fetch handler so that each request can be upgraded, and an `UpgradeError` that it throws is answered. All
 * other results and errors are passed through.
 */
export const guardFetch = <Args extends unknown[]>(
  handle: Handle<Args>,
  upgradeOf: (request: Request, ...more: Args) => FetchUpgrade,
): Handle<Args> =>
  // A `function`, because a handler may be a method of the server's options.
  function (this: unknown, request, ...more) {
    const upgrade = upgradeOf(request, ...more);
    markUpgradable(request, upgrade);
    let result: unknown;
    try {
      result = handle.call(this, request, ...more);
    } catch (error) {
      return responseTo(error);
    }
    return result instanceof Promise
      ? result.then((response: Response) => upgrade.respond(response), responseTo)
      : upgrade.respond(result as Response);
  };

const responseTo = (error: unknown): Response => {
  if (error instanceof UpgradeError) return error.getResponse();
  throw error;
};

/** Upgrades requests that came in without `attach`, on hosts that need none. */
export const upgradesWithoutAttach = (upgradeOf: (request: Request, conn: object) => FetchUpgrade): Upgradable => ({
  upgrade: (conn, callbacks, arg, options, route) => {
    const request = route.request as Request;
    const upgrade = upgradeOf(request, conn);
    markUpgradable(request, upgrade);
    return upgrade.upgradeNow(callbacks, arg, options, route);
  },
});
