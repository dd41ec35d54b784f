/** A request that nobody can upgrade: `upgrade` says why. */
import { UpgradeError } from "../../errors.ts";
import type { Route } from "../../frameworks/routes.ts";
import type { WebSockOptions } from "../../options.ts";
import type { Callbacks } from "../../session/handler.ts";
import type { Upgradable } from "../../upgrade.ts";
import { judge } from "../shared/decision.ts";
import type { NodeAdapter } from "./adapter.ts";
import { passRefusalOn } from "./escape.ts";
import { factsOf, type NodeRequest } from "./requests.ts";
import {
  answerInsteadOfSrvx,
  answerUpgradeError,
  type HeaderValues,
  type NodeResponse,
  type Replacement,
  ResponseGate,
  settleHeaders,
  writeRefusal,
} from "./response.ts";

export class OrdinaryRequest implements Upgradable {
  private readonly adapter: NodeAdapter;
  private readonly request: NodeRequest;
  private readonly response: NodeResponse;

  constructor(adapter: NodeAdapter, request: NodeRequest, response: NodeResponse) {
    this.adapter = adapter;
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
    const { adapter, request, response } = this;
    const resolved = adapter.resolve(options);
    const facts = factsOf(request);
    const refusal = judge(adapter, facts, resolved) ?? ordinary();
    // Express takes the mount path of a router off the url.
    const { originalUrl = facts.url } = request as { readonly originalUrl?: string };
    adapter.refusals.add(refusal, request, { ...facts, url: originalUrl }, name);
    if (resolved.earlyValidateUpgrade) {
      answerInsteadOfSrvx(conn, refusal);
      if (passRefusalOn(refusal, request, response)) return route.result();
    }
    if (response.headersSent) return route.result();
    // Fastify sends nothing where a route returns nothing, and nothing more for a response that has ended.
    if (route.deferred && !route.isFastify) this.awaitFramework(refusal, route);
    else answerUpgradeError(refusal, response);
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
    settleHeaders(this.response, headers);
    this.body = writeRefusal(this.refusal, this.response, this.gate);
    return true;
  }

  onEnd(callback: (() => void) | undefined): void {
    this.gate.base.end(this.body, callback);
  }
}

/** A sound request that is none of ours: the option `only` says so. */
const ordinary = (): UpgradeError =>
  new UpgradeError(426, "this request cannot be upgraded: the server handles it as an ordinary HTTP request", {
    upgrade: "websocket",
    connection: "Upgrade",
  });
