/**
 * One request of a fetch-style server, from the app's first look at it to the answer: `upgrade` decides, and when the app
 * has returned its response, the server performs, with that response's headers.
 */
import { UpgradeError } from "../../errors.ts";
import type { Route } from "../../frameworks/routes.ts";
import type { UpgradeRequest, WebSockOptions } from "../../options.ts";
import type { Callbacks } from "../../session/handler.ts";
import { markUpgradable, type Upgradable } from "../../upgrade.ts";
import { type Decision, decide, shuttingDown } from "../shared/decision.ts";
import type { Host } from "../shared/host.ts";
import { answerHeaders, factsOfRequest } from "./request.ts";

export abstract class FetchUpgrade<Server extends Host = Host> implements Upgradable {
  protected readonly host: Server;
  protected readonly request: Request;
  private decision: Decision | undefined = undefined;
  private answered = false;

  constructor(host: Server, request: Request) {
    this.host = host;
    this.request = request;
  }

  /** Has the host answer with these headers. What it returns is what its server wants to be returned. */
  protected abstract perform(decision: Decision, facts: UpgradeRequest, headers: Headers): Response | undefined;

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
    if (this.decision !== undefined) throw new Error("this request has already been upgraded");
    if (this.answered) throw new Error("this request has already been answered");
    const decision = decide(this.host, factsOfRequest(this.request), callbacks, arg, options, route);
    if (decision.refusal !== undefined && decision.options.earlyValidateUpgrade) {
      this.note(decision.refusal, callbacks);
      throw decision.refusal;
    }
    this.decision = decision;
  }

  /** For a request that came in without us: nobody will tell what the app answers. */
  performNow(callbacks: Callbacks, arg: unknown, options: WebSockOptions | undefined, route: Route): Response {
    this.decide(callbacks, arg, options, route);
    return this.answer(new Response(null))!;
  }

  /** The app has returned its response, which decides whether there is an upgrade after all. */
  answer(response: Response): Response | undefined {
    const { decision } = this;
    this.answered = true;
    if (decision === undefined || !(response instanceof Response)) return response;
    // A route that throws after all cancels the upgrade, and so does who makes something else of the response.
    if (decision.route.failed() || response.status > 299) return response;
    const headers = answerHeaders(response, decision.options.headers);
    void response.body?.cancel().catch(() => undefined);
    const refusal = decision.refusal ?? shuttingDown(this.host);
    if (refusal !== undefined) {
      this.note(refusal, decision.callbacks);
      return refused(refusal, headers);
    }
    return this.perform(decision, factsOfRequest(this.request), headers);
  }

  private note(refusal: UpgradeError, { name }: Callbacks): void {
    this.host.refusals.add(refusal, this.request, factsOfRequest(this.request), name);
  }
}

/** The error's response, with the headers that middleware has set. */
const refused = (error: UpgradeError, headers: Headers): Response => {
  const response = error.getResponse();
  for (const [name, value] of headers) if (!response.headers.has(name)) response.headers.append(name, value);
  return response;
};

type Handle<Args extends unknown[]> = (request: Request, ...more: Args) => unknown;

/**
 * Lets every request of a fetch handler be upgraded, and answers an `UpgradeError` that it throws. Whatever else it
 * returns or throws stays what it is.
 */
export const guardFetch = <Args extends unknown[]>(
  handle: Handle<Args>,
  upgradeOf: (request: Request, ...more: Args) => FetchUpgrade,
): Handle<Args> =>
  // A function, because a handler may be a method of the server's options.
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
      ? result.then((response: Response) => upgrade.answer(response), responseTo)
      : upgrade.answer(result as Response);
  };

const responseTo = (error: unknown): Response => {
  if (error instanceof UpgradeError) return error.getResponse();
  throw error;
};

/** Upgrades requests that no `attach` has brought in, on hosts that need none. */
export const unmarked = (upgradeOf: (request: Request, conn: object) => FetchUpgrade): Upgradable => ({
  upgrade: (conn, callbacks, arg, options, route) => {
    const request = route.request as Request;
    const upgrade = upgradeOf(request, conn);
    markUpgradable(request, upgrade);
    return upgrade.performNow(callbacks, arg, options, route);
  },
});
