/** A request that cannot be upgraded: `upgrade` refuses it with the reason. */
import { UpgradeError } from "../../errors.ts";
import { originalUrlOf } from "../../frameworks/express.ts";
import type { Route } from "../../frameworks/route.ts";
import { replaceErrorResponse } from "../../frameworks/srvx.ts";
import type { WebSockOptions } from "../../options.ts";
import type { Callbacks } from "../../session/handler.ts";
import type { Upgradable } from "../../upgrade.ts";
import { findRefusal } from "../shared/decision.ts";
import { throwOrForward } from "./escape.ts";
import type { NodeHost } from "./host.ts";
import { upgradeRequestOf } from "./requests.ts";
import { type HeaderValues, mergeHeaders, type Replacement, ResponseGate, respondWithError } from "./response.ts";
import type { NodeRequest, NodeResponse } from "./types.ts";

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
    const upgradeRequest = upgradeRequestOf(request);
    const refusal = findRefusal(host, upgradeRequest, resolved) ?? notUpgradable();
    host.refusals.add(refusal, request, { ...upgradeRequest, url: originalUrlOf(request) }, name);
    if (resolved.earlyValidateUpgrade) {
      replaceErrorResponse(conn, (replaced) => respondWithError(refusal, replaced));
      if (throwOrForward(refusal, request, response)) return route.result();
    }
    if (response.headersSent) return route.result();
    if (route.deferred && route.alwaysResponds) this.awaitFramework(refusal, route);
    else respondWithError(refusal, response);
    return route.result();
  }

  /** Replaces the framework's response by the refusal. */
  private awaitFramework(refusal: UpgradeError, route: Route): void {
    const { response } = this;
    const gate = ResponseGate.of(response);
    // The framework may have set another one before the route, see `Route.deferred`.
    response.statusCode = 200;
    gate.replace(new RefusedResponse(gate, response, refusal, route));
  }
}

class RefusedResponse implements Replacement {
  private readonly gate: ResponseGate;
  private readonly response: NodeResponse;
  private readonly refusal: UpgradeError;
  private readonly route: Route;

  constructor(gate: ResponseGate, response: NodeResponse, refusal: UpgradeError, route: Route) {
    this.gate = gate;
    this.response = response;
    this.refusal = refusal;
    this.route = route;
  }

  onHead(status: number, headers: HeaderValues): boolean {
    if (this.route.failed() || status > 299) return false;
    mergeHeaders(this.response, headers);
    this.gate.refuse(this.refusal);
    return true;
  }
}

/** For a valid upgrade request that the option `only` leaves to others. */
const notUpgradable = (): UpgradeError =>
  new UpgradeError(426, "this request cannot be upgraded: the server handles it as an ordinary HTTP request", {
    upgrade: "websocket",
    connection: "Upgrade",
  });
