/** One upgrade request on Node: the steps that HTTP/1.1 and HTTP/2 share. */

import { hash } from "node:crypto";
import { codedError } from "../../error-codes.ts";
import type { UpgradeError } from "../../errors.ts";
import type { Route } from "../../frameworks/route.ts";
import { replaceErrorResponse } from "../../frameworks/srvx.ts";
import { markUpgradable, type Upgradable } from "../../marks.ts";
import type { UpgradeRequest, WebSockOptions } from "../../options.ts";
import { Connection } from "../../protocol/connection.ts";
import { acceptFor } from "../../protocol/http/handshake.ts";
import type { Callbacks } from "../../session/handler.ts";
import { selectCompression } from "../../upgrade-validation.ts";
import { connectionFacts, type Decision, decide, shutdownRefusal } from "../shared/decision.ts";
import { nodeByteOps } from "../shared/node-byte-ops.ts";
import { compressionOf } from "./compression.ts";
import { throwOrForward } from "./escape.ts";
import type { NodeHost } from "./host.ts";
import { upgradeRequestOf } from "./requests.ts";
import {
  addHeader,
  type HeaderValues,
  mergeHeaders,
  type Replacement,
  ResponseGate,
  respondWithError,
} from "./response.ts";
import type { NodeStream } from "./stream.ts";
import type { NodeRequest, NodeResponse } from "./types.ts";

export abstract class NodeUpgrade implements Upgradable, Replacement {
  readonly isUpgradeRequest = true;
  protected readonly host: NodeHost;
  protected readonly request: NodeRequest;
  protected readonly response: NodeResponse;
  protected readonly upgradeRequest: UpgradeRequest;
  protected readonly gate: ResponseGate;
  protected clientDisconnected = false;
  protected upgraded = false;
  private decision: Decision | undefined = undefined;

  constructor(host: NodeHost, request: NodeRequest, response: NodeResponse) {
    this.host = host;
    this.request = request;
    this.response = response;
    this.upgradeRequest = upgradeRequestOf(request);
    this.gate = ResponseGate.of(response);
  }

  /** The status of the answer that accepts the upgrade. */
  protected abstract readonly status: 101 | 200;
  /** The headers of that answer, except for the subprotocol and extensions. */
  protected abstract handshakeHeaders(): Record<string, string>;
  /** Takes the byte stream over from HTTP. */
  protected abstract takeStream(): NodeStream;
  /** Sends the head of the answer. From then on, the connection owns the stream. */
  protected abstract sendHead(headers: Readonly<Record<string, string>>): void;
  /** Ends the response without ending the stream. */
  protected abstract endResponse(callback: (() => void) | undefined): void;
  /** Called when the session has started. */
  protected abstract onSessionStarted(connection: Connection): void;
  /** Closes the stream of a client that has disconnected. */
  protected abstract abort(): void;

  /** Passes the request to the app, or refuses it. */
  protected dispatch(refusal: UpgradeError | undefined): void {
    const { host, request, response } = this;
    const reason = shutdownRefusal(this.host) ?? refusal;
    if (reason !== undefined) {
      this.recordRefusal(reason, undefined);
      respondWithError(reason, response);
      return;
    }
    markUpgradable(request, this);
    host.server.emit("request", request, response);
  }

  upgrade(
    conn: object,
    callbacks: Callbacks,
    arg: unknown,
    options: WebSockOptions | undefined,
    route: Route,
  ): unknown {
    const { response } = this;
    if (this.decision !== undefined)
      throw codedError("WEBSOCK_ALREADY_ANSWERED", "this request has already been upgraded");
    if (response.headersSent)
      throw codedError(
        "WEBSOCK_ALREADY_ANSWERED",
        "this request has already been answered: its response headers were sent",
      );
    const decision = decide(this.host, this.upgradeRequest, callbacks, arg, options, route);
    const { refusal } = decision;
    if (refusal !== undefined && decision.options.earlyValidateUpgrade) {
      this.recordRefusal(refusal, callbacks);
      replaceErrorResponse(conn, (replaced) => respondWithError(refusal, replaced));
      if (throwOrForward(refusal, this.request, response)) return route.result();
    }
    this.decision = decision;
    if (route.deferred) this.awaitFramework(route);
    else if (refusal !== undefined) {
      this.recordRefusal(refusal, callbacks);
      respondWithError(refusal, response);
    } else if (this.clientDisconnected) this.abort();
    else this.answerNow();
    return route.result();
  }

  private recordRefusal(refusal: UpgradeError, callbacks: Callbacks | undefined): void {
    this.host.refusals.add(refusal, this.request, this.upgradeRequest, callbacks?.name);
  }

  private awaitFramework(route: Route): void {
    // The framework may have set another one before the route, see `Route.deferred`.
    this.response.statusCode = this.status;
    this.gate.replace(this);
    const warning = route.decided(() => this.answerNow());
    if (warning !== undefined) this.warnUnlessAnswered(warning);
  }

  private warnUnlessAnswered(warning: string): void {
    const { clock, defaults } = this.host;
    const tick = (): void => {
      if (!this.clientDisconnected && !this.response.headersSent) this.host.warnOnce(warning);
    };
    clock.schedule({ slot: 0, tick }, clock.now() + defaults.closeTimeout);
  }

  private answerNow(): void {
    // The application may have sent a response itself after calling `upgrade`.
    if (this.response.headersSent) return;
    this.gate.replace(this);
    this.response.writeHead(this.status);
    this.response.end();
  }

  /** Called for the framework's response, or for our own. */
  onHead(status: number, headers: HeaderValues): boolean {
    const { callbacks, options, refusal, route } = this.decision!;
    // A route that throws after `upgrade` cancels it, and so does a response with another status.
    if (route.failed() || !(status === 101 || (status >= 200 && status < 300))) return false;
    if (this.clientDisconnected) {
      this.abort();
      return false;
    }
    mergeHeaders(this.response, headers);
    const reason = refusal ?? shutdownRefusal(this.host);
    if (reason !== undefined) {
      this.recordRefusal(reason, callbacks);
      this.gate.refuse(reason);
      return true;
    }
    for (const name of Object.keys(options.headers)) addHeader(this.response, name, options.headers[name]!);
    this.perform(this.decision!);
    return true;
  }

  onEnd(callback: (() => void) | undefined): void {
    this.endResponse(callback);
  }

  protected perform({ callbacks, arg, options, subprotocol, asyncContext }: Decision): void {
    this.upgraded = true;
    const { remoteAddress, remotePort } = this.request.socket;
    const stream = this.takeStream();
    const parameters = selectCompression(this.upgradeRequest, options.compress);
    const compression = parameters && compressionOf(options, parameters);
    const connection = new Connection(stream, nodeByteOps, options, compression);
    stream.open(connection);
    try {
      const headers = this.handshakeHeaders();
      if (subprotocol !== undefined) headers["Sec-WebSocket-Protocol"] = subprotocol;
      if (parameters !== undefined) headers["Sec-WebSocket-Extensions"] = parameters.answer;
      this.sendHead(headers);
    } catch (error) {
      // Thrown by a hook of middleware on the headers.
      this.abort();
      throw error;
    }
    stream.watchUnflushed();
    const facts = connectionFacts(this.upgradeRequest, { remoteAddress, remotePort }, subprotocol, parameters?.answer);
    const session = this.host.newSession(callbacks, connection, facts, options, asyncContext);
    stream.useContext(asyncContext);
    stream.shutDownWhenEnded();
    session.start(arg);
    this.onSessionStarted(connection);
  }

  protected readonly onClientDisconnected = (): void => {
    this.clientDisconnected = true;
  };
}

/** The value of `Sec-WebSocket-Accept` (RFC 6455 §4.2.2). `hash` takes half the time of `createHash`. */
export const acceptOf = (key: string): string => acceptFor(key, (input) => hash("sha1", input, "base64"));
