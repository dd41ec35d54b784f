/** A request that nobody can upgrade: `upgrade` says why. */
import { UpgradeError } from "../../errors.ts";
import type { Route } from "../../frameworks/routes.ts";
import type { WebSockOptions } from "../../options.ts";
import type { Callbacks } from "../../session/handler.ts";
import type { Upgradable } from "../../upgrade.ts";
import { findRefusal } from "../shared/decision.ts";
import { throwOrForward } from "./escape.ts";
import type { NodeHost } from "./host.ts";
import { type NodeRequest, upgradeRequestOf } from "./requests.ts";
import {
  answerInsteadOfSrvx,
  type HeaderValues,
  mergeHeaders,
  type NodeResponse,
  type Replacement,
  ResponseGate,
  respondWithError,
  writeRefusal,
} from "./response.ts";

export class OrdinaryRequest implements Upgradable {
  private readonly host: NodeHost;
  private readonly request: NodeRequest;
  private readonly response: NodeResponse;

  constructor(host: NodeHost, request: NodeRequest, response: NodeResponse) {
    this.host = host;
    this.request = request;
    this.response = response;
  }

  upgrade(
    conn: object,
    { name }: Callbacks,
    _arg: unknown,
    options: WebSockOptions | undefined,
    route: Route,
  ): unknown {
    const { host, request, response } = this;
    const resolved = host.resolve(options);
    const facts = upgradeRequestOf(request);
    const refusal = findRefusal(host, facts, resolved) ?? ordinary();
    // Express takes the mount path of a router off the url.
    const { originalUrl = facts.url } = request as { readonly originalUrl?: string };
    host.refusals.add(refusal, request, { ...facts, url: originalUrl }, name);
    if (resolved.earlyValidateUpgrade) {
      answerInsteadOfSrvx(conn, refusal);
      if (throwOrForward(refusal, request, response)) return route.result();
    }
    if (response.headersSent) return route.result();
    // Fastify sends nothing where a route returns nothing, and nothing more for a response that has ended.
    if (route.deferred && !route.isFastify) this.awaitFramework(refusal, route);
    else respondWithError(refusal, response);
    return route.result();
  }

  /** What the framework writes becomes the refusal. */
  private awaitFramework(refusal: UpgradeError, route: Route): void {
    const { response } = this;
    const gate = new ResponseGate(response);
    // Koa has said 404 already.
    response.statusCode = 200;
    gate.replace(new Refused(gate, response, refusal, route));
  }
}

class Refused implements Replacement {
  private readonly gate: ResponseGate;
  private readonly response: NodeResponse;
  private readonly refusal: UpgradeError;
  private readonly route: Route;
  private body: string | undefined = undefined;

  constructor(gate: ResponseGate, response: NodeResponse, refusal: UpgradeError, route: Route) {
    this.gate = gate;
    this.response = response;
    this.refusal = refusal;
    this.route = route;
  }

  onHead(status: number, headers: HeaderValues): boolean {
    if (this.route.failed() || status > 299) return false;
    mergeHeaders(this.response, headers);
    this.body = writeRefusal(this.refusal, this.response, this.gate);
    return true;
  }

  onEnd(callback: (() => void) | undefined): void {
    this.gate.base.end(this.body, callback);
  }
}

/** A sound request that is none of ours: the option `only` says so. */
const ordinary = (): UpgradeError =>
  new UpgradeError(426, "this server serves this request as an ordinary one: it can't be upgraded", {
    upgrade: "websocket",
    connection: "Upgrade",
  });
