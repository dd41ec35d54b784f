/** One upgrade request on Node, from the app's first look at it to the answer: what HTTP/1.1 and HTTP/2 share. */
import { createHash } from "node:crypto";
import type { UpgradeError } from "../../errors.ts";
import { answerFromFastify } from "../../frameworks/fastify.ts";
import type { Route } from "../../frameworks/routes.ts";
import { markUpgradable, type Upgradable } from "../../marks.ts";
import type { UpgradeRequest, WebSockOptions } from "../../options.ts";
import { Connection } from "../../protocol/connection.ts";
import { acceptFor } from "../../protocol/http/handshake.ts";
import type { Callbacks } from "../../session/handler.ts";
import { selectCompression } from "../../upgrade-validation.ts";
import { connectionFacts, type Decision, decide, shuttingDown } from "../shared/decision.ts";
import { nodeOctets } from "../shared/node-byte-ops.ts";
import { capabilities, type NodeAdapter } from "./adapter.ts";
import { compressionOf } from "./compression.ts";
import { passRefusalOn } from "./escape.ts";
import { factsOf, type NodeRequest } from "./requests.ts";
import {
  addHeader,
  answerInsteadOfSrvx,
  answerUpgradeError,
  type HeaderValues,
  type NodeResponse,
  type Replacement,
  ResponseGate,
  settleHeaders,
  writeRefusal,
} from "./response.ts";
import type { NodeStream } from "./stream.ts";

export abstract class NodeUpgrade implements Upgradable, Replacement {
  readonly isOne = true;
  protected readonly adapter: NodeAdapter;
  protected readonly request: NodeRequest;
  protected readonly response: NodeResponse;
  protected readonly facts: UpgradeRequest;
  protected readonly gate: ResponseGate;
  /** The client is. */
  protected gone = false;
  protected upgraded = false;
  private decision: Decision | undefined = undefined;
  /** What the client gets to read instead of what the framework writes, if the upgrade is refused. */
  private body: string | undefined = undefined;

  constructor(adapter: NodeAdapter, request: NodeRequest, response: NodeResponse) {
    this.adapter = adapter;
    this.request = request;
    this.response = response;
    this.facts = factsOf(request);
    this.gate = new ResponseGate(response);
  }

  /** The status of an answer that opens the WebSocket. */
  protected abstract readonly status: 101 | 200;
  /** Its headers, apart from the subprotocol. */
  protected abstract handshakeHeaders(): Record<string, string>;
  /** Takes the stream of octets over from HTTP. */
  protected abstract takeStream(): NodeStream;
  /** Sends the head of the answer; from here on the stream is the connection's. */
  protected abstract sendHead(headers: Readonly<Record<string, string>>): void;
  /** Ends the response and nothing else. */
  protected abstract endResponse(callback: (() => void) | undefined): void;
  /** The session has begun. */
  protected abstract begun(connection: Connection): void;
  /** Cuts off what a client has left behind. */
  protected abstract cutOff(): void;

  /** Hands the request to the app, or refuses it. */
  protected passOn(refusal: UpgradeError | undefined): void {
    const { adapter, request, response } = this;
    const reason = shuttingDown(this.adapter) ?? refusal;
    if (reason !== undefined) {
      this.note(reason, undefined);
      answerUpgradeError(reason, response);
      return;
    }
    markUpgradable(request, this);
    adapter.server.emit("request", request, response);
  }

  upgrade(
    conn: object,
    callbacks: Callbacks,
    arg: unknown,
    options: WebSockOptions | undefined,
    route: Route,
  ): unknown {
    const { response } = this;
    if (this.decision !== undefined) throw new Error("this request has already been upgraded");
    if (response.headersSent) throw new Error("this request has already been answered: its response headers were sent");
    const decision = decide(this.adapter, this.facts, callbacks, arg, options, route);
    const { refusal } = decision;
    if (refusal !== undefined && decision.options.earlyValidateUpgrade) {
      this.note(refusal, callbacks);
      answerInsteadOfSrvx(conn, refusal);
      if (passRefusalOn(refusal, this.request, response)) return route.result();
    }
    this.decision = decision;
    if (route.deferred) this.awaitFramework(route);
    else if (refusal !== undefined) {
      this.note(refusal, callbacks);
      answerUpgradeError(refusal, response);
    } else if (this.gone) this.cutOff();
    else this.answerNow();
    return route.result();
  }

  private note(refusal: UpgradeError, callbacks: Callbacks | undefined): void {
    this.adapter.refusals.add(refusal, this.request, this.facts, callbacks?.name);
  }

  private awaitFramework(route: Route): void {
    // Koa has said 404 already; for the others this is what they begin with.
    this.response.statusCode = this.status;
    this.gate.replace(this);
    if (route.isFastify && !answerFromFastify(this.request, () => this.answerNow())) this.reportUnlessAnswered();
  }

  /** Fastify sends for a route that has returned a promise, and for no other; we do not know which one this is. */
  private reportUnlessAnswered(): void {
    const { clock, defaults } = this.adapter;
    const tick = (): void => {
      if (this.gone || this.response.headersSent) return;
      this.adapter.tell(
        "an upgrade in a Fastify route was not answered. If the Fastify instance was created before websock-js was loaded, " +
          'websock-js cannot detect the end of a route that returns no promise: import "websock-js" before calling ' +
          "fastify(), or end the route with `upgrade(reply, …); return reply`. If a hook called upgrade(), it must then " +
          "continue or send the reply",
      );
    };
    clock.schedule({ slot: 0, tick }, clock.now() + defaults.closeTimeout);
  }

  private answerNow(): void {
    // The application may have answered by itself behind `upgrade`.
    if (this.response.headersSent) return;
    this.gate.replace(this);
    this.response.writeHead(this.status);
    this.response.end();
  }

  /** The framework writes its response, or we do. */
  onHead(status: number, headers: HeaderValues): boolean {
    const { callbacks, options, refusal, route } = this.decision!;
    // A route that throws after all cancels the upgrade, and so does who makes something else of the response.
    if (route.failed() || !(status === 101 || (status >= 200 && status < 300))) return false;
    if (this.gone) {
      this.cutOff();
      return false;
    }
    settleHeaders(this.response, headers);
    const reason = refusal ?? shuttingDown(this.adapter);
    if (reason !== undefined) {
      this.note(reason, callbacks);
      this.body = writeRefusal(reason, this.response, this.gate);
      return true;
    }
    for (const [name, value] of Object.entries(options.headers)) addHeader(this.response, name, value);
    this.perform(this.decision!);
    return true;
  }

  onEnd(callback: (() => void) | undefined): void {
    if (this.upgraded) this.endResponse(callback);
    else this.gate.base.end(this.body, callback);
  }

  protected perform({ callbacks, arg, options, subprotocol, asyncContext }: Decision): void {
    this.upgraded = true;
    const { remoteAddress, remotePort } = this.request.socket;
    const stream = this.takeStream();
    const parameters = selectCompression(this.facts, options.compress);
    const compression = parameters && compressionOf(options, parameters);
    const connection = new Connection(stream, nodeOctets, options, capabilities, compression);
    stream.open(connection);
    try {
      this.sendHead({
        ...this.handshakeHeaders(),
        ...(subprotocol === undefined ? {} : { "Sec-WebSocket-Protocol": subprotocol }),
        ...(parameters && { "Sec-WebSocket-Extensions": parameters.answer }),
      });
    } catch (error) {
      // A hook on the headers, of middleware, has thrown.
      this.cutOff();
      throw error;
    }
    stream.watch();
    const facts = connectionFacts(this.facts, { remoteAddress, remotePort }, subprotocol, parameters?.answer);
    const session = this.adapter.newSession(callbacks, connection, facts, options, asyncContext);
    connection.open(session);
    stream.shutDownWith(session);
    session.start(arg);
    this.begun(connection);
  }

  protected readonly onGone = (): void => {
    this.gone = true;
  };
}

/** RFC 6455 §4.2.2. */
export const acceptOf = (key: string): string =>
  acceptFor(key, (input) => createHash("sha1").update(input).digest("base64"));
